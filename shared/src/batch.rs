//! How a batch becomes chunks, and what an entry's outcome is. Pure.
//!
//! A batch shares, answers for or unshares every one of its images with every one of its
//! projects. Its entries (image × project) are rows, image by image in the order of the request;
//! a chunk is a run of rows and one message of the queue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::auth::{Caller, Decision};
use crate::error::ImsCode;
use crate::id::{ImageId, OperationId, ProjectId};
use crate::image::{Image, Visibility};
use crate::job::{DEADLINE_SECONDS, Job};
use crate::member::MemberStatus;
use crate::queue::{Chunk, Message};
use crate::task::{Answer, Task};
use crate::time::Timestamp;

/// Most entries of one request.
pub const ENTRIES_MAX: usize = 10_000;
/// Rows of a chunk, unless one image alone has more.
pub const CHUNK_ROWS: usize = 100;
/// Most images of a chunk: one `BatchGetItem` of 100 keys reads them and a membership of each.
pub const CHUNK_IMAGES: usize = 50;
/// Most rows of a chunk that is one image's alone.
pub const CHUNK_ROWS_MAX: usize = 1_000;
/// Most characters of an image id that is kept as it was sent.
const IMAGE_TEXT_MAX: usize = 64;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as the request wanted, or was until a newer request changed it: by this request.
    Changed,
    /// The same, and this request had nothing to change.
    Unchanged,
    /// It is not as the request wanted.
    Failed(ImsCode),
}

impl Outcome {
    /// Whether the entry succeeded.
    pub const fn succeeded(self) -> bool {
        match self {
            Self::Changed | Self::Unchanged => true,
            Self::Failed(_) => false,
        }
    }
}

/// A batch as it was accepted: the job's record and all that its messages say.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The job's record.
    pub job: Job,
    /// What is done to each entry.
    pub task: Task,
    /// Whether an admin asked.
    pub admin: bool,
    /// The entries.
    pub entries: Slice,
    /// The id of the request, for the log.
    pub request_id: String,
}

impl Batch {
    /// A batch that this caller asks for. The operation's id becomes the job's.
    pub fn new(
        caller: &Caller,
        task: Task,
        entries: Slice,
        op: OperationId,
        now: Timestamp,
        request_id: String,
    ) -> Self {
        let job = Job {
            id: op,
            project: caller.project.clone(),
            kind: task.kind(),
            total: entries.rows,
            chunk_rows: entries.chunk_rows(),
            succeeded: 0,
            failed: 0,
            errors: BTreeMap::new(),
            begin: now,
            updated_at: now,
            deadline: now.plus_seconds(DEADLINE_SECONDS),
        };
        Self {
            job,
            task,
            admin: caller.is_admin(),
            entries,
            request_id,
        }
    }

    /// The messages of all chunks.
    pub fn messages(&self) -> Vec<Message> {
        (0..self.job.chunks())
            .map(|number| self.message(number, false))
            .collect()
    }

    /// The message of one chunk, which may have been sent before.
    pub fn message(&self, number: usize, resent: bool) -> Message {
        let job = &self.job;
        Message::Chunk(Chunk {
            job: job.id,
            number,
            project: job.project.clone(),
            admin: self.admin,
            task: self.task.clone(),
            deadline: job.deadline,
            entries: self.entries.part(number * job.chunk_rows, job.chunk_rows),
            only: job.chunks() == 1,
            resent,
        })
    }
}

/// A run of rows: some images, the projects of each, and the part of that product that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Image ids, as they are shown in the results.
    pub images: Vec<String>,
    /// Project ids.
    pub projects: Vec<String>,
    /// Rows of the product to leave out at its beginning.
    pub skip: usize,
    /// Rows that count.
    pub rows: usize,
}

impl Slice {
    /// A whole request, each image and each project once: both spellings of a UUID are one image.
    pub fn of_request(images: &[String], projects: &[String]) -> Self {
        let mut seen = std::collections::HashSet::new();
        let images: Vec<_> = images
            .iter()
            .map(|text| match ImageId::any_spelling(text) {
                Some(id) => id.to_string(),
                None => text.chars().take(IMAGE_TEXT_MAX).collect(),
            })
            .filter(|text: &String| seen.insert(text.clone()))
            .collect();
        let mut seen = std::collections::HashSet::new();
        let projects: Vec<_> = projects
            .iter()
            .filter(|project| seen.insert(*project))
            .cloned()
            .collect();
        let rows = images.len() * projects.len();
        Self {
            images,
            projects,
            skip: 0,
            rows,
        }
    }

