//! The names of all keys, indexes and attributes. A test compares them with `template.yaml`.
//!
//! | module | what it names |
//! |---|---|
//! | this one | the records: their keys |
//! | `attributes` | their attributes |
//! | `indexes` | the indexes, what they hold, and their keys |
//!
//! | record | `pk` | `sk` | `by_project` (`gpk` / `gsk`) | `by_name` (`npk` / `gsk`) | `by_owner` (`opk` / `osk`) |
//! |---|---|---|---|---|---|
//! | image | `IMAGE#<id>` | `IMAGE` | `OWNER#<project>` / `<created_at>#<id>` | `OWNER#<project>#<hash of name>` | – |
//! | image's texts, if they are long | `IMAGE#<id>` | `TEXT#<operation>` | – | – | – |
//! | membership | `IMAGE#<id>` | `MEM#<member>` | `<status>#<member>` / `<image created_at>#<image id>`, while the image is shared | `MEMBER#<member>#<hash of the image's name>`, while it is accepted as well | `SHARED_BY#<owner>` / `<share>#<hash of image and member>`, while the image is shared |
//! | job | `JOB#<id>` | `JOB` | `JOBS#<project>` / `<id>` | – | – |
//! | job's entries | `JOB#<id>` | `ENTRIES#<page>` | – | – | – |
//! | job's results | `JOB#<id>` | `RESULT#<chunk>` | – | – | – |
//! | trusted owners | `PROJECT#<project>` | `TRUST` | – | – | – |
//! | projects that have any | `PROJECT#` | `REGISTER` | – | – | – |
//! | project's open jobs | `PROJECT#<project>` | `USAGE` | – | – | – |
//! | project's images, counted while there is a limit | `PROJECT#<project>` | `IMAGES` | – | – | – |
//! | freshness mark | `PROJECT#<project>` | `FRESH` | – | – | – |
//! | idempotency | `KEY#<key>\n<project>` | `KEY` | – | – | – |
//!
//! An image is in `by_visibility` too (`VISIBILITY#<visibility>` / as in `by_project`), and one that is
//! open to all in `by_open_name` (`<visibility>#<hash of name>` / the same). The two indexes by name
//! hold keys alone: few images have one name, and these are read from the table.
//!
//! The indexes by age hold each image's projection, and memberships hold that of their image, so that
//! a page of a list takes one query for each stream. See `freshness` for when the table is read
//! all the same.
//!
//! `by_due` (`dpk` / `dsk`) holds the records that are due, that is, with work that is still to be done
//! for them: an image while its memberships are to be reconciled with it, a job until its messages are
//! known to be sent and then, at its deadline, until it has ended. Its key is `DUE#<0..15>` / `<time from which the sweep does it>`. The write that
//! makes work necessary sets the key; the write that finishes the work removes it.
//!
//! `by_owner` (`opk` / `osk`) holds the memberships of shared images, by the project that shares:
//! `SHARED_BY#<owner>` / `<share>#<hash of image and member>`. An answer changes neither key, so it
//! costs no write of this index.
//!
//! Every record that a request or a job writes says in `by` who made it. A record may say its version (`v`); all of
//! them are of the first, which is not written.
//!
//! Access keys are in a table of their own, with `pk` alone: the key's id. `KEYS#<project>\n<user>` holds
//! the ids of the keys that a user has for a project; no id of a key contains a line feed.
//!
//! `MEM#` and not a longer word: a sort key has at most 1024 bytes, a member's id up to 1020.

mod attributes;
mod indexes;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

pub use self::attributes::*;
pub use self::indexes::*;
use crate::domain::id::{ImageId, JobId, OperationId, ProjectId};

/// The sort key of an image and of a job.
pub const IMAGE: &str = "IMAGE";
/// See [`IMAGE`].
pub const JOB: &str = "JOB";
/// The sort key of an idempotency record.
pub const KEY: &str = "KEY";
/// The sort key of a project's freshness mark.
pub const FRESH: &str = "FRESH";
/// The prefix of the sort keys of memberships.
pub const MEMBER_PREFIX: &str = "MEM#";
/// A sort key that follows those of all memberships.
pub const MEMBERS_END: &str = "MEM$";
/// The prefix of the sort keys of images' texts. They follow those of memberships.
pub const TEXT_PREFIX: &str = "TEXT#";

