//! The names of all keys, indexes and attributes. A test compares them with `template.yaml`.
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
//! `SHARED_BY#<owner>` / `<share>#<image id>#<hash of the member>`. An answer changes neither key, so it
//! costs no write of this index.
//!
//! Every record that a request or a job writes says in `by` who made it. A record may say its version (`v`); all of
//! them are of the first, which is not written.
//!
//! Access keys are in a table of their own, with `pk` alone: the key's id. `KEYS#<project>\n<user>` holds
//! the ids of the keys that a user has for a project; no id of a key contains a line feed.
//!
//! `MEM#` and not a longer word: a sort key has at most 1024 bytes, a member's id up to 1020.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest as _, Sha256};

use crate::domain::id::{ImageId, JobId, OperationId, ProjectId};
use crate::domain::member::MemberStatus;
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// Partition key.
pub const PK: &str = "pk";
/// Sort key.
pub const SK: &str = "sk";
/// The index from projects to their images, memberships and jobs.
pub const BY_PROJECT: &str = "by_project";
/// Partition key of [`BY_PROJECT`].
pub const GPK: &str = "gpk";
/// Sort key of all indexes of images and memberships.
pub const GSK: &str = "gsk";
/// The index from a visibility to its images.
pub const BY_VISIBILITY: &str = "by_visibility";
/// Partition key of [`BY_VISIBILITY`].
pub const VPK: &str = "vpk";
/// The index from a project and a name to its images and to those that it has accepted.
pub const BY_NAME: &str = "by_name";
/// Partition key of [`BY_NAME`].
pub const NPK: &str = "npk";
/// The index from a name to the images that are open to all.
pub const BY_OPEN_NAME: &str = "by_open_name";
/// Partition key of [`BY_OPEN_NAME`].
pub const ONPK: &str = "onpk";
/// The index of records that are due, by the time from which the sweep handles them.
pub const BY_DUE: &str = "by_due";
/// Partition key of [`BY_DUE`].
pub const DPK: &str = "dpk";
/// Sort key of [`BY_DUE`].
pub const DSK: &str = "dsk";
/// The index from an owner to the memberships of its images.
pub const BY_OWNER: &str = "by_owner";
/// Partition key of [`BY_OWNER`].
pub const OPK: &str = "opk";
/// Sort key of [`BY_OWNER`].
pub const OSK: &str = "osk";
/// Partitions of [`BY_DUE`]. Each adds the write throughput of one key.
pub const DUE_PARTITIONS: u8 = 16;
/// The expiry of an item (DynamoDB's TTL), in seconds since 1970.
pub const EXPIRES_AT: &str = "expires_at";

