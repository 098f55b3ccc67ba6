//! The store's conditional writes against the protocol's pure function `step`: every batch
//! operation on every membership that can be stored, and then its redelivery.

use serde_json::json;
use shared::domain::change::{Change, EntryKind, Step, outcome, step};
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::image::Image;
use shared::domain::member::{MemberStatus, Membership};
use shared::domain::policy::{Caller, Role};
use shared::domain::task::Answer;
use shared::domain::time::Timestamp;
use shared::runtime::clients::Clients;
use shared::store::members::{Changed, Stamp};
use shared::store::{Indexes, Store};

use local::engine::Engine;
use local::table::{self, Upgrade};

use super::harness::{OWNER, origin};

struct StoreFixture {
    store: Store,
    owner: Caller,
    image: Image,
    ops: Vec<OperationId>,
}

impl StoreFixture {
    async fn new() -> Self {
        let client = Clients::dynamodb_in_process(Engine::in_memory().unwrap());
        table::make(&client, "imshare", Upgrade::Refuse)
            .await
            .unwrap();
        let store = Store::new(client, "imshare".to_owned(), Indexes::Immediate);
        let project = ProjectId::parse(OWNER).unwrap();
        let owner = Caller {
            user: "u-owner".to_owned(),
            project,
            role: Role::Member,
        };
        let body = json!({"visibility": "shared"});
        let ops: Vec<_> = (1_i64..=5)
            .map(|at| OperationId::at(at * 1_000_000))
            .collect();
        let now = Timestamp::from_micros(0);
        let image = Image::from_request(
            body,
            shared::domain::policy::Policy::default(),
            &owner,
            ops[0],
            now,
        )
        .unwrap();
        assert!(store.create_image(&image).await.unwrap());
        Self {
            store,
            owner,
            image,
            ops,
        }
    }

    async fn stored(&self, member: &ProjectId) -> Option<Membership> {
        let facts = self.store.facts(self.image.id, &[member]).await.unwrap();
        facts.membership(member).cloned()
    }

    async fn apply(&self, kind: EntryKind, member: &ProjectId, op: OperationId) -> Change {
        let stamp = Stamp::batch(op, Timestamp::from_micros(1), origin());
        let (id, members): (ImageId, _) = (self.image.id, [member.clone()]);
        let changed = match kind {
            EntryKind::Add => {
                self.store
                    .add_members(&self.owner, id, &members, -1, stamp)
                    .await
            }
            EntryKind::Remove => {
                let store = &self.store;
                store
                    .remove_members(&self.owner, id, &members, false, stamp)
                    .await
            }
            EntryKind::Update => {
                let answer = Answer {
                    status: MemberStatus::Accepted,
                    vault_id: None,
                };
                let store = &self.store;
                return store
                    .update_member_in_batch(id, member, &answer, stamp)
                    .await
                    .unwrap();
            }
        };
        match changed.unwrap() {
            Changed::Members(changes) => changes[0].clone(),
            Changed::Image(_) => panic!("the image is shared and the caller's own"),
        }
    }
}

const KINDS: [EntryKind; 3] = [EntryKind::Add, EntryKind::Update, EntryKind::Remove];

/// All sequences of operations that lead to a stored membership: kinds and indexes of operation
/// ids.
fn histories() -> Vec<Vec<(EntryKind, usize)>> {
    let mut all = vec![vec![]];
    for length in 1..=3 {
        let mut longer = Vec::new();
        for history in all
            .iter()
            .filter(|history: &&Vec<_>| history.len() == length - 1)
        {
            for kind in KINDS {
                // Operation ids are unique.
                for at in [0, 2, 4] {
                    if history.iter().any(|(_, taken)| *taken == at) {
                        continue;
                    }
                    let mut history = history.clone();
                    history.push((kind, at));
                    longer.push(history);
                }
            }
        }
        all.extend(longer);
    }
    all
}

