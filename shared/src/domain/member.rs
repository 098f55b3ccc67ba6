//! A membership: one project's standing on one image. Pure.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::{Seconds, Timestamp};

/// What the member answered. Only an accepted image is in the member's list; an image can be used by
/// its id in any status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MemberStatus {
    /// Not yet: the image can be used by id but is not in the member's list.
    Pending,
    /// The image is in the member's list.
    Accepted,
    /// The image stays out of the member's list; it can still be used by id.
    Rejected,
}

impl MemberStatus {
    /// Every status, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Accepted, Self::Rejected];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    /// The status that a word names, in exactly this spelling.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A membership that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The image that is shared.
    pub image_id: ImageId,
    /// The project that it is shared with.
    pub member_id: ProjectId,
    /// What that project answered.
    pub status: MemberStatus,
    /// The vault named by the batch that accepted an image made from a backup.
    pub vault_id: Option<String>,
    /// When the project was added; a membership that was removed and added again is a new one.
    pub created_at: Timestamp,
    /// When the status last changed.
    pub updated_at: Timestamp,
    /// The operation that created it.
    pub added: OperationId,
    /// The newest request that shared the image with the project: `added`, or a later one that
    /// found the membership there. An older removal that arrives after it ends what was there
    /// before, and not what this request wants.
    pub shared: OperationId,
    /// The removal that ended the membership before this one, if it arrived after `shared`.
    pub ended: Option<OperationId>,
    /// The last operation applied to it.
    pub op: OperationId,
}

impl Member {
    /// The membership that a share creates: pending, and without a history.
    pub fn new(image_id: ImageId, member_id: ProjectId, op: OperationId, now: Timestamp) -> Self {
        Self {
            image_id,
            member_id,
            status: MemberStatus::Pending,
            vault_id: None,
            created_at: now,
            updated_at: now,
            added: op,
            shared: op,
            ended: None,
            op,
        }
    }

    /// The newest operation that is noted in it, as [`Membership::newest`].
    pub fn newest(&self) -> OperationId {
        self.op.max(self.shared)
    }

    /// The membership after a removal that was accepted between the share that created it and a
    /// later share: as if the removal had been applied in time. An answer that is newer than the
    /// later share stays.
    pub fn renewed(self, removal: OperationId) -> Self {
        let shared_at = self.shared.time();
        let answered = self.op > self.shared;
        let op = self.newest();
        Self {
            status: if answered {
                self.status
            } else {
                MemberStatus::Pending
            },
            vault_id: self.vault_id.filter(|_| answered),
            updated_at: if answered { self.updated_at } else { shared_at },
            created_at: shared_at,
            added: self.shared,
            ended: Some(removal),
            op,
            ..self
        }
    }

    /// The membership as Glance shows it.
    pub fn view(&self) -> MemberView<'_> {
        MemberView {
            member_id: &self.member_id,
            image_id: self.image_id,
            status: self.status,
            created_at: Seconds(self.created_at),
            updated_at: Seconds(self.updated_at),
            schema: "/v2/schemas/member",
        }
    }

    /// The membership as IMS shows it.
    pub fn cloud_view(&self) -> CloudMemberView<'_> {
        CloudMemberView {
            member: self.view(),
            member_type: "project",
        }
    }
}

/// A membership: one project's access to one image.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Member))]
pub struct MemberView<'a> {
    /// The project that the image is shared with.
    pub member_id: &'a ProjectId,
    /// The image.
    pub image_id: ImageId,
    /// What the project answered.
    pub status: MemberStatus,
    /// When the image was shared with the project.
    pub created_at: Seconds,
    /// When the status last changed.
    pub updated_at: Seconds,
    /// The path of the schema of this answer.
    #[cfg_attr(feature = "openapi", schema(pattern = "^/v2/schemas/member$"))]
    pub schema: &'static str,
}

/// A membership as IMS shows it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CloudMember))]
pub struct CloudMemberView<'a> {
    /// The membership.
    #[serde(flatten)]
    pub member: MemberView<'a>,
    /// What the member is: IMS knows domains and organizations beside projects.
    #[cfg_attr(feature = "openapi", schema(pattern = "^project$"))]
    pub member_type: &'static str,
}

/// What is stored under a membership's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// A membership.
    Present(Member),
    /// The tombstone of one that was removed: never shown, it keeps an older batch from bringing
    /// back what was taken away.
    Gone {
        /// The operation that had added it.
        added: OperationId,
        /// The operation that removed it.
        op: OperationId,
    },
}

impl Membership {
    /// The membership if it exists.
    pub fn present(self) -> Option<Member> {
        match self {
            Self::Present(member) => Some(member),
            Self::Gone { .. } => None,
        }
    }

    /// The last operation applied under this key.
    pub fn op(&self) -> OperationId {
        match self {
            Self::Present(member) => member.op,
            Self::Gone { op, .. } => *op,
        }
    }

    /// The newest operation that is noted under this key. A batch that shares what is shared already
    /// is noted beside the last operation applied; a direct call takes an id after both.
    pub fn newest(&self) -> OperationId {
        match self {
            Self::Present(member) => member.newest(),
            Self::Gone { op, .. } => *op,
        }
    }
}

/// What is stored under the keys of some members of one image.
pub type Memberships = HashMap<ProjectId, Membership>;