/// Marks a tombstone.
pub const GONE: &str = "gone";
/// The id of the last operation applied.
pub const OP: &str = "op";
/// The id of the operation that created a membership.
pub const ADDED: &str = "added";
/// The id of the newest share of a membership.
pub const SHARED: &str = "shared";
/// The status that the newest share gives to a membership, unless it is pending.
pub const SHARED_AS: &str = "shared_as";
/// The id of the removal that ended the membership before this one, if it arrived late.
pub const ENDED: &str = "ended";
/// The number of members of an image.
pub const MEMBER_COUNT: &str = "member_count";
/// Another number after each addition and removal of a member of an image.
pub const MEMBER_VERSION: &str = "member_version";
/// The id of the newest request that declared the members of an image.
pub const DECLARED: &str = "declared";
/// An attribute of images, called as in the API.
pub const OWNER: &str = "owner";
/// See [`OWNER`].
pub const VISIBILITY: &str = "visibility";
/// See [`OWNER`].
pub const NAME: &str = "name";
/// The status of an image or a membership.
pub const STATUS: &str = "status";
/// See [`OWNER`].
pub const PROTECTED: &str = "protected";
/// See [`OWNER`].
pub const OS_HIDDEN: &str = "os_hidden";
/// See [`OWNER`].
pub const MIN_RAM: &str = "min_ram";
/// See [`OWNER`].
pub const MIN_DISK: &str = "min_disk";
/// See [`OWNER`].
pub const CONTAINER_FORMAT: &str = "container_format";
/// See [`OWNER`].
pub const DISK_FORMAT: &str = "disk_format";
/// See [`OWNER`].
pub const SIZE: &str = "size";
/// See [`OWNER`].
pub const VIRTUAL_SIZE: &str = "virtual_size";
/// See [`OWNER`].
pub const CHECKSUM: &str = "checksum";
/// See [`OWNER`].
pub const OS_HASH_ALGO: &str = "os_hash_algo";
/// See [`OWNER`].
pub const OS_HASH_VALUE: &str = "os_hash_value";
/// See [`OWNER`].
pub const TAGS: &str = "tags";
/// Marks an image whose tags and properties are in an item of their own.
pub const TEXTS: &str = "texts";
/// An image's projection; of a membership, that of its image, or the image's last operation alone if
/// there is no room for more.
pub const PROJECTION: &str = "projection";
/// The value that [`NPK`] has while a membership is accepted.
pub const NAMED: &str = "named";
/// Until when lists do not rely on the indexes for a project's images.
pub const UNTIL: &str = "until";
/// Fingerprints of the tags and properties of an image that has them in an item of their own.
pub const SKETCH: &str = "sketch";
/// An upper estimate of such an image's size in an answer, in bytes.
pub const WEIGHT: &str = "weight";
/// Custom properties of an image, one map.
pub const PROPERTIES: &str = "properties";
/// When the record was created.
pub const CREATED_AT: &str = "created_at";
/// When the record last changed.
pub const UPDATED_AT: &str = "updated_at";
/// When a chunk of a job was last finished; not [`UPDATED_AT`], which the indexes carry.
pub const ADVANCED_AT: &str = "advanced_at";
/// The vault of a membership.
pub const VAULT_ID: &str = "vault_id";
/// The project of a job or an access key.
pub const PROJECT: &str = "project";
/// The kind of a job.
pub const KIND: &str = "kind";
/// The task of a job, as JSON.
pub const TASK: &str = "task";
/// Entries of a job.
pub const TOTAL: &str = "total";
/// Entries of a job that end memberships, if it replaces members.
pub const REMOVES: &str = "removes";
/// Rows of each chunk of a job but the last.
pub const CHUNK_ROWS: &str = "chunk_rows";
/// Entries of chunks that are not finished; 0 as soon as the job no longer counts as open. Jobs of releases up to
/// 0.1.0 have none, and are not counted.
pub const REMAINING: &str = "remaining";
/// Jobs of a project that have not ended.
pub const OPEN_JOBS: &str = "open_jobs";
/// Entries of these jobs.
pub const WAITING: &str = "waiting";
/// Images of a project.
pub const IMAGES: &str = "images";
/// Entries that succeeded.
pub const SUCCEEDED: &str = "succeeded";
/// Entries that failed.
pub const FAILED: &str = "failed";
/// Chunks with failed entries, and the code of the first of each.
pub const ERRORS: &str = "errors";
/// When a job ends at the latest.
pub const DEADLINE: &str = "deadline";
/// A page of a job's entries, as JSON.
pub const ENTRIES: &str = "entries";
/// The rows of a chunk that failed or changed nothing, as JSON.
pub const OUTCOMES: &str = "outcomes";
/// Whether an admin requested a job.
pub const ADMIN: &str = "admin";
/// The id of the request that started a job.
pub const REQUEST_ID: &str = "request_id";
/// The digest of the request that an idempotency key is bound to.
pub const DIGEST: &str = "digest";
/// The job that an idempotency key is bound to.
pub const JOB_ID: &str = "job_id";

/// The rules of a project about trusted owners, as JSON.
pub const RULES: &str = "rules";
/// The classes of projects with such rules, a set of numbers.
pub const CLASSES: &str = "classes";

/// Who last changed a record: see [`crate::domain::actor::Actor::stored`]. Of an image it leaves out changes
/// of its members.
pub const BY: &str = "by";
/// Who declared the members of an image last.
pub const DECLARED_BY: &str = "declared_by";
/// The version of a record, if it is not the first: see `super::reader::VERSION`.
pub const VERSION: &str = "v";

/// The secret of an access key.
pub const SECRET: &str = "secret";
/// The user of an access key, who is recorded with the changes that are signed with it.
pub const USER: &str = "user";
/// The roles of an access key, a list.
pub const ROLES: &str = "roles";
/// Whether an access key is disabled. A key without the attribute is enabled.
pub const DISABLED: &str = "disabled";
/// Who disabled an access key.
pub const DISABLED_BY: &str = "disabled_by";
/// Who created an access key.
pub const CREATED_BY: &str = "created_by";
/// The day on which an access key was last used.
pub const LAST_USED: &str = "last_used";
/// The ids of the keys that a user has for a project, a set.
pub const ACCESS_KEYS: &str = "access_keys";

/// Every attribute of the tables.
pub const ATTRIBUTES: &[&str] = &[
    PK,
    SK,
    GPK,
    GSK,
    VPK,
    NPK,
    ONPK,
    DPK,
    DSK,
    OPK,
    OSK,
    EXPIRES_AT,
    GONE,
    OP,
    ADDED,
    SHARED,
    SHARED_AS,
    ENDED,
    MEMBER_COUNT,
    MEMBER_VERSION,
    DECLARED,
    OWNER,
    VISIBILITY,
    NAME,
    STATUS,
    PROTECTED,
    OS_HIDDEN,
    MIN_RAM,
    MIN_DISK,
    CONTAINER_FORMAT,
    DISK_FORMAT,
    SIZE,
    VIRTUAL_SIZE,
    CHECKSUM,
    OS_HASH_ALGO,
    OS_HASH_VALUE,
    TAGS,
    TEXTS,
    PROJECTION,
    NAMED,
    UNTIL,
    SKETCH,
    WEIGHT,
    PROPERTIES,
    CREATED_AT,
    UPDATED_AT,
    ADVANCED_AT,
    VAULT_ID,
    PROJECT,
    KIND,
    TASK,
    TOTAL,
    REMOVES,
    CHUNK_ROWS,
    REMAINING,
    OPEN_JOBS,
    WAITING,
    IMAGES,
    SUCCEEDED,
    FAILED,
    ERRORS,
    DEADLINE,
    ENTRIES,
    OUTCOMES,
    ADMIN,
    REQUEST_ID,
    DIGEST,
    JOB_ID,
    RULES,
    CLASSES,
    BY,
    DECLARED_BY,
    VERSION,
    SECRET,
    USER,
    ROLES,
    DISABLED,
    DISABLED_BY,
    CREATED_BY,
    LAST_USED,
    ACCESS_KEYS,
];