#[tokio::test]
async fn the_stores_conditions_are_the_models() {
    let fixture = StoreFixture::new().await;
    let mut seen = std::collections::BTreeMap::new();
    for (number, history) in histories().into_iter().enumerate() {
        let (kind, at) = match history.last() {
            None => continue,
            Some(last) => *last,
        };
        let member = ProjectId::parse(format!("m{number}")).unwrap();
        for (kind, at) in history.iter().take(history.len() - 1) {
            fixture.apply(*kind, &member, fixture.ops[*at]).await;
        }
        let op = fixture.ops[at];
        let before = fixture.stored(&member).await;
        let step = step(before.as_ref(), kind, op);
        let expected = match &step {
            Step::Write | Step::Renew(_) => Change::Applied,
            Step::Confirm | Step::LeaveTombstone => Change::Unneeded,
            Step::Done(change) => change.clone(),
        };
        let told = || format!("{history:?} on {before:?}");
        for again in [false, true] {
            let change = fixture.apply(kind, &member, op).await;
            // Compare the outcomes only: a redelivery reports another change, such as
            // `AppliedBefore`.
            assert_eq!(
                outcome(kind, &change, op).succeeded(),
                outcome(kind, &expected, op).succeeded(),
                "again: {again}, {change:?} and {expected:?}, {}",
                told()
            );
        }
        *seen
            .entry(format!("{kind:?} {}", variant(&step)))
            .or_insert(0) += 1;
    }
    println!("{seen:#?}");
    // All rows of the table at `step`.
    let expected = [
        "Add confirm",
        "Add superseded",
        "Add unneeded",
        "Add write",
        "Remove applied before",
        "Remove renew",
        "Remove superseded",
        "Remove tombstone",
        "Remove write",
        "Update absent",
        "Update superseded",
        "Update write",
    ];
    let seen: Vec<_> = seen
        .keys()
        .map(String::as_str)
        .filter(|k| !k.ends_with("before"))
        .collect();
    let expected: Vec<_> = expected
        .into_iter()
        .filter(|k| !k.ends_with("before"))
        .collect();
    assert_eq!(seen, expected);
}

/// A direct removal is ordered after all that is stored, even if a batch with a newer operation id
/// has confirmed the share before the removal is carried out.
#[tokio::test]
async fn a_direct_removal_is_newer_than_all_that_is_stored() {
    let fixture = StoreFixture::new().await;
    let member = ProjectId::parse("m").unwrap();
    for at in [1, 4] {
        let change = fixture
            .apply(EntryKind::Add, &member, fixture.ops[at])
            .await;
        assert!(!matches!(change, Change::Superseded(_)), "{change:?}");
    }
    let stamp = Stamp::direct(fixture.ops[0], Timestamp::from_micros(1), origin());
    let removed = fixture
        .store
        .remove_members(
            &fixture.owner,
            fixture.image.id,
            &[member.clone()],
            false,
            stamp.clone(),
        )
        .await;
    assert!(matches!(removed.unwrap(), Changed::Members(changes) if changes == [Change::Applied]));
    let (added, op) = (fixture.ops[1], stamp.op.not_before(fixture.ops[4]));
    assert_eq!(
        fixture.stored(&member).await,
        Some(Membership::Gone { added, op })
    );
}

fn variant(step: &Step) -> &'static str {
    match step {
        Step::Write => "write",
        Step::Confirm => "confirm",
        Step::Renew(_) => "renew",
        Step::LeaveTombstone => "tombstone",
        Step::Done(Change::Applied | Change::AppliedBefore) => "applied before",
        Step::Done(Change::Answered(_)) => "answered",
        Step::Done(Change::Unneeded) => "unneeded",
        Step::Done(Change::Superseded(_)) => "superseded",
        Step::Done(Change::Absent) => "absent",
        Step::Done(Change::QuotaFull) => "full",
    }
}
