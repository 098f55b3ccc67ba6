//! Memberships: an image that is shared with a project, and the project's answer.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::{Seconds, Timestamp};

/// What a member is: IMS knows domains and organizations beside projects.
pub const MEMBER_TYPE: &str = "project";

/// The status of a membership. Only an accepted image is in the member's list; an image can be used by
/// its id in any status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// The status that the newest share gives to a membership that it creates: pending, or what the
    /// member's rule for the owner said when it was applied.
    pub shared_as: MemberStatus,
    /// The removal that ended the membership before this one, if it arrived after `shared`.
    pub ended: Option<OperationId>,
    /// The last operation applied to it.
    pub op: OperationId,
    /// Who requested that operation; `None` if an earlier release has written the record.
    pub by: Option<Actor>,
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
            shared_as: MemberStatus::Pending,
            ended: None,
            op,
            by: None,
        }
    }

    /// The membership as this actor has changed it.
    pub fn by(self, by: Option<Actor>) -> Self {
        Self { by, ..self }
    }

    /// The new membership as a rule of the member's has answered for it.
    pub fn answered_by_rule(self, status: MemberStatus) -> Self {
        Self {
            status,
            shared_as: status,
            ..self
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
                self.shared_as
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
            member_type: MEMBER_TYPE,
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

    /// Whether it exists.
    pub const fn is_present(&self) -> bool {
        matches!(self, Self::Present(_))
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(0).plus_seconds(second)
    }

    /// A membership that was shared at the seconds 10 and 30, and when its member answered.
    fn member(answered: i64) -> Member {
        let [added, shared, op] =
            [10, 30, answered].map(|second| OperationId::at(at(second).micros()));
        Member {
            status: MemberStatus::Accepted,
            vault_id: Some("vault".to_owned()),
            updated_at: at(answered),
            shared,
            op,
            ..Member::new(
                ImageId::canonical("5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01").unwrap(),
                ProjectId::parse("p").unwrap(),
                added,
                at(10),
            )
        }
    }

    #[test]
    fn a_status_has_one_spelling() {
        for (status, word) in MemberStatus::ALL
            .into_iter()
            .zip(["pending", "accepted", "rejected"])
        {
            assert_eq!(status.as_str(), word);
            assert_eq!(MemberStatus::parse(word), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), word);
            assert_eq!(MemberStatus::parse(&word.to_uppercase()), None);
        }
        assert_eq!(MemberStatus::parse(""), None);
        assert_eq!(MemberStatus::parse("all"), None);
    }

    #[test]
    fn a_new_membership_is_pending_and_has_no_history() {
        let (op, image) = (OperationId::at(0), ImageId::random());
        let project = ProjectId::parse("p").unwrap();
        let new = Member::new(image, project, op, at(1));
        assert_eq!(
            (new.status, new.vault_id.as_deref()),
            (MemberStatus::Pending, None)
        );
        assert_eq!((new.created_at, new.updated_at), (at(1), at(1)));
        assert_eq!(
            (new.added, new.shared, new.op, new.ended),
            (op, op, op, None)
        );
    }

    #[test]
    fn a_renewed_membership_begins_with_its_newest_share() {
        let removal = OperationId::at(at(20).micros());
        // Answered before the newest share: what was answered is forgotten.
        let before = member(15);
        let renewed = before.clone().renewed(removal);
        let expected = Member {
            status: MemberStatus::Pending,
            vault_id: None,
            created_at: at(30),
            updated_at: at(30),
            added: before.shared,
            ended: Some(removal),
            op: before.shared,
            ..before.clone()
        };
        assert_eq!(renewed, expected);
        // Answered after it: the answer stays.
        let after = member(40);
        let renewed = after.clone().renewed(removal);
        let expected = Member {
            created_at: at(30),
            added: after.shared,
            ended: Some(removal),
            ..after
        };
        assert_eq!(renewed, expected);
        assert_eq!(expected.updated_at, at(40));
        // A rule has answered for the newest share.
        let by_rule = Member {
            shared_as: MemberStatus::Rejected,
            ..before
        };
        assert_eq!(by_rule.renewed(removal).status, MemberStatus::Rejected);
        // The share itself is no answer.
        let unanswered = Member {
            op: expected.shared,
            ..expected
        };
        assert_eq!(unanswered.renewed(removal).status, MemberStatus::Pending);
    }

    #[test]
    fn the_newest_operation_is_an_answer_or_a_share() {
        let (earlier, later) = (member(15), member(40));
        assert_eq!(earlier.newest(), earlier.shared);
        assert_eq!(later.newest(), later.op);
        for member in [earlier, later] {
            let stored = Membership::Present(member.clone());
            assert_eq!(stored.newest(), member.newest());
            assert_eq!(stored.op(), member.op);
            assert_eq!(stored.present(), Some(member));
        }
        let [added, op] = [1, 2].map(OperationId::at);
        let gone = Membership::Gone { added, op };
        assert_eq!((gone.op(), gone.newest()), (op, op));
        assert_eq!(gone.present(), None);
    }
}
