//! A model checker for the batch protocol: visits every reachable state at a small size.
//!
//! Two jobs of two entries each meet at the same two memberships. Two workers may die at any step;
//! messages are redelivered, twice at once, in any order, or become dead letters; direct calls
//! interleave. What an entry finds and counts as is decided by the product's own
//! [`shared::domain::change::step`] and [`shared::domain::change::outcome`]. The store's
//! conditions, which must agree with these, are not part of this model: `faults` and
//! `store_conditions` run them.

mod protocol;

use std::collections::HashSet;

use shared::domain::id::OperationId;
use shared::domain::job::JobKind;
use shared::domain::member::MemberStatus;

use protocol::{Protocol, Scenario};

/// What a request wants of one membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    Share,
    Answer(MemberStatus),
    Unshare,
}

use Intent::{Answer, Share, Unshare};

/// The visible part of a membership.
pub type Seen = Option<MemberStatus>;

impl Intent {
    pub fn kind(self) -> JobKind {
        match self {
            Share => JobKind::Add,
            Answer(_) => JobKind::Update,
            Unshare => JobKind::Remove,
        }
    }

    /// The effect without faults: the whole service in four lines.
    fn does(self, before: Seen) -> Seen {
        match (self, before) {
            (Share, None) => Some(MemberStatus::Pending),
            (Answer(status), Some(_)) => Some(status),
            (Unshare, _) => None,
            (Share, Some(_)) | (Answer(_), None) => before,
        }
    }
}

/// The reported outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reported {
    /// Applied.
    Succeeded,
    /// Refused for a reason.
    Refused,
    /// Unknown.
    GaveUp,
}

/// The states that a membership may have after these requests: those that succeeded, one after the
/// other in the order in which they were accepted, none of those that were refused, and any of the
/// others.
///
/// One delivery of an answer may be refused because there is no membership yet, while another
/// delivery in flight at the same time is applied.
///
/// An answer may also apply to a membership that was ended and shared again since, by older
/// requests that were carried out later.
pub fn possible(before: Seen, mut requests: Vec<(OperationId, Intent, Reported)>) -> HashSet<Seen> {
    requests.sort_by_key(|(op, _, _)| *op);
    let mut now = HashSet::from([before]);
    let mut ended = false;
    let mut anew = false;
    for (_, intent, reported) in requests {
        ended |= intent == Unshare;
        anew |= ended && intent == Share;
        let done = now.iter().map(|seen| intent.does(*seen));
        now = match reported {
            Reported::Refused if !matches!(intent, Answer(_)) => continue,
            Reported::Succeeded if !(anew && matches!(intent, Answer(_))) => done.collect(),
            Reported::Refused | Reported::Succeeded | Reported::GaveUp => {
                done.chain(now.iter().copied()).collect()
            }
        };
    }
    now
}

/// What is wrong with the refusals of a batch's entries: shares and removals always succeed, and an
/// answer is refused only if the membership may have been absent.
pub fn wrong_refusal(
    before: Seen,
    entries: &[(OperationId, Intent, Reported)],
    all: &[(OperationId, Intent, Reported)],
) -> Option<Intent> {
    let may_be_absent = before.is_none() || all.iter().any(|(_, intent, _)| *intent == Unshare);
    let refused = entries
        .iter()
        .filter(|(_, _, reported)| *reported == Reported::Refused);
    let mut wrong_refusal = refused.filter(|(_, intent, _)| match intent {
        Share | Unshare => true,
        Answer(_) => !may_be_absent,
    });
    wrong_refusal.next().map(|(_, intent, _)| *intent)
}

const ACCEPT: Intent = Answer(MemberStatus::Accepted);
const REJECT: Intent = Answer(MemberStatus::Rejected);

