//! The protocol of batch entries: what an entry does to a stored membership, and its outcome.
//!
//! The store, the function that settles dead letters and the model in the tests all use [`step`], so
//! they cannot disagree.

use std::cmp::Ordering;

use crate::domain::id::OperationId;
use crate::domain::ims_code::ImsCode;
use crate::domain::member::{Member, MemberStatus, Membership};
use crate::domain::outcome::Outcome;

/// What an entry does to its membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Shares the image with the project.
    Add,
    /// Answers for the project.
    Update,
    /// Ends the membership.
    Remove,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Add, Self::Update, Self::Remove];

    /// The code of an entry that could not be applied: its message was given up, or the cause does not pass.
    pub const fn gave_up(self) -> ImsCode {
        match self {
            Self::Add => ImsCode::AddFailed,
            Self::Update | Self::Remove => ImsCode::DeleteFailed,
        }
    }
}

/// The result of a request for one membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This request changed the membership.
    Applied,
    /// An earlier delivery of this request had changed it.
    AppliedBefore,
    /// This request, now or in an earlier delivery, shared the image, and a rule of the member's has
    /// answered.
    Answered(MemberStatus),
    /// Nothing had to change: the project is a member already, the answer was given already, or there
    /// was no member to remove.
    Unneeded,
    /// A newer request has decided. Nothing was written.
    Superseded(Membership),
    /// There is no membership to answer for.
    Absent,
    /// The image's member quota is full.
    QuotaFull,
}

/// What a batch entry has to do to a stored membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the change: create, answer or remove.
    Write,
    /// Record a newer share of an existing membership, so that an older removal that arrives later does
    /// not end it for good.
    Confirm,
    /// Remove and create anew in one write: this removal was accepted before the newest share.
    Renew(Member),
    /// Leave a tombstone where there is no membership, so that an older share that arrives later does
    /// not create one.
    LeaveTombstone,
    /// Nothing.
    Done(Change),
}

/// Classifies an entry against the stored membership. Applied in any order of delivery, entries have
/// the effect that they would have in the order in which their requests were accepted.
///
/// | | nothing stored | tombstone, older | tombstone, newer | member added later | member shared anew later | member |
/// |---|---|---|---|---|---|---|
/// | share | write | write | superseded | unneeded | unneeded | confirm |
/// | answer | absent | absent | absent | superseded | write | write, or superseded by a newer answer |
/// | remove | tombstone | tombstone | superseded | superseded | renew | write |
pub fn step(stored: Option<&Membership>, kind: EntryKind, op: OperationId) -> Step {
    use Change::{Absent, AppliedBefore, Superseded, Unneeded};
    match (kind, stored) {
        (EntryKind::Add, None) => Step::Write,
        (EntryKind::Add, Some(Membership::Gone { op: gone, .. })) if *gone < op => Step::Write,
        (EntryKind::Add, Some(gone @ Membership::Gone { .. })) => {
            Step::Done(Superseded(gone.clone()))
        }
        (EntryKind::Add, Some(Membership::Present(member))) => {
            if member.added == op {
                Step::Done(match member.shared_as {
                    status @ (MemberStatus::Accepted | MemberStatus::Rejected)
                        if member.shared == op =>
                    {
                        Change::Answered(status)
                    }
                    // Or the status is that of a later share, and tells nothing about this one.
                    MemberStatus::Pending | MemberStatus::Accepted | MemberStatus::Rejected => {
                        AppliedBefore
                    }
                })
            } else if member.shared >= op {
                Step::Done(Unneeded)
            } else {
                Step::Confirm
            }
        }
        (EntryKind::Update, None | Some(Membership::Gone { .. })) => Step::Done(Absent),
        (EntryKind::Update, Some(present @ Membership::Present(member))) => {
            match member.op.cmp(&op) {
                Ordering::Less => Step::Write,
                Ordering::Equal => Step::Done(AppliedBefore),
                Ordering::Greater => Step::Done(Superseded(present.clone())),
            }
        }
        (EntryKind::Remove, None) => Step::LeaveTombstone,
        (EntryKind::Remove, Some(gone @ Membership::Gone { added, op: removed })) => {
            match removed.cmp(&op) {
                Ordering::Less => Step::LeaveTombstone,
                // This removal left it where there was no member.
                Ordering::Equal if *added == op => Step::Done(Unneeded),
                Ordering::Equal => Step::Done(AppliedBefore),
                Ordering::Greater => Step::Done(Superseded(gone.clone())),
            }
        }
        (EntryKind::Remove, Some(present @ Membership::Present(member))) => {
            if member.ended == Some(op) {
                Step::Done(AppliedBefore)
            } else if member.added > op {
                Step::Done(Superseded(present.clone()))
            } else if member.shared > op {
                Step::Renew(member.clone())
            } else {
                Step::Write
            }
        }
    }
}