    /// The whole request again from its rows: each image with each project.
    pub fn of_rows<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut images, mut projects) = (Vec::<String>::new(), Vec::new());
        let mut count = 0;
        for (image, project) in rows {
            count += 1;
            if images.last().is_none_or(|last| last != image) {
                images.push(image.to_owned());
            }
            if images.len() == 1 {
                projects.push(project.to_owned());
            }
        }
        Self {
            images,
            projects,
            skip: 0,
            rows: count,
        }
    }

    /// Rows of each chunk of this request: as many whole images as fit, or one image's own.
    pub fn chunk_rows(&self) -> usize {
        match self.projects.len() {
            0 => 1,
            wide if wide > CHUNK_ROWS => wide.min(CHUNK_ROWS_MAX),
            projects => CHUNK_IMAGES.min(CHUNK_ROWS / projects) * projects,
        }
    }

    /// The rows from `from` on, `rows` of them or fewer at the end.
    pub fn part(&self, from: usize, rows: usize) -> Self {
        let width = self.projects.len().max(1);
        let rows = rows.min(self.rows.saturating_sub(from));
        let from = self.skip + from;
        let (first, last) = (from / width, (from + rows).div_ceil(width));
        let images = self.images.get(first..last).unwrap_or_default().to_vec();
        if images.len() == 1 {
            let projects = self
                .projects
                .iter()
                .skip(from % width)
                .take(rows)
                .cloned()
                .collect();
            return Self {
                images,
                projects,
                skip: 0,
                rows,
            };
        }
        Self {
            images,
            projects: self.projects.clone(),
            skip: from % width,
            rows,
        }
    }

    /// The entries: image and project of every row, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.images
            .iter()
            .flat_map(|image| {
                self.projects
                    .iter()
                    .map(move |project| (image.as_str(), project.as_str()))
            })
            .skip(self.skip)
            .take(self.rows)
    }
}

/// What stands in the way of adding or removing members of this image in a batch: the policy's
/// word for adding and removing members in the batch API's codes.
pub fn refusal(image: &Image, decision: Decision) -> Option<ImsCode> {
    match (decision, image.visibility) {
        (Decision::Allow | Decision::AllowOwnRow, _) => None,
        (Decision::Hidden, _) => Some(ImsCode::ImageNotFound),
        (Decision::NotShared, Visibility::Public) => Some(ImsCode::PublicImage),
        (Decision::NotShared, Visibility::Private | Visibility::Community | Visibility::Shared) => {
            Some(ImsCode::ImageUnavailable)
        }
        (Decision::Forbidden, _) => Some(ImsCode::NotOwner),
    }
}

/// What stands in the way of a project's answer for this image.
///
/// `is_member` says whether the project is a member. To one that is not, a shared image looks like
/// one that does not exist, whatever else is wrong with the entry.
pub fn answer_refusal(
    image: Option<&Image>,
    member: &ProjectId,
    is_member: bool,
    answer: &Answer,
) -> Option<ImsCode> {
    let Some(image) = image else {
        return Some(ImsCode::ImageNotFound);
    };
    let is_owner = image.owner == *member;
    match image.visibility {
        Visibility::Public => return Some(ImsCode::PublicImage),
        Visibility::Community => return Some(ImsCode::ImageUnavailable),
        Visibility::Private if is_owner => return Some(ImsCode::ImageUnavailable),
        Visibility::Private => return Some(ImsCode::ImageNotFound),
        Visibility::Shared if is_owner => return Some(ImsCode::SharingWithYourself),
        Visibility::Shared if !is_member => return Some(ImsCode::ImageNotFound),
        Visibility::Shared => {}
    }
    match (answer.status, image.is_from_backup(), &answer.vault_id) {
        (MemberStatus::Accepted, true, None) => Some(ImsCode::VaultMissing),
        (MemberStatus::Accepted, true, Some(vault)) if uuid::Uuid::try_parse(vault).is_err() => {
            Some(ImsCode::VaultUnusable)
        }
        (MemberStatus::Accepted | MemberStatus::Rejected | MemberStatus::Pending, _, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: &str, count: usize) -> Vec<String> {
        (0..count).map(|i| format!("{prefix}{i}")).collect()
    }

    #[test]
    fn every_row_is_in_one_chunk_and_in_order() {
        for (images, projects) in [
            (1, 1),
            (3, 7),
            (250, 1),
            (9, 33),
            (2, 128),
            (3, 1500),
            (1, 2500),
        ] {
            let whole = Slice::of_request(&names("i", images), &names("p", projects));
            let rows = whole.chunk_rows();
            let mut found = Vec::new();
            let mut from = 0;
            while from < whole.rows {
                let part = whole.part(from, rows);
                assert_eq!(part.entries().count(), part.rows);
                if projects <= CHUNK_ROWS_MAX {
                    assert_eq!(part.rows % projects, 0, "an image stays in one chunk");
                }
                // A part of a part is the same part.
                let again = part.part(1, 5);
                assert!(again.entries().eq(part.entries().skip(1).take(5)));
                found.extend(part.entries().map(|(i, p)| (i.to_owned(), p.to_owned())));
                from += rows;
            }
            assert_eq!(Slice::of_rows(whole.entries()), whole);
            assert!(
                whole
                    .entries()
                    .map(|(i, p)| (i.to_owned(), p.to_owned()))
                    .eq(found)
            );
        }
    }

    #[test]
    fn both_spellings_are_one_image_and_duplicates_one_entry() {
        let id = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        let slice = Slice::of_request(
            &[
                id.to_owned(),
                id.replace('-', ""),
                id.to_uppercase(),
                "x".repeat(100),
            ],
            &["p".to_owned(), "p".to_owned()],
        );
        assert_eq!(slice.images, [id.to_owned(), "x".repeat(64)]);
        assert_eq!(slice.rows, 2);
    }
}