/// What `by_visibility` holds beside keys: an image's projection, which the store filters by as well, and
/// what is said of texts that are apart. Each attribute costs every list time, and the count of members,
/// which every share changes, would cost writes.
pub const IMAGES_PROJECTED: &[&str] = &[PROJECTION, SKETCH, WEIGHT];

/// What `by_project` holds beside keys: the same of images and of memberships, and jobs. At most 20
/// attributes, fixed once a table is in use.
pub const PROJECTED: &[&str] = &[
    PROJECTION, SKETCH, WEIGHT, VAULT_ID, CREATED_AT, UPDATED_AT, KIND, TOTAL, SUCCEEDED, FAILED,
    DEADLINE,
];

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

/// Partition key of an image, its memberships included.
pub fn image_pk(id: ImageId) -> String {
    format!("IMAGE#{id}")
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
    format!("JOB#{id}")
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

/// The prefix of the partition keys of projects.
pub const PROJECT_PREFIX: &str = "PROJECT#";

/// Key of a project's rules about trusted owners.
pub fn trust_key(project: &ProjectId) -> Item {
    key(format!("{PROJECT_PREFIX}{project}"), "TRUST".to_owned())
}

/// Key of the count of a project's open jobs.
pub fn usage_key(project: &ProjectId) -> Item {
    key(format!("{PROJECT_PREFIX}{project}"), "USAGE".to_owned())
}

/// Key of the count of a project's images.
pub fn images_key(project: &ProjectId) -> Item {
    key(format!("{PROJECT_PREFIX}{project}"), "IMAGES".to_owned())
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

/// Index partition of a project's own images.
pub fn owner_gpk(project: &ProjectId) -> String {
    format!("OWNER#{project}")
}

/// Index partition of the memberships of a project in one status.
pub fn status_gpk(status: MemberStatus, member: &ProjectId) -> String {
    format!("{}#{member}", status.as_str())
}

/// Key of a project's freshness mark.
pub fn fresh_key(project: &ProjectId) -> Item {
    key(format!("PROJECT#{project}"), FRESH.to_owned())
}

/// A text as a part of keys: its length does not depend on the text's.
fn hash_of(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash.first_chunk::<8>().map(hex::encode).unwrap_or_default()
}

/// Index partition of a project's own images of one name.
pub fn owner_npk(project: &ProjectId, name: &str) -> String {
    format!("OWNER#{project}#{}", hash_of(name))
}

/// Index partition of the images of one name that a member has accepted.
pub fn member_npk(member: &ProjectId, name: &str) -> String {
    format!("MEMBER#{member}#{}", hash_of(name))
}

/// Index partition of the images of one name and a visibility that is open to all.
pub fn open_onpk(visibility: Visibility, name: &str) -> String {
    format!("{}#{}", visibility.as_str(), hash_of(name))
}

/// Index partition of what a project shares with others.
pub fn shared_by_opk(owner: &ProjectId) -> String {
    format!("SHARED_BY#{owner}")
}

/// Index sort key of a membership among those of its image's owner: by the share that created it. Of the
/// image and the member it has a hash, because a sort key has at most 1024 bytes.
pub fn share_osk(share: OperationId, image: ImageId, member: &ProjectId) -> String {
    format!("{share}#{}", hash_of(&format!("{image}{member}")))
}

/// Index partition of a project's jobs.
pub fn jobs_gpk(project: &ProjectId) -> String {
    format!("JOBS#{project}")
}

/// Index partition of the images of one visibility.
pub fn visibility_vpk(visibility: Visibility) -> String {
    format!("VISIBILITY#{}", visibility.as_str())
}

/// Index partition of a record that is due, by any text that differs from record to record.
pub fn due_dpk(record: &str) -> String {
    let sum = record
        .bytes()
        .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    due_partition(sum % DUE_PARTITIONS)
}

/// One of the [`DUE_PARTITIONS`] partitions.
pub fn due_partition(number: u8) -> String {
    format!("DUE#{number}")
}

/// Index sort key of an image and of its memberships: by age, then by id.
pub fn image_gsk(created_at: Timestamp, id: ImageId) -> String {
    format!("{}#{id}", created_at.stored())
}
