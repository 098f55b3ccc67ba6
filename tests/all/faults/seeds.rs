//! Runs of random batches and calls, a seed each, and what they must come to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use local::engine::Engine;
use local::table::{self, Upgrade};
use serde_json::json;
use shared::domain::id::ProjectId;
use shared::domain::image::Image;
use shared::domain::member::MemberStatus;
use shared::domain::policy::{Caller, Role};
use shared::domain::trust::{TrustMode, TrustRule, TrustedOwners};
use shared::runtime::clients::Clients;

use super::check::{check, rule_of};
use super::store::{BrokenCondition, FaultyStore};
use super::{FakeQueue, IMAGES, MEMBERS, Run, WORKERS, app};
use crate::harness::OWNER;

/// How often each fault occurred, so that a test can check that it did.
#[derive(Clone, Copy, Debug, Default)]
struct FaultCounts {
    repeated: usize,
    killed: usize,
    dead: usize,
    conflicts: usize,
}

async fn run(entries: usize, breaks: Option<BrokenCondition>) -> FaultCounts {
    let engine = Engine::in_memory().unwrap();
    let client = Clients::dynamodb_in_process(engine.clone());
    table::make(&client, "imshare", Upgrade::Refuse)
        .await
        .unwrap();
    let calm = app(engine.clone());
    let owner = Caller {
        user: "u-owner".to_owned(),
        project: ProjectId::parse(OWNER).unwrap(),
        role: Role::Admin,
    };
    let mut images = Vec::new();
    for _ in 0..IMAGES {
        let body = json!({"visibility": "shared"});
        let image = Image::from_request(
            body,
            shared::domain::policy::Policy::default(),
            &owner,
            calm.operation(),
            calm.now(),
        )
        .unwrap();
        assert!(calm.store().create_image(&image).await.unwrap());
        images.push(image);
    }
    let members: Vec<ProjectId> = (0..MEMBERS)
        .map(|at| ProjectId::parse(format!("member-{at}")).unwrap())
        .collect();
    for member in &members {
        let mode = match rule_of(member) {
            MemberStatus::Pending => continue,
            MemberStatus::Accepted => TrustMode::Accept,
            MemberStatus::Rejected => TrustMode::Reject,
        };
        let rules = TrustedOwners {
            rules: vec![TrustRule {
                owner: owner.project.clone(),
                mode,
            }],
            op: Some(calm.operation()),
            by: Some(owner.actor()),
        };
        let store = calm.store();
        let set = store.set_trusted_owners(member, &rules, None, calm.now());
        assert!(set.await.unwrap());
    }
    let conflicts = Arc::new(AtomicUsize::new(0));
    let run = Run {
        app: app(FaultyStore {
            engine,
            breaks,
            conflicts: conflicts.clone(),
        }),
        images,
        members,
        owner,
        // Open until everything has been sent.
        post: Arc::new(Mutex::new(FakeQueue {
            open: 1,
            ..FakeQueue::default()
        })),
        jobs: Arc::default(),
        direct: Arc::default(),
    };
    let mut tasks: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(run.clone().work()))
        .collect();
    tasks.push(tokio::spawn(run.clone().produce(entries)));
    tasks.push(tokio::spawn(run.clone().direct_calls(entries / 40)));
    tasks.push(tokio::spawn(run.clone().direct_calls(entries / 40)));
    for task in tasks {
        task.await.unwrap();
    }
    let happened = {
        let post = run.post.lock().unwrap();
        FaultCounts {
            repeated: post.repeated,
            killed: post.killed,
            dead: post.dead,
            conflicts: conflicts.load(Ordering::Relaxed),
        }
    };
    check(&run, &calm).await;
    happened
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Runs one seed; `None` if the stored records contradict the responses.
fn outcome_of(seed: u64, entries: usize, breaks: Option<BrokenCondition>) -> Option<FaultCounts> {
    // On one thread, with a clock that skips every wait, so that backing off takes no time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let run = || {
        // Decisions come from this thread's generator, and so do the product's random pauses.
        fastrand::seed(seed);
        runtime.block_on(run(entries, breaks))
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}

#[test]
fn nothing_is_lost_or_done_twice() {
    let started = std::time::Instant::now();
    let seeds = number("IMSHARE_FAULT_SEEDS", 20);
    let entries = usize::try_from(number("IMSHARE_FAULT_ENTRIES", 300)).unwrap();
    let mut all = FaultCounts::default();
    let mut failed = Vec::new();
    for seed in 0..seeds {
        match outcome_of(seed, entries, None) {
            Some(happened) => {
                all.repeated += happened.repeated;
                all.killed += happened.killed;
                all.dead += happened.dead;
                all.conflicts += happened.conflicts;
            }
            None => failed.push(seed),
        }
    }
    println!(
        "{seeds} seeds x {entries} entries in {:.1?}: {all:?}",
        started.elapsed()
    );
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
    // A run without faults would prove nothing.
    let all = [all.repeated, all.killed, all.dead, all.conflicts];
    assert!(all.iter().all(|happened| *happened > 0), "{all:?}");
}

/// The check detects a store that ignores the order of requests, or that forgets what a late
/// removal depends on.
#[test]
fn a_broken_store_is_found() {
    let broken: [BrokenCondition; 3] = [
        // An older answer overwrites a newer one.
        (
            "AND attribute_not_exists(#gone) AND #op < :op",
            "AND attribute_not_exists(#gone) AND #op <> :op",
        ),
        // An older removal ends a membership that was shared again.
        ("OR #shared < :op)", "OR #shared <> :op)"),
        // An older share adds whom a declaration has left out.
        (
            "OR #declared <= :op)",
            "OR #declared >= :op OR #declared < :op)",
        ),
    ];
    for confused in broken {
        let found = (0..20).any(|seed| outcome_of(seed, 300, Some(confused)).is_none());
        assert!(found, "a store with {confused:?} passes");
    }
}
