//! What is stored of a membership, and what an entry of a batch and a direct call do to it.

use shared::domain::change::{self, Change, EntryKind, Step, step};
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::member::{Member, MemberStatus, Membership};
use shared::domain::time::Timestamp;

use super::Intent::{self, Answer, Declare, Share, Unshare};
use super::protocol::{Protocol, Scenario};
use super::{Reported, Seen};
use crate::harness::OWNER;

/// The stored part of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cell {
    Nothing,
    Present {
        status: MemberStatus,
        added: OperationId,
        shared: OperationId,
        ended: Option<OperationId>,
        op: OperationId,
    },
    Gone {
        added: OperationId,
        op: OperationId,
    },
}

impl Cell {
    /// What is stored, where a rule gives new shares this status.
    pub(super) fn membership(self, rule: MemberStatus) -> Option<Membership> {
        thread_local!(static SOMEBODY: ProjectId = ProjectId::parse("m").unwrap());
        let time = Timestamp::from_micros(0);
        match self {
            Self::Nothing => None,
            Self::Gone { added, op } => Some(Membership::Gone { added, op }),
            Self::Present {
                status,
                added,
                shared,
                ended,
                op,
            } => Some(Membership::Present(Member {
                image_id: ImageId::any_spelling(OWNER).unwrap(),
                member_id: SOMEBODY.with(Clone::clone),
                status,
                vault_id: None,
                created_at: time,
                updated_at: time,
                added,
                shared,
                shared_as: rule,
                ended,
                op,
                by: None,
            })),
        }
    }

    pub(super) fn of(member: &Member) -> Self {
        Self::Present {
            status: member.status,
            added: member.added,
            shared: member.shared,
            ended: member.ended,
            op: member.op,
        }
    }

    /// A membership created by this operation.
    pub(super) fn new(status: MemberStatus, op: OperationId) -> Self {
        Self::Present {
            status,
            added: op,
            shared: op,
            ended: None,
            op,
        }
    }

    pub(super) fn seen(self) -> Seen {
        match self {
            Self::Present { status, .. } => Some(status),
            Self::Nothing | Self::Gone { .. } => None,
        }
    }

    /// The write of a request that may be applied.
    pub(super) fn written(self, intent: Intent, op: OperationId, rule: MemberStatus) -> Self {
        match (intent.of_entry(), self) {
            (
                Answer(status),
                Self::Present {
                    added,
                    shared,
                    ended,
                    ..
                },
            ) => Self::Present {
                status,
                added,
                shared,
                ended,
                op,
            },
            (Unshare, Self::Present { added, .. }) => Self::Gone { added, op },
            (Share, Self::Nothing | Self::Gone { .. }) => Self::new(rule, op),
            (Share | Declare(_), Self::Present { .. })
            | (Answer(_) | Unshare | Declare(_), Self::Nothing | Self::Gone { .. }) => {
                panic!("{intent:?} was to be applied to {self:?}")
            }
        }
    }

    /// The membership after a share that found it there.
    fn confirmed(mut self, share: OperationId) -> Self {
        if let Self::Present { shared, .. } = &mut self {
            *shared = share;
        }
        self
    }

    /// An entry that is applied whatever was decided since.
    pub(super) fn forced(
        self,
        intent: Intent,
        op: OperationId,
        rule: MemberStatus,
    ) -> (Self, Reported) {
        match (intent.of_entry(), self) {
            (Answer(_) | Unshare, Self::Nothing | Self::Gone { .. }) => (self, Reported::Refused),
            (Share, Self::Present { .. }) => (self.confirmed(op), Reported::Succeeded),
            _ => (self.written(intent, op, rule), Reported::Succeeded),
        }
    }

    /// An entry of a batch, applied as the product does.
    pub(super) fn entry(
        self,
        intent: Intent,
        op: OperationId,
        scenario: &Scenario,
    ) -> (Self, Reported) {
        let (protocol, rule) = (scenario.protocol, scenario.rule);
        let declared = match intent.kind() {
            EntryKind::Add if protocol != Protocol::ForgetsDeclarations => scenario.declared(),
            EntryKind::Add | EntryKind::Update | EntryKind::Remove => None,
        };
        let older = declared.filter(|declared| *declared > op);
        let stored = change::after_declaration(self.membership(rule), older);
        let (next, change) = match (step(stored.as_ref(), intent.kind(), op), self) {
            (Step::Done(change), _) => (self, change),
            (Step::Write, _) => (self.written(intent, op, rule), Change::Applied),
            (Step::LeaveTombstone, _) => (Self::Gone { added: op, op }, Change::Unneeded),
            (Step::Confirm, Self::Present { .. }) => {
                let mut confirmed = self.confirmed(op);
                if let (Protocol::ForgetsTheFirstShare, Self::Present { added, .. }) =
                    (protocol, &mut confirmed)
                {
                    *added = op;
                }
                (confirmed, Change::Unneeded)
            }
            (Step::Renew(_), _) if protocol == Protocol::RefusesLateRemovals => {
                return (self, Reported::Refused);
            }
            (Step::Renew(member), _) => {
                let member = Member {
                    shared_as: match protocol {
                        Protocol::ForgetsTheRule => MemberStatus::Pending,
                        _ => member.shared_as,
                    },
                    ..member
                };
                (Self::of(&member.renewed(op)), Change::Applied)
            }
            (Step::Confirm, Self::Nothing | Self::Gone { .. }) => panic!("nothing to confirm"),
        };
        (next, reported(intent, &change, op))
    }
}

pub(super) fn reported(intent: Intent, change: &Change, op: OperationId) -> Reported {
    match change::outcome(intent.kind(), change, op).succeeded() {
        true => Reported::Succeeded,
        false => Reported::Refused,
    }
}

impl Intent {
    /// What an entry of it does.
    pub(super) fn of_entry(self) -> Self {
        match self {
            Declare(true) => Share,
            Declare(false) => Unshare,
            Share | Answer(_) | Unshare => self,
        }
    }
}
