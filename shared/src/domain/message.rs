//! The messages that functions send each other through the queue.
//!
//! Each names its version. A message waits for up to a day, so a release receives those of the release before it
//! and, during a deployment or after a rollback, those of the release after it.

use serde::{Deserialize, Serialize};

use super::entries::Entries;
use super::error::ApiError;
use super::id::{ImageId, JobId, ProjectId};
use super::task::Task;
use super::time::Timestamp;

/// The version of the messages that this release sends, and the newest that it knows. A release that gives a
/// message a field which its receiver must not overlook sends a higher one. A field that may be overlooked, such
/// as [`Chunk::user`], needs none. Messages of releases before the first version name none.
pub const VERSION: u32 = 1;

/// A message of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Message {
    /// Apply a chunk of a batch.
    Chunk(Chunk),
    /// Reconcile the memberships of an image that was deleted or changed its visibility. In messages that
    /// releases up to 0.1.0 have sent this kind is called `bury`; such a message is read too.
    #[serde(alias = "bury")]
    Memberships {
        /// The image.
        image: ImageId,
    },
}

/// A chunk of a batch, with everything that its worker needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The job.
    pub job: JobId,
    /// The number of the chunk, from 0.
    pub number: usize,
    /// The project that requested the batch.
    pub project: ProjectId,
    /// The user that requested it. Releases up to commit 5fecf1e did not send it.
    #[serde(default)]
    pub user: String,
    /// Whether an admin requested it.
    pub admin: bool,
    /// What to do to each entry.
    #[serde(flatten)]
    pub task: Task,
    /// When the job ends at the latest.
    pub deadline: Timestamp,
    /// The entries.
    pub entries: Entries,
    /// Whether the job has no other chunk.
    #[serde(default)]
    pub only: bool,
    /// Whether it may have been sent before.
    #[serde(default)]
    pub resent: bool,
}

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A newer release has sent it. It is to wait in the queue for that release's workers.
    Newer {
        /// Its version.
        version: u32,
    },
    /// It is no message of this service, in any version: it will never be readable.
    Malformed {
        /// What is wrong, and where. It quotes nothing of the message.
        why: String,
    },
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        let (kind, column) = (error.classify(), error.column());
        Self::Malformed {
            why: format!("{kind:?} error at column {column}"),
        }
    }
}

impl From<Unreadable> for ApiError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Newer { version } => Self::unavailable(format!(
                "message of a newer release: its version is {version}, the newest known is {VERSION}"
            )),
            Unreadable::Malformed { why } => Self::internal(format!("message is not ours: {why}")),
        }
    }
}

/// A message as it is sent.
#[derive(Serialize)]
struct Sent<'a> {
    version: u32,
    #[serde(flatten)]
    message: &'a Message,
}

/// What is read of a message before all else.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    version: u32,
}

impl Message {
    /// The body of the message. It has no character that SQS refuses, or replaces by another one: an id of a
    /// project may have any, and JSON leaves two of these as they are.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn to_body(&self) -> Result<String, ApiError> {
        let sent = Sent {
            version: VERSION,
            message: self,
        };
        let mut body = serde_json::to_string(&sent)
            .map_err(|e| ApiError::internal(format!("encode message: {e}")))?;
        // One at a time: a search for any of several characters takes many times longer.
        for (refused, escape) in [('\u{fffe}', "\\ufffe"), ('\u{ffff}', "\\uffff")] {
            if body.contains(refused) {
                body = body.replace(refused, escape);
            }
        }
        Ok(body)
    }

    /// Parses the body of a message.
    ///
    /// # Errors
    /// If a newer release has sent it, or nothing that is known.
    pub fn of_body(body: &str) -> Result<Self, Unreadable> {
        // Another version may have another form, so that is read apart.
        let Head { version } = serde_json::from_str(body)?;
        if version > VERSION {
            return Err(Unreadable::Newer { version });
        }
        Ok(serde_json::from_str(body)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entries::Entries;
    use crate::domain::id::OperationId;
    use crate::domain::member::MemberStatus;
    use crate::domain::task::Answer;

    fn messages() -> Vec<Message> {
        let image = ImageId::canonical("5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01").unwrap();
        let project = ProjectId::parse("p").unwrap();
        let answer = Task::Answer(Answer {
            status: MemberStatus::Accepted,
            vault_id: Some("v".to_owned()),
        });
        let tasks = [
            Task::Share,
            answer,
            Task::Unshare,
            Task::Replace { removes: 1 },
        ];
        let chunk = |task| Chunk {
            job: OperationId::at(1),
            number: 2,
            project: project.clone(),
            user: "u".to_owned(),
            admin: true,
            task,
            deadline: Timestamp::from_micros(3),
            entries: Entries::of_request(&[image.to_string()], std::slice::from_ref(&project)),
            only: true,
            resent: true,
        };
        let chunks = tasks.into_iter().map(|task| Message::Chunk(chunk(task)));
        chunks.chain([Message::Memberships { image }]).collect()
    }

    #[test]
    fn what_is_sent_names_its_version_and_is_read() {
        for message in messages() {
            let body = message.to_body().unwrap();
            assert!(body.starts_with("{\"version\":1,\"type\":"), "{body}");
            assert_eq!(Message::of_body(&body), Ok(message));
        }
    }

    /// SQS takes these: tabs, line ends, and all characters from the space on but two.
    #[test]
    fn what_is_sent_has_only_characters_that_the_queue_keeps() {
        for message in messages() {
            let Message::Chunk(chunk) = message else {
                continue;
            };
            let odd = [
                "\u{0}",
                "\u{fffe}",
                "a\u{ffff}\\",
                "\u{fffd}",
                "\u{7f}",
                "\u{1ffff}",
            ];
            let projects = odd.map(|id| ProjectId::parse(id).unwrap());
            let entries = Entries::of_request(&["\u{ffff}".to_owned()], &projects);
            let message = Message::Chunk(Chunk { entries, ..chunk });
            let body = message.to_body().unwrap();
            assert!(
                !body.contains(|c| matches!(c, '\0'..' ' | '\u{fffe}' | '\u{ffff}')),
                "{body:?}"
            );
            assert_eq!(Message::of_body(&body), Ok(message));
        }
    }

    #[test]
    fn a_message_without_a_version_is_of_an_earlier_release() {
        for message in messages() {
            let body = serde_json::to_string(&message).unwrap();
            assert!(!body.contains("version"), "{body}");
            assert_eq!(Message::of_body(&body), Ok(message));
        }
    }

    /// Whatever else has changed in it, its type included.
    #[test]
    fn a_newer_message_is_told_from_one_that_is_not_ours() {
        for body in [
            r#"{"version": 2, "type": "memberships", "image": 7}"#,
            r#"{"type": "new", "version": 2}"#,
        ] {
            assert_eq!(
                Message::of_body(body),
                Err(Unreadable::Newer { version: 2 })
            );
        }
        for body in [
            "",
            "7",
            "{}",
            r#"{"version": 1, "type": "new"}"#,
            r#"{"version": "2", "type": "memberships"}"#,
            r#"{"version": -1, "type": "memberships"}"#,
        ] {
            let found = Message::of_body(body);
            assert!(
                matches!(found, Err(Unreadable::Malformed { .. })),
                "{found:?}"
            );
        }
        let newer = ApiError::from(Unreadable::Newer { version: 2 });
        assert!(newer.retryable() && newer.for_log().contains("its version is 2"));
        let malformed = Message::of_body("secret").unwrap_err();
        assert!(!ApiError::from(malformed).for_log().contains("secret"));
    }
}
