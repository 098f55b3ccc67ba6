//! What a batch does to each of its entries.

use serde::{Deserialize, Serialize};

use crate::domain::change::EntryKind;
use crate::domain::image::Image;
use crate::domain::ims_code::ImsCode;
use crate::domain::job::JobKind;
use crate::domain::member::{Member, MemberStatus};

/// What a batch does to each of its entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum Task {
    /// Shares the image with the project.
    Share,
    /// Accepts or rejects for the project.
    Answer(Answer),
    /// Ends the membership.
    Unshare,
    /// Makes the members of an image those that were declared.
    Replace {
        /// How many of the entries, the first ones, end memberships. The others share the image with the
        /// declared projects.
        removes: usize,
    },
}

/// A member's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The status.
    pub status: MemberStatus,
    /// The vault for an image that was made from a backup.
    pub vault_id: Option<String>,
}

impl Answer {
    /// Whether it changes a membership.
    pub fn changes(&self, member: &Member) -> bool {
        self.status != member.status || self.vault_id.is_some() && self.vault_id != member.vault_id
    }

    /// Checks the vault that the answer names for an image.
    ///
    /// # Errors
    /// If it accepts an image made from a backup without a vault, or with one that is not a UUID.
    pub fn check_vault(&self, image: &Image) -> Result<(), ImsCode> {
        match (self.status, image.is_from_backup(), &self.vault_id) {
            (MemberStatus::Accepted, true, None) => Err(ImsCode::VaultMissing),
            (MemberStatus::Accepted, true, Some(vault))
                if uuid::Uuid::try_parse(vault).is_err() =>
            {
                Err(ImsCode::VaultUnusable)
            }
            (MemberStatus::Accepted | MemberStatus::Rejected | MemberStatus::Pending, _, _) => {
                Ok(())
            }
        }
    }
}

impl Task {
    /// The kind of the job.
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Share => JobKind::Add,
            Self::Answer(_) => JobKind::Update,
            Self::Unshare => JobKind::Remove,
            Self::Replace { .. } => JobKind::Replace,
        }
    }

    /// How many of the entries, the first ones, end memberships, if it replaces members.
    pub const fn removes(&self) -> usize {
        match self {
            Self::Replace { removes } => *removes,
            Self::Share | Self::Answer(_) | Self::Unshare => 0,
        }
    }

    /// What the entry in this row does.
    pub const fn entry_kind(&self, row: usize) -> EntryKind {
        self.kind().entry_kind(row, self.removes())
    }

    /// The task of the entries `from..from + rows`.
    pub fn part(&self, from: usize, rows: usize) -> Self {
        match self {
            Self::Replace { removes } => Self::Replace {
                removes: removes.saturating_sub(from).min(rows),
            },
            Self::Share | Self::Answer(_) | Self::Unshare => self.clone(),
        }
    }
}

/// The form of a task in messages and records.
#[derive(Serialize, Deserialize)]
struct Fields {
    kind: JobKind,
    /// For an answer only.
    #[serde(default)]
    status: Option<MemberStatus>,
    /// The vault that an answer names.
    #[serde(default)]
    vault_id: Option<String>,
    /// Of a task that replaces members.
    #[serde(default)]
    removes: usize,
}

impl TryFrom<Fields> for Task {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        match (fields.kind, fields.status) {
            (JobKind::Add, None) => Ok(Self::Share),
            (JobKind::Remove, None) => Ok(Self::Unshare),
            (JobKind::Replace, None) => Ok(Self::Replace {
                removes: fields.removes,
            }),
            (JobKind::Update, Some(status)) => Ok(Self::Answer(Answer {
                status,
                vault_id: fields.vault_id,
            })),
            (JobKind::Add | JobKind::Remove | JobKind::Replace, Some(_)) => {
                Err("only an answer has a status")
            }
            (JobKind::Update, None) => Err("an answer has a status"),
        }
    }
}

