//! The protocol of batch entries: what an entry does to a stored membership, and its outcome.
//!
//! The store, the function that settles dead letters and the model in the tests all use [`step`], so
//! they cannot disagree.

use crate::domain::id::OperationId;
use crate::domain::ims_code::ImsCode;
use crate::domain::job::JobKind;
use crate::domain::member::{Member, Membership};
use crate::domain::outcome::Outcome;

/// The result of a request for one membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This request changed the membership.
    Applied,
    /// An earlier delivery of this request had changed it.
    AppliedBefore,
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
pub fn step(stored: Option<&Membership>, kind: JobKind, op: OperationId) -> Step {
    use Change::{Absent, AppliedBefore, Superseded, Unneeded};
    match (kind, stored) {
        (JobKind::Add, None) => Step::Write,
        (JobKind::Add, Some(Membership::Gone { op: gone, .. })) if *gone < op => Step::Write,
        (JobKind::Add, Some(gone @ Membership::Gone { .. })) => {
            Step::Done(Superseded(gone.clone()))
        }
        (JobKind::Add, Some(Membership::Present(member))) => match member {
            _ if member.added == op => Step::Done(AppliedBefore),
            _ if member.shared >= op => Step::Done(Unneeded),
            _ => Step::Confirm,
        },
        (JobKind::Update, None | Some(Membership::Gone { .. })) => Step::Done(Absent),
        (JobKind::Update, Some(present @ Membership::Present(member))) => match member {
            _ if member.op == op => Step::Done(AppliedBefore),
            _ if member.op > op => Step::Done(Superseded(present.clone())),
            _ => Step::Write,
        },
        (JobKind::Remove, None) => Step::LeaveTombstone,
        (JobKind::Remove, Some(gone @ Membership::Gone { added, op: removed })) => match gone {
            _ if *removed > op => Step::Done(Superseded(gone.clone())),
            _ if *removed < op => Step::LeaveTombstone,
            // This removal left it where there was no member.
            _ if *added == op => Step::Done(Unneeded),
            _ => Step::Done(AppliedBefore),
        },
        (JobKind::Remove, Some(present @ Membership::Present(member))) => match member {
            _ if member.ended == Some(op) => Step::Done(AppliedBefore),
            _ if member.added > op => Step::Done(Superseded(present.clone())),
            _ if member.shared > op => Step::Renew(member.clone()),
            _ => Step::Write,
        },
    }
}

/// The outcome of an entry, by its change.
pub fn outcome(kind: JobKind, change: &Change, op: OperationId) -> Outcome {
    match (kind, change) {
        (_, Change::Applied | Change::AppliedBefore) => Outcome::Changed,
        (_, Change::Unneeded) => Outcome::Unchanged,
        (_, Change::QuotaFull) => Outcome::Failed(ImsCode::QuotaFull),
        // A newer request has the last word; this one has nothing left to change.
        (JobKind::Add | JobKind::Remove, Change::Superseded(_) | Change::Absent) => {
            Outcome::Unchanged
        }
        (JobKind::Update, Change::Superseded(Membership::Present(member)))
            if member.added <= op =>
        {
            Outcome::Unchanged
        }
        // The membership was ended, and the image shared anew, after this answer was accepted.
        (JobKind::Update, Change::Superseded(Membership::Present(_))) => {
            Outcome::Failed(ImsCode::NoSuchMember)
        }
        // A project that is not a member must not learn of the image.
        (JobKind::Update, Change::Superseded(Membership::Gone { .. }) | Change::Absent) => {
            Outcome::Failed(ImsCode::ImageNotFound)
        }
    }
}
