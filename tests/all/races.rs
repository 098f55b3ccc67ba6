//! Concurrent writes.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{Harness, MEMBER, ManualClock, Who, options};
use local::options::Options;

fn tally(statuses: impl IntoIterator<Item = u16>) -> std::collections::BTreeMap<u16, usize> {
    let mut tally = std::collections::BTreeMap::new();
    for status in statuses {
        *tally.entry(status).or_default() += 1;
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_adds_of_one_member_one_wins_and_one_delete_ends_it() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for _ in 0..5 {
        let adds = join_all((0..20).map(|_| harness.share(&image, MEMBER))).await;
        assert_eq!(
            tally(adds.iter().map(|a| a.status)),
            [(200, 1), (409, 19)].into()
        );
        assert_eq!(harness.member_count(&image).await, 1);
        let row = format!("/v2/images/{image}/members/{MEMBER}");
        let deletes = join_all((0..20).map(|_| harness.delete(Who::Owner, &row))).await;
        assert_eq!(
            tally(deletes.iter().map(|a| a.status)),
            [(204, 1), (404, 19)].into()
        );
        assert_eq!(harness.member_count(&image).await, 0);
        harness
            .get(Who::Member, &format!("/v2/images/{image}"))
            .await
            .expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_is_exact_under_parallel_adds() {
    let harness = Harness::with(Options {
        member_quota: 10,
        ..options()
    })
    .await;
    let image = harness.image(json!({})).await;
    let names: Vec<String> = (0..40).map(|i| format!("m{i}")).collect();
    let adds = join_all(names.iter().map(|name| harness.share(&image, name))).await;
    assert_eq!(
        tally(adds.iter().map(|a| a.status)),
        [(200, 10), (413, 30)].into()
    );
    let members = harness
        .get(Who::Owner, &format!("/v2/images/{image}/members"))
        .await
        .json();
    assert_eq!(members["members"].as_array().unwrap().len(), 10);
    assert_eq!(harness.member_count(&image).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_many_applies_and_the_last_is_shown() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let answers = join_all((0..30).map(|i| {
        let status = ["accepted", "rejected", "pending"][i % 3];
        harness.answer(Who::Member, &image, MEMBER, status)
    }))
    .await;
    assert_eq!(tally(answers.iter().map(|a| a.status)), [(200, 30)].into());
    harness
        .answer(Who::Member, &image, MEMBER, "rejected")
        .await
        .expect(200);
    let row = harness
        .get(Who::Member, &format!("/v2/images/{image}/members/{MEMBER}"))
        .await;
    assert_eq!(row.text("/status"), "rejected");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_members_answer_for_one_image_at_once() {
    let harness = Harness::with(Options {
        member_quota: -1,
        ..options()
    })
    .await;
    let image = harness.image(json!({})).await;
    let names: Vec<String> = (0..60).map(|i| format!("m{i}")).collect();
    for name in &names {
        harness.share(&image, name).await.expect(200);
    }
    let answers = join_all(
        names
            .iter()
            .map(|name| harness.answer(Who::Admin, &image, name, "accepted")),
    )
    .await;
    assert_eq!(tally(answers.iter().map(|a| a.status)), [(200, 60)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_at_once_all_count() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    patches_count(&harness, &image, "p").await;
}

/// Clocks of hosts differ: the stored record is newer than every patch.
#[tokio::test(flavor = "multi_thread")]
async fn patches_at_once_all_count_on_an_image_from_a_clock_ahead() {
    let clock = ManualClock::default();
    let harness = Harness::with(Options {
        clock: clock.clock(),
        ..options()
    })
    .await;
    clock.forward(5);
    let image = harness.image(json!({})).await;
    clock.forward(-5);
    for round in ["p", "q", "r"] {
        patches_count(&harness, &image, round).await;
    }
}

/// Eight concurrent patches of one property each: none is lost.
async fn patches_count(harness: &Harness, image: &str, prefix: &str) {
    let path = format!("/v2/images/{image}");
    let names: Vec<String> = (0..8).map(|i| format!("{prefix}{i}")).collect();
    let patches = join_all(names.iter().map(|name| {
        let change = json!([{"op": "add", "path": format!("/{name}"), "value": "v"}]);
        harness.patch(Who::Owner, &path, change)
    }))
    .await;
    assert_eq!(tally(patches.iter().map(|a| a.status)), [(200, 8)].into());
    let shown = harness.get(Who::Owner, &path).await.json();
    assert!(names.iter().all(|name| shown[name] == "v"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_is_taken_once() {
    let harness = Harness::new().await;
    let id = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e99";
    let creates =
        join_all((0..10).map(|_| harness.post(Who::Owner, "/v2/images", json!({"id": id})))).await;
    assert_eq!(
        tally(creates.iter().map(|a| a.status)),
        [(201, 1), (409, 9)].into()
    );
}
