//! The indexes: their names, what they hold, and their keys.

use sha2::{Digest as _, Sha256};

use super::attributes::{
    CREATED_AT, DEADLINE, FAILED, KIND, PROJECTION, SKETCH, SUCCEEDED, TOTAL, UPDATED_AT, VAULT_ID,
    WEIGHT,
};
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::member::MemberStatus;
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// The index from projects to their images, memberships and jobs.
pub const BY_PROJECT: &str = "by_project";
/// The index from a visibility to its images.
pub const BY_VISIBILITY: &str = "by_visibility";
/// The index from a project and a name to its images and to those that it has accepted.
pub const BY_NAME: &str = "by_name";
/// The index from a name to the images that are open to all.
pub const BY_OPEN_NAME: &str = "by_open_name";
/// The index of records that are due, by the time from which the sweep handles them.
pub const BY_DUE: &str = "by_due";
/// The index from an owner to the memberships of its images.
pub const BY_OWNER: &str = "by_owner";
/// Partitions of [`BY_DUE`]. Each adds the write throughput of one key.
pub const DUE_PARTITIONS: u8 = 16;

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

/// Index partition of a project's own images.
pub fn owner_gpk(project: &ProjectId) -> String {
    format!("OWNER#{project}")
}

/// Index partition of the memberships of a project in one status.
pub fn status_gpk(status: MemberStatus, member: &ProjectId) -> String {
    format!("{}#{member}", status.as_str())
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
