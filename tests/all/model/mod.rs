//! A model checker for the batch protocol: visits every reachable state at a small size.
//!
//! Two jobs of two entries each meet at the same two memberships. Two workers may die at any step;
//! messages are redelivered, twice at once, in any order, or become dead letters; direct calls
//! interleave. What an entry finds and counts as is decided by the product's own
//! [`shared::domain::change::step`] and [`shared::domain::change::outcome`]. The store's
//! conditions, which must agree with these, are not part of this model: `faults` and
//! `store_conditions` run them.

mod cell;
mod protocol;

use std::collections::HashSet;

use shared::domain::change::EntryKind;
use shared::domain::id::OperationId;
use shared::domain::member::MemberStatus;

use protocol::{Protocol, Scenario};

/// What a request wants of one membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    Share,
    Answer(MemberStatus),
    Unshare,
    /// Declares all members: it is one of them, or is not.
    Declare(bool),
}

use Intent::{Answer, Declare, Share, Unshare};

/// The visible part of a membership.
pub type Seen = Option<MemberStatus>;

impl Intent {
    pub fn kind(self) -> EntryKind {
        match self {
            Share | Declare(true) => EntryKind::Add,
            Answer(_) => EntryKind::Update,
            Unshare | Declare(false) => EntryKind::Remove,
        }
    }

    /// The effect without faults, where a rule of the member's gives new shares this status: the whole
    /// service in four lines.
    fn does(self, before: Seen, rule: MemberStatus) -> Seen {
        match (self, before) {
            (Share | Declare(true), None) => Some(rule),
            (Answer(status), Some(_)) => Some(status),
            (Unshare | Declare(false), _) => None,
            (Share | Declare(true), Some(_)) | (Answer(_), None) => before,
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
pub fn possible(
    before: Seen,
    rule: MemberStatus,
    mut requests: Vec<(OperationId, Intent, Reported)>,
) -> HashSet<Seen> {
    requests.sort_by_key(|(op, _, _)| *op);
    let mut now = HashSet::from([before]);
    let mut ended = false;
    let mut anew = false;
    for (_, intent, reported) in requests {
        ended |= intent.kind() == EntryKind::Remove;
        anew |= ended && intent.kind() == EntryKind::Add;
        let done = now.iter().map(|seen| intent.does(*seen, rule));
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
    let ends = |intent: &Intent| intent.kind() == EntryKind::Remove;
    let may_be_absent = before.is_none() || all.iter().any(|(_, intent, _)| ends(intent));
    let refused = entries
        .iter()
        .filter(|(_, _, reported)| *reported == Reported::Refused);
    let mut wrong_refusal = refused.filter(|(_, intent, _)| match intent {
        Share | Unshare | Declare(_) => true,
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
        rule: MemberStatus::Pending,
        protocol,
    }
}

/// The same where a rule of the members' accepts, or rejects, new shares.
fn by_rule(rule: MemberStatus, scenario: Scenario) -> Scenario {
    Scenario { rule, ..scenario }
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

/// By what was accepted when: an older share does not bring back whom a declaration leaves out, an older
/// removal does not end whom it names, and a newer request has the last word.
#[test]
fn declarations_among_other_requests() {
    check_all(&[
        scenario(false, [Share, Declare(false)], &[], 0),
        scenario(false, [Declare(false), Share], &[], 0),
        scenario(false, [Declare(true), Unshare], &[], 0),
        scenario(false, [Unshare, Declare(true)], &[], 0),
        scenario(false, [Declare(true), Declare(false)], &[], 0),
        scenario(true, [Share, Declare(false)], &[], 0),
        scenario(true, [Declare(false), Share], &[], 0),
        scenario(true, [Declare(false), ACCEPT], &[], 0),
        scenario(true, [Unshare, Declare(true)], &[], 0),
        scenario(true, [Declare(false), Declare(true)], &[], 0),
        scenario(true, [Declare(true), REJECT], &[], 0),
        scenario(false, [Share, Declare(false)], &[Share], 2),
        scenario(false, [Share, Declare(false)], &[Share], 0),
        scenario(true, [Unshare, Declare(true)], &[Unshare], 1),
    ]);
}

/// A rule answers for each new share, also for one that a late removal makes a new one.
#[test]
fn rules_answer_for_new_shares() {
    let (accepted, rejected) = (MemberStatus::Accepted, MemberStatus::Rejected);
    check_all(&[
        by_rule(accepted, scenario(false, [Share, Unshare], &[], 0)),
        by_rule(accepted, scenario(false, [Share, REJECT], &[], 0)),
        by_rule(rejected, scenario(true, [Unshare, Share], &[], 0)),
        by_rule(rejected, scenario(true, [Unshare, Share], &[ACCEPT], 2)),
        by_rule(rejected, scenario(true, [Unshare, Declare(true)], &[], 0)),
        by_rule(rejected, scenario(true, [Share, Share], &[Unshare], 0)),
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
        (
            Protocol::ForgetsDeclarations,
            false,
            [Share, Declare(false)],
            "it is Some(Rejected) after",
        ),
        (
            Protocol::ForgetsTheRule,
            true,
            [Unshare, Share],
            "it is Some(Pending) after",
        ),
    ] {
        let scenario = Scenario {
            protocol,
            ..by_rule(MemberStatus::Rejected, scenario(before, jobs, &[], 0))
        };
        let why = scenario.check().unwrap_err();
        assert!(why.contains(found), "{protocol:?} {jobs:?}: {why}");
    }
}
