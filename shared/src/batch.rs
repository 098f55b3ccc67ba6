//! How a batch becomes chunks, and what an entry's outcome is. Pure.
//!
//! A batch shares, answers for or unshares every one of its images with every one of its
//! projects. Its entries (image × project) are rows, image by image in the order of the request;
//! a chunk is a run of rows and one message of the queue.

use serde::{Deserialize, Serialize};

use crate::auth::Decision;
use crate::error::ImsCode;
use crate::id::{ImageId, OperationId, ProjectId};
use crate::image::{Image, Visibility};
use crate::job::JobKind;
use crate::member::{MemberStatus, Membership};
use crate::store::members::MemberChange;

/// Most entries of one request.
pub const ENTRIES_MAX: usize = 10_000;
/// Rows of a chunk, unless one image alone has more: one `BatchGetItem` reads all their images.
pub const CHUNK_ROWS: usize = 100;
/// Most rows of a chunk that is one image's alone.
pub const CHUNK_ROWS_MAX: usize = 1_000;
/// Most characters of an image id that is kept as it was sent.
const IMAGE_TEXT_MAX: usize = 64;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as the request wanted, or was until a newer request changed it.
    Succeeded,
    /// It is not.
    Failed(ImsCode),
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

    /// Rows of each chunk of this request: as many whole images as fit, or one image's own.
    pub fn chunk_rows(&self) -> usize {
        match self.projects.len() {
            0 => 1,
            wide if wide > CHUNK_ROWS => wide.min(CHUNK_ROWS_MAX),
            projects => CHUNK_ROWS / projects * projects,
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

/// What stands in the way of a project's answer for this image, its membership apart.
///
/// `vault` is the vault that the request names.
pub fn answer_refusal(
    image: Option<&Image>,
    member: &ProjectId,
    status: MemberStatus,
    vault: Option<&str>,
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
        Visibility::Shared => {}
    }
    match (status, image.is_from_backup(), vault) {
        (MemberStatus::Accepted, true, None) => Some(ImsCode::VaultMissing),
        (MemberStatus::Accepted, true, Some(vault)) if uuid::Uuid::try_parse(vault).is_err() => {
            Some(ImsCode::VaultUnusable)
        }
        (MemberStatus::Accepted | MemberStatus::Rejected | MemberStatus::Pending, _, _) => None,
    }
}

/// How a membership stands towards an operation that may have been applied to it: what a write
/// would have found. `None` if the operation was not applied and could still be.
///
/// Only a newer share outranks a removal, not a newer answer; and a share that finds the member
/// there already counts as newer than any removal before it.
pub fn standing(
    stored: Option<&Membership>,
    kind: JobKind,
    op: OperationId,
) -> Option<MemberChange> {
    match (stored, kind) {
        (Some(stored), _) if stored.op() == op => Some(MemberChange::AppliedBefore),
        (Some(Membership::Present(member)), JobKind::Add) => {
            (member.added >= op).then(|| MemberChange::Existing(member.clone()))
        }
        (Some(stored @ Membership::Present(member)), JobKind::Remove) => {
            (member.added > op).then(|| MemberChange::Superseded(stored.clone()))
        }
        (Some(stored), _) if stored.op() > op => Some(MemberChange::Superseded(stored.clone())),
        (Some(Membership::Present(_)), JobKind::Update) => None,
        (Some(Membership::Gone { .. }) | None, JobKind::Add) => None,
        (Some(Membership::Gone { .. }) | None, JobKind::Update | JobKind::Remove) => {
            Some(MemberChange::Absent)
        }
    }
}

/// What a change tells of an entry of this kind.
pub fn outcome(kind: JobKind, change: &MemberChange, op: OperationId) -> Outcome {
    match kind {
        JobKind::Add => added(change),
        JobKind::Update => updated(change, op),
        JobKind::Remove => removed(change, op),
    }
}

/// What an update tells of its entry.
///
/// An entry that a newer decision has overtaken succeeded, as if it had been applied in time; but
/// not if the membership it meant was ended, and shared anew since.
///
/// A project that is no member (any more) may not see the image: to it there is none.
fn updated(change: &MemberChange, op: OperationId) -> Outcome {
    match change {
        MemberChange::Applied | MemberChange::AppliedBefore => Outcome::Succeeded,
        MemberChange::Superseded(Membership::Present(member)) if member.added <= op => {
            Outcome::Succeeded
        }
        MemberChange::Superseded(Membership::Present(_)) | MemberChange::Existing(_) => {
            Outcome::Failed(ImsCode::NoSuchMember)
        }
        MemberChange::Superseded(Membership::Gone { .. }) | MemberChange::Absent => {
            Outcome::Failed(ImsCode::ImageNotFound)
        }
    }
}

/// What an add tells of its entry: that it is a member already is as good, and that a newer
/// request took it away again is no failure of the older one.
fn added(change: &MemberChange) -> Outcome {
    match change {
        MemberChange::Applied
        | MemberChange::AppliedBefore
        | MemberChange::Existing(_)
        | MemberChange::Superseded(_) => Outcome::Succeeded,
        MemberChange::Absent => Outcome::Failed(ImsCode::QuotaFull),
    }
}

/// What a removal tells of its entry. A membership that a newer request ended was there to be
/// ended if it had been added before this request.
fn removed(change: &MemberChange, op: OperationId) -> Outcome {
    let was_there = |membership: &Membership| match membership {
        Membership::Present(member) => member.added <= op,
        Membership::Gone { added, .. } => *added <= op,
    };
    match change {
        MemberChange::Applied | MemberChange::AppliedBefore => Outcome::Succeeded,
        MemberChange::Superseded(membership) if was_there(membership) => Outcome::Succeeded,
        MemberChange::Superseded(_) | MemberChange::Existing(_) | MemberChange::Absent => {
            Outcome::Failed(ImsCode::NoSuchMember)
        }
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
