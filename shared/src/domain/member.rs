//! Memberships: an image that is shared with a project, and the project's answer.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::Timestamp;

/// The status of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// Not answered: the image can be used by its id but is not in the member's list.
    Pending,
    /// The image is in the member's list.
    Accepted,
    /// The image is not in the member's list; it can still be used by its id.
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

    /// Parses a word, in exactly this spelling.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// An existing membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The image that is shared.
    pub image_id: ImageId,
    /// The project that it is shared with.
    pub member_id: ProjectId,
    /// The project's answer.
    pub status: MemberStatus,
    /// The vault that was named when an image made from a backup was accepted.
    pub vault_id: Option<String>,
    /// When it was created. A membership that was removed and added again is a new one.
    pub created_at: Timestamp,
    /// When the status last changed.
    pub updated_at: Timestamp,
    /// The operation that created it.
    pub added: OperationId,
    /// The newest share: `added`, or a later request that found the membership there. A removal that
    /// was accepted before it and arrives later must not end the membership for good.
    pub shared: OperationId,
    /// The removal that ended the membership before this one, if it arrived after `shared`.
    pub ended: Option<OperationId>,
    /// The last operation applied to it.
    pub op: OperationId,
}

impl Member {
    /// The membership that a share creates: pending.
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

    /// The newest operation recorded in it; see [`Membership::newest`].
    pub fn newest(&self) -> OperationId {
        self.op.max(self.shared)
    }

    /// The membership after a late removal, accepted between the share that created it and its newest
    /// share: as if the removal had been applied in time. An answer that is newer than the newest share
    /// stays.
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
    pub fn view(&self) -> Value {
        json!({
            "member_id": self.member_id.as_str(),
            "image_id": self.image_id.to_string(),
            "status": self.status.as_str(),
            "created_at": self.created_at.seconds(),
            "updated_at": self.updated_at.seconds(),
            "schema": "/v2/schemas/member",
        })
    }
}

/// The item under a membership's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// A membership.
    Present(Member),
    /// The tombstone of a removed membership. It is never shown; it keeps an older batch from adding the
    /// member again.
    Gone {
        /// The operation that had created the membership.
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

    /// The last operation applied to it.
    pub fn op(&self) -> OperationId {
        match self {
            Self::Present(member) => member.op,
            Self::Gone { op, .. } => *op,
        }
    }

    /// The newest operation recorded in it: the last one applied, or a newer share of a member that
    /// exists. A direct call takes an id after both.
    pub fn newest(&self) -> OperationId {
        match self {
            Self::Present(member) => member.newest(),
            Self::Gone { op, .. } => *op,
        }
    }
}

/// The items under the keys of some members of one image.
pub type Memberships = HashMap<ProjectId, Membership>;