impl From<Task> for Fields {
    fn from(task: Task) -> Self {
        let (kind, removes) = (task.kind(), task.removes());
        let (status, vault_id) = match task {
            Task::Answer(answer) => (Some(answer.status), answer.vault_id),
            Task::Share | Task::Unshare | Task::Replace { .. } => (None, None),
        };
        Self {
            kind,
            status,
            vault_id,
            removes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::id::{ImageId, OperationId, ProjectId};
    use crate::domain::policy::{Caller, Policy, Role};
    use crate::domain::time::Timestamp;

    fn answer(status: MemberStatus, vault: Option<&str>) -> Answer {
        Answer {
            status,
            vault_id: vault.map(str::to_owned),
        }
    }

    fn image(properties: serde_json::Value) -> Image {
        let caller = Caller {
            user: "u".to_owned(),
            project: ProjectId::parse("p").unwrap(),
            role: Role::Member,
        };
        let (op, now) = (OperationId::at(0), Timestamp::from_micros(0));
        Image::from_request(properties, Policy::default(), &caller, op, now).unwrap()
    }

    #[test]
    fn only_accepting_a_backup_needs_a_vault() {
        use MemberStatus::{Accepted, Pending, Rejected};
        let plain = image(json!({}));
        let backup = image(json!({"__backup_id": "b"}));
        let vault = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        for (status, named, expected) in [
            (Accepted, None, Err(ImsCode::VaultMissing)),
            (Accepted, Some(""), Err(ImsCode::VaultUnusable)),
            (Accepted, Some("vault"), Err(ImsCode::VaultUnusable)),
            (Accepted, Some(vault), Ok(())),
            (Rejected, None, Ok(())),
            (Rejected, Some("vault"), Ok(())),
            (Pending, None, Ok(())),
        ] {
            let answer = answer(status, named);
            assert_eq!(answer.check_vault(&backup), expected, "{answer:?}");
            assert_eq!(answer.check_vault(&plain), Ok(()), "{answer:?}");
        }
    }

    #[test]
    fn an_answer_changes_a_status_or_names_another_vault() {
        use MemberStatus::{Accepted, Rejected};
        let (id, project) = (ImageId::random(), ProjectId::parse("p").unwrap());
        let new = Member::new(id, project, OperationId::at(0), Timestamp::from_micros(0));
        let member = Member {
            status: Accepted,
            vault_id: Some("v".to_owned()),
            ..new
        };
        for (status, vault, changes) in [
            (Accepted, None, false),
            (Accepted, Some("v"), false),
            (Accepted, Some("w"), true),
            (Rejected, None, true),
            (Rejected, Some("v"), true),
        ] {
            let answer = answer(status, vault);
            assert_eq!(answer.changes(&member), changes, "{answer:?}");
        }
        let without = Member {
            vault_id: None,
            ..member
        };
        assert!(answer(Accepted, Some("v")).changes(&without));
        assert!(!answer(Accepted, None).changes(&without));
    }

    #[test]
    fn each_task_is_a_kind_of_job() {
        let task = Task::Answer(answer(MemberStatus::Pending, None));
        let replace = Task::Replace { removes: 1 };
        let kinds = [Task::Share, task, Task::Unshare, replace].map(|task| task.kind());
        assert_eq!(kinds, JobKind::ALL);
    }

    #[test]
    fn the_first_entries_of_a_replacement_end_memberships() {
        let task = Task::Replace { removes: 5 };
        let kinds = |task: &Task| (0..3).map(|row| task.entry_kind(row)).collect::<Vec<_>>();
        let (add, remove) = (EntryKind::Add, EntryKind::Remove);
        for (from, expected) in [(0, [remove; 3]), (3, [remove, remove, add]), (6, [add; 3])] {
            assert_eq!(kinds(&task.part(from, 3)), expected, "{from}");
        }
        assert_eq!(kinds(&Task::Unshare.part(9, 3)), [remove; 3]);
        assert_eq!(kinds(&Task::Share), [add; 3]);
    }

    #[test]
    fn a_task_is_written_as_fields_and_what_cannot_be_is_not_read() {
        let answer = Task::Answer(Answer {
            status: MemberStatus::Accepted,
            vault_id: Some("v".to_owned()),
        });
        let replace = Task::Replace { removes: 3 };
        for task in [Task::Share, answer, Task::Unshare, replace] {
            let text = serde_json::to_string(&task).unwrap();
            assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task, "{text}");
        }
        for bad in [
            r#"{"kind": "update"}"#,
            r#"{"kind": "add", "status": "accepted"}"#,
            r#"{"kind": "remove", "status": "rejected"}"#,
            r#"{"kind": "replace", "status": "rejected"}"#,
            r#"{"kind": "other"}"#,
        ] {
            assert!(serde_json::from_str::<Task>(bad).is_err(), "{bad}");
        }
    }
}