/// An item.
pub type Item = HashMap<String, AttributeValue>;

/// A text attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn key(pk: String, sk: String) -> Item {
    Item::from([(PK.to_owned(), s(pk)), (SK.to_owned(), s(sk))])
}

const IMAGE_PREFIX: &str = "IMAGE#";
const JOB_PREFIX: &str = "JOB#";
const PROJECT_PREFIX: &str = "PROJECT#";

/// Partition key of an image, its memberships included.
pub fn image_pk(id: ImageId) -> String {
    format!("{IMAGE_PREFIX}{id}")
}

/// The image of a partition key.
pub fn image_of(pk: &str) -> Option<ImageId> {
    ImageId::canonical(pk.strip_prefix(IMAGE_PREFIX)?)
}

/// Sort key of a membership.
pub fn member_sk(member: &ProjectId) -> String {
    format!("{MEMBER_PREFIX}{member}")
}

/// Key of an image.
pub fn image_key(id: ImageId) -> Item {
    key(image_pk(id), IMAGE.to_owned())
}

/// Key of an image's texts as this operation wrote them.
pub fn texts_key(id: ImageId, op: OperationId) -> Item {
    key(image_pk(id), format!("{TEXT_PREFIX}{op}"))
}

/// Key of a membership.
pub fn member_key(id: ImageId, member: &ProjectId) -> Item {
    key(image_pk(id), member_sk(member))
}

/// Partition key of a job and all its items.
pub fn job_pk(id: JobId) -> String {
    format!("{JOB_PREFIX}{id}")
}

/// The job of a partition key.
pub fn job_of(pk: &str) -> Option<JobId> {
    JobId::parse(pk.strip_prefix(JOB_PREFIX)?)
}

/// Key of a job.
pub fn job_key(id: JobId) -> Item {
    key(job_pk(id), JOB.to_owned())
}

/// Sort key of a page of a job's entries.
pub fn entries_sk(page: usize) -> String {
    format!("ENTRIES#{page:05}")
}

/// Key of a page of a job's entries.
pub fn entries_key(id: JobId, page: usize) -> Item {
    key(job_pk(id), entries_sk(page))
}

/// Sort key of a chunk's results.
pub fn result_sk(chunk: usize) -> String {
    format!("RESULT#{chunk:05}")
}

/// Key of a chunk's results.
pub fn result_key(id: JobId, chunk: usize) -> Item {
    key(job_pk(id), result_sk(chunk))
}

fn project_pk(project: &ProjectId) -> String {
    format!("{PROJECT_PREFIX}{project}")
}

/// The project of a partition key.
pub fn project_of(pk: &str) -> Option<ProjectId> {
    ProjectId::parse(pk.strip_prefix(PROJECT_PREFIX)?).ok()
}

/// Key of a project's rules about trusted owners.
pub fn trust_key(project: &ProjectId) -> Item {
    key(project_pk(project), "TRUST".to_owned())
}

/// Key of the count of a project's open jobs.
pub fn usage_key(project: &ProjectId) -> Item {
    key(project_pk(project), "USAGE".to_owned())
}

/// Key of the count of a project's images.
pub fn images_key(project: &ProjectId) -> Item {
    key(project_pk(project), "IMAGES".to_owned())
}

/// Key of the register of projects with rules. No project has an empty id, so no other item has this
/// partition key.
pub fn register_key() -> Item {
    key(PROJECT_PREFIX.to_owned(), "REGISTER".to_owned())
}

/// Key of an idempotency record. The key has no line end, so the two parts cannot be confused.
pub fn idempotency_key(project: &ProjectId, key_text: &str) -> Item {
    key(format!("KEY#{key_text}\n{project}"), KEY.to_owned())
}

/// Key of a project's freshness mark.
pub fn fresh_key(project: &ProjectId) -> Item {
    key(project_pk(project), FRESH.to_owned())
}

/// Whether an item is a mark.
pub fn is_mark(item: &Item) -> bool {
    item.get(SK).is_some_and(|sk| *sk == s(FRESH))
}