/// Jobs over present or absent memberships, with direct calls accepted at various points.
fn scenario(shared_before: bool, jobs: [Intent; 2], direct: &[Intent], place: usize) -> Scenario {
    let (direct, protocol) = (direct.to_vec(), Protocol::Product);
    Scenario {
        before: shared_before.then_some(MemberStatus::Accepted),
        jobs,
        direct,
        place,
        chunk_rows: 2,
        protocol,
    }
}

fn check_all(scenarios: &[Scenario]) {
    let started = std::time::Instant::now();
    let mut states = 0;
    let mut wrong = Vec::new();
    for scenario in scenarios {
        match scenario.check() {
            Ok(found) => states += found,
            Err(why) => wrong.push(why),
        }
    }
    println!(
        "{states} states of {} scenarios in {:.1?}",
        scenarios.len(),
        started.elapsed()
    );
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

#[test]
fn two_jobs() {
    check_all(&[
        scenario(false, [Share, ACCEPT], &[], 0),
        scenario(false, [Share, Unshare], &[], 0),
        scenario(false, [Unshare, Share], &[], 0),
        scenario(true, [Share, Unshare], &[], 0),
        scenario(true, [Share, ACCEPT], &[], 0),
        scenario(true, [ACCEPT, REJECT], &[], 0),
        scenario(true, [ACCEPT, Share], &[], 0),
        scenario(true, [ACCEPT, Unshare], &[], 0),
        scenario(true, [Unshare, Unshare], &[], 0),
    ]);
}

#[test]
fn two_jobs_and_direct_calls() {
    check_all(&[
        scenario(true, [ACCEPT, Share], &[REJECT], 1),
        scenario(true, [Share, Unshare], &[REJECT], 0),
        scenario(true, [ACCEPT, Unshare], &[Unshare, Share], 1),
    ]);
}

/// A direct call that is sent first but carried out last counts as the newest request.
#[test]
fn a_late_direct_call_comes_after_a_batch_that_shared_anew() {
    check_all(&[
        scenario(true, [Share, ACCEPT], &[Unshare], 0),
        scenario(true, [Share, Share], &[Unshare], 0),
        scenario(true, [Share, Unshare], &[ACCEPT], 0),
    ]);
}

#[test]
fn a_removal_outlives_a_newer_answer() {
    check_all(&[
        scenario(true, [Unshare, ACCEPT], &[], 0),
        scenario(true, [Unshare, Unshare], &[REJECT], 2),
    ]);
}

#[test]
fn an_older_removal_does_not_undo_a_newer_share() {
    check_all(&[
        scenario(true, [Unshare, Share], &[], 0),
        scenario(true, [Unshare, Share], &[REJECT], 0),
        scenario(true, [Unshare, Share], &[REJECT], 1),
        scenario(true, [Unshare, Share], &[REJECT], 2),
    ]);
}

/// The check finds the faults that it is made for.
#[test]
fn every_broken_protocol_is_found() {
    for (protocol, before, jobs, found) in [
        (
            Protocol::CountsFirst,
            false,
            [Share, ACCEPT],
            "it is None after",
        ),
        (
            Protocol::AcknowledgesFirst,
            false,
            [Share, ACCEPT],
            "did not end",
        ),
        (
            Protocol::CountsAlways,
            false,
            [Share, ACCEPT],
            "the counters are not those of the results",
        ),
        (
            Protocol::IgnoresOrder,
            false,
            [Share, Unshare],
            "an older request brought back what was taken away",
        ),
        (
            Protocol::IgnoresOrder,
            false,
            [Unshare, Share],
            "an older request took away what was shared anew",
        ),
        (
            Protocol::ForgetsTheFirstShare,
            true,
            [Unshare, Share],
            "it is Some(Accepted) after",
        ),
        (
            Protocol::RefusesLateRemovals,
            true,
            [Unshare, Share],
            "was refused",
        ),
    ] {
        let scenario = Scenario {
            protocol,
            ..scenario(before, jobs, &[], 0)
        };
        let why = scenario.check().unwrap_err();
        assert!(why.contains(found), "{protocol:?} {jobs:?}: {why}");
    }
}
