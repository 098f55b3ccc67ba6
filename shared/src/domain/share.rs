//! Shares: memberships as the lists of invitations and of shares show them, each with what it is of.

use super::id::{ImageId, ProjectId};
use super::image::Image;
use super::member::{Member, MemberStatus};
use super::time::Timestamp;

/// A membership of a shared image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The image.
    pub image_id: ImageId,
    /// The image's name.
    pub image_name: Option<String>,
    /// The project that owns the image.
    pub owner: ProjectId,
    /// The project that it is shared with.
    pub member_id: ProjectId,
    /// The answer of that project.
    pub status: MemberStatus,
    /// When the membership was created.
    pub created_at: Timestamp,
    /// When the status last changed.
    pub updated_at: Timestamp,
}

impl Share {
    /// The membership `member` of `image`.
    pub fn of(image: &Image, member: Member) -> Self {
        Self {
            image_id: member.image_id,
            image_name: image.name.clone(),
            owner: image.owner.clone(),
            member_id: member.member_id,
            status: member.status,
            created_at: member.created_at,
            updated_at: member.updated_at,
        }
    }
}
