//! What a request finds at a membership, what it does there, and what it tells. Pure.
//!
//! The store's conditions, the worker that settles dead letters and the model in the tests all go
//! by [`step`], so that they cannot disagree.

use crate::domain::id::OperationId;
use crate::domain::ims_code::ImsCode;
use crate::domain::job::JobKind;
use crate::domain::member::{Member, Membership};
use crate::domain::outcome::Outcome;

/// What became of one membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This request changed it.
    Applied,
    /// An earlier delivery of this request had changed it.
    AppliedBefore,
    /// It is as the request wants it without any change: a member that is shared with already, an
    /// answer that was given already, or no member where one is to be removed.
    Unneeded,
    /// A newer request has decided since; nothing was done.
    Superseded(Membership),
    /// There is no membership to answer for.
    Absent,
    /// The image has as many members as it may have.
    QuotaFull,
}

/// What a request has to do at a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The change that the request stands for: create, answer or remove.
    Write,
    /// Note that the image was shared anew with a project that is a member already, so that an
    /// older removal that is still under way does not end the membership for good.
    Confirm,
    /// Remove and share anew in one write: the removal was accepted before the newest share.
    Renew(Member),
    /// Leave a tombstone where there is no membership, so that an older share that is still under
    /// way does not create one.
    LeaveTombstone,
    /// Nothing.
    Done(Change),
}

/// What an entry of a batch has to do at what is stored, so that the entries of all requests have
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
            // Left by this removal where there was no member.
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

/// What a change tells of its entry.
pub fn outcome(kind: JobKind, change: &Change, op: OperationId) -> Outcome {
    match (kind, change) {
        (_, Change::Applied | Change::AppliedBefore) => Outcome::Changed,
        (_, Change::Unneeded) => Outcome::Unchanged,
        (_, Change::QuotaFull) => Outcome::Failed(ImsCode::QuotaFull),
        // What a newer request has undone was done as far as it still matters.
        (JobKind::Add | JobKind::Remove, Change::Superseded(_) | Change::Absent) => {
            Outcome::Unchanged
        }
        (JobKind::Update, Change::Superseded(Membership::Present(member)))
            if member.added <= op =>
        {
            Outcome::Unchanged
        }
        // The membership that it answers for was ended, and the image shared anew since.
        (JobKind::Update, Change::Superseded(Membership::Present(_))) => {
            Outcome::Failed(ImsCode::NoSuchMember)
        }
        // Who is no member may not see the image: to it there is none.
        (JobKind::Update, Change::Superseded(Membership::Gone { .. }) | Change::Absent) => {
            Outcome::Failed(ImsCode::ImageNotFound)
        }
    }
}