/// The membership that a share finds on an image whose members were declared: everybody who was neither a
/// member nor declared counts as removed by that request.
///
/// It keeps out a share that was accepted before the declaration and arrives after it. Who is a member,
/// or was removed later, is judged by what is stored.
pub fn after_declaration(
    stored: Option<Membership>,
    declared: Option<OperationId>,
) -> Option<Membership> {
    match (stored, declared) {
        (None, Some(op)) => Some(Membership::Gone { added: op, op }),
        (Some(Membership::Gone { added, op: removed }), Some(op)) if removed < op => {
            Some(Membership::Gone { added, op })
        }
        (stored, _) => stored,
    }
}

/// The outcome of an entry, by its change.
pub fn outcome(kind: EntryKind, change: &Change, op: OperationId) -> Outcome {
    match (kind, change) {
        (_, Change::Applied | Change::AppliedBefore) => Outcome::Changed,
        (_, Change::Answered(status)) => Outcome::Answered(*status),
        (_, Change::Unneeded) => Outcome::Unchanged,
        (_, Change::QuotaFull) => Outcome::Failed(ImsCode::QuotaFull),
        // A newer request has the last word; this one has nothing left to change.
        (EntryKind::Add | EntryKind::Remove, Change::Superseded(_) | Change::Absent) => {
            Outcome::Unchanged
        }
        (EntryKind::Update, Change::Superseded(Membership::Present(member)))
            if member.added <= op =>
        {
            Outcome::Unchanged
        }
        // The membership was ended, and the image shared anew, after this answer was accepted.
        (EntryKind::Update, Change::Superseded(Membership::Present(_))) => {
            Outcome::Failed(ImsCode::NoSuchMember)
        }
        // A project that is not a member must not learn of the image.
        (EntryKind::Update, Change::Superseded(Membership::Gone { .. }) | Change::Absent) => {
            Outcome::Failed(ImsCode::ImageNotFound)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{ImageId, ProjectId};
    use crate::domain::time::Timestamp;

    /// The n-th operation.
    fn op(n: u32) -> OperationId {
        OperationId::parse(&format!("{n:032x}")).unwrap()
    }

    /// A membership that the first operation created, the second shared anew and the third answered.
    fn member(added: u32, shared: u32, last: u32) -> Member {
        let image = ImageId::canonical("5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01").unwrap();
        let project = ProjectId::parse("p").unwrap();
        Member {
            shared: op(shared),
            op: op(last),
            status: MemberStatus::Accepted,
            ..Member::new(image, project, op(added), Timestamp::from_micros(0))
        }
    }

    fn present(added: u32, shared: u32, last: u32) -> Membership {
        Membership::Present(member(added, shared, last))
    }

    fn gone(added: u32, removed: u32) -> Membership {
        Membership::Gone {
            added: op(added),
            op: op(removed),
        }
    }

    /// Every cell of the table in the documentation of [`step`], for the operation 5.
    #[test]
    fn the_step_of_each_kind_at_each_state() {
        let superseded = |by: &Membership| Step::Done(Change::Superseded(by.clone()));
        let done = Step::Done;
        let (older, newer) = (gone(1, 4), gone(1, 6));
        let (added_later, shared_later) = (present(6, 6, 6), present(1, 6, 4));
        let (plain, answered_later) = (present(1, 1, 4), present(1, 1, 6));
        for (stored, share, answer, remove) in [
            (
                None,
                Step::Write,
                done(Change::Absent),
                Step::LeaveTombstone,
            ),
            (
                Some(&older),
                Step::Write,
                done(Change::Absent),
                Step::LeaveTombstone,
            ),
            (
                Some(&newer),
                superseded(&newer),
                done(Change::Absent),
                superseded(&newer),
            ),
            (
                Some(&added_later),
                done(Change::Unneeded),
                superseded(&added_later),
                superseded(&added_later),
            ),
            (
                Some(&shared_later),
                done(Change::Unneeded),
                Step::Write,
                Step::Renew(member(1, 6, 4)),
            ),
            (Some(&plain), Step::Confirm, Step::Write, Step::Write),
            (
                Some(&answered_later),
                Step::Confirm,
                superseded(&answered_later),
                Step::Write,
            ),
        ] {
            let steps = EntryKind::ALL.map(|kind| step(stored, kind, op(5)));
            assert_eq!(steps, [share, answer, remove], "{stored:?}");
        }
    }

    /// A redelivery finds what the first delivery left.
    #[test]
    fn a_redelivery_does_nothing() {
        let before = Step::Done(Change::AppliedBefore);
        let unneeded = Step::Done(Change::Unneeded);
        let ended = Membership::Present(Member {
            ended: Some(op(5)),
            ..member(6, 6, 6)
        });
        let own_share_removed = gone(5, 7);
        let answered = Step::Done(Change::Answered(MemberStatus::Rejected));
        let by_rule = |shared| {
            Membership::Present(Member {
                shared_as: MemberStatus::Rejected,
                ..member(5, shared, 5)
            })
        };
        for (kind, stored, expected) in [
            // Its own share, also after an answer or a later share.
            (EntryKind::Add, present(5, 5, 5), &before),
            (EntryKind::Add, present(5, 6, 7), &before),
            // A rule had answered for it.
            (EntryKind::Add, by_rule(5), &answered),
            (EntryKind::Add, by_rule(6), &before),
            // Its own confirmation of an older share.
            (EntryKind::Add, present(1, 5, 1), &unneeded),
            (
                EntryKind::Add,
                own_share_removed.clone(),
                &Step::Done(Change::Superseded(own_share_removed)),
            ),
            // No two operations have one id, so no share finds a tombstone of its own.
            (
                EntryKind::Add,
                gone(1, 5),
                &Step::Done(Change::Superseded(gone(1, 5))),
            ),
            (EntryKind::Update, present(1, 1, 5), &before),
            (EntryKind::Remove, gone(1, 5), &before),
            // Its own tombstone, left where there was no member.
            (EntryKind::Remove, gone(5, 5), &unneeded),
            // Its own removal, after which the image was shared anew in the same write.
            (EntryKind::Remove, ended, &before),
        ] {
            assert_eq!(step(Some(&stored), kind, op(5)), *expected, "{stored:?}");
        }
    }

    #[test]
    fn a_declaration_keeps_out_whom_it_does_not_name() {
        let declared = Some(op(5));
        let add = |stored: Option<Membership>, of| {
            let found = after_declaration(stored, declared);
            step(found.as_ref(), EntryKind::Add, op(of))
        };
        for stored in [None, Some(gone(1, 4))] {
            // An older share comes too late; the declaration's own and newer ones are applied.
            let late = add(stored.clone(), 4);
            assert!(
                matches!(late, Step::Done(Change::Superseded(_))),
                "{late:?}"
            );
            assert_eq!(add(stored.clone(), 6), Step::Write);
            assert_eq!(after_declaration(stored.clone(), None), stored);
        }
        assert_eq!(after_declaration(None, declared), Some(gone(5, 5)));
        assert_eq!(
            after_declaration(Some(gone(1, 6)), declared),
            Some(gone(1, 6))
        );
        let member = present(1, 1, 1);
        assert_eq!(
            after_declaration(Some(member.clone()), declared),
            Some(member)
        );
    }

    /// Shares of one operation at the very instant of another are neither before nor after it.
    #[test]
    fn a_removal_ends_what_was_shared_until_then() {
        for (stored, expected) in [
            (present(5, 5, 5), Step::Write),
            (present(1, 5, 5), Step::Write),
            (present(1, 1, 5), Step::Write),
        ] {
            assert_eq!(step(Some(&stored), EntryKind::Remove, op(5)), expected);
        }
    }

    #[test]
    fn what_each_change_tells_of_its_entry() {
        use Outcome::{Answered, Changed, Failed, Unchanged};
        let by = |stored: Membership| Change::Superseded(stored);
        let no_image = Failed(ImsCode::ImageNotFound);
        let full = Failed(ImsCode::QuotaFull);
        for (change, outcomes) in [
            (Change::Applied, [Changed; 3]),
            (Change::AppliedBefore, [Changed; 3]),
            (
                Change::Answered(MemberStatus::Accepted),
                [Answered(MemberStatus::Accepted); 3],
            ),
            (Change::Unneeded, [Unchanged; 3]),
            (Change::QuotaFull, [full; 3]),
            (Change::Absent, [Unchanged, no_image, Unchanged]),
            (by(gone(1, 6)), [Unchanged, no_image, Unchanged]),
            // A newer answer for the membership that it is about.
            (by(present(1, 1, 6)), [Unchanged; 3]),
            (by(present(5, 5, 6)), [Unchanged; 3]),
            // Another membership: the one that it is about was ended.
            (
                by(present(6, 6, 6)),
                [Unchanged, Failed(ImsCode::NoSuchMember), Unchanged],
            ),
        ] {
            let found = EntryKind::ALL.map(|kind| outcome(kind, &change, op(5)));
            assert_eq!(found, outcomes, "{change:?}");
        }
    }
}
