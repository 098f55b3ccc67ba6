//! Delivery of batch messages: redelivered, late, out of order, or lost.

use crate::harness::{Harness, MEMBER, OWNER, Who};
use serde_json::json;
use shared::domain::error::ApiError;
use shared::domain::job::DEADLINE_SECONDS;
use shared::domain::member::MemberStatus;
use shared::domain::message::Message;
use shared::domain::task::Task;
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::messages::{Handled, Source, SqsAttributes, SqsEvent, SqsRecord, each};
use shared::runtime::metrics::measured;

use super::{answer, codes, deliver, held, results, shown, status};

#[tokio::test]
async fn redelivery_in_any_order_changes_nothing() {
    let harness = Harness::new().await;
    let mut images = Vec::new();
    for _ in 0..250 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let accepted = answer(MemberStatus::Accepted);
    let (job, records) = held(&harness, MEMBER, accepted.clone(), &images, &[MEMBER]).await;
    assert_eq!(shown(&harness, Who::Member, job).await["status"], "INIT");
    assert_eq!(records.len(), 5);
    let mut percents = Vec::new();
    for place in [4, 4, 0, 4, 0, 1, 2, 3, 1] {
        deliver(&harness, &records[place]).await;
        let now = shown(&harness, Who::Member, job).await;
        percents.push(now["entities"]["process_percent"].as_f64().unwrap());
        assert_eq!(results(&now).len(), 250);
    }
    assert_eq!(percents, [0.2, 0.2, 0.4, 0.4, 0.4, 0.6, 0.8, 1.0, 1.0]);
    let end = shown(&harness, Who::Member, job).await;
    assert_eq!(end["status"], "SUCCESS");
    // A redelivered message must not undo a decision that was made since.
    harness
        .answer(Who::Member, &images[0], MEMBER, "rejected")
        .await
        .expect(200);
    deliver(&harness, &records[0]).await;
    assert_eq!(
        status(&harness, &images[0], MEMBER).await.as_deref(),
        Some("rejected")
    );
    assert_eq!(shown(&harness, Who::Member, job).await, end);
}

#[tokio::test]
async fn the_request_accepted_last_wins_whatever_the_queue_does() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let images = [image.clone()];
    let update = |status| held(&harness, MEMBER, answer(status), &images, &[MEMBER]);
    let (older, first) = update(MemberStatus::Rejected).await;
    let (newer, second) = update(MemberStatus::Accepted).await;
    deliver(&harness, &second[0]).await;
    deliver(&harness, &first[0]).await;
    assert_eq!(
        status(&harness, &image, MEMBER).await.as_deref(),
        Some("accepted")
    );
    for job in [older, newer] {
        assert_eq!(shown(&harness, Who::Member, job).await["status"], "SUCCESS");
    }

    // A direct call with the stored status is a decision too.
    let (_, late) = update(MemberStatus::Rejected).await;
    harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    deliver(&harness, &late[0]).await;
    assert_eq!(
        status(&harness, &image, MEMBER).await.as_deref(),
        Some("accepted")
    );
}

#[tokio::test]
async fn a_late_batch_brings_back_nothing_that_was_taken_away() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let images = [image.clone()];
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    let (_, add) = held(&harness, OWNER, Task::Share, &images, &[MEMBER]).await;
    let (_, accept) = held(
        &harness,
        MEMBER,
        answer(MemberStatus::Accepted),
        &images,
        &[MEMBER],
    )
    .await;
    deliver(&harness, &add[0]).await;
    harness.delete(Who::Owner, &row).await.expect(204);
    deliver(&harness, &add[0]).await;
    assert_eq!(status(&harness, &image, MEMBER).await, None);
    // Shared again: an answer to the first share does not count for the second.
    harness.share(&image, MEMBER).await.expect(200);
    deliver(&harness, &accept[0]).await;
    assert_eq!(
        status(&harness, &image, MEMBER).await.as_deref(),
        Some("pending")
    );

    // The other way round: a late removal does not end a newer membership.
    let (_, remove) = held(&harness, OWNER, Task::Unshare, &images, &[MEMBER]).await;
    harness.delete(Who::Owner, &row).await.expect(204);
    harness.share(&image, MEMBER).await.expect(200);
    deliver(&harness, &remove[0]).await;
    assert_eq!(
        status(&harness, &image, MEMBER).await.as_deref(),
        Some("pending")
    );
    assert_eq!(harness.member_count(&image).await, 1);
}

#[tokio::test]
async fn dead_letters_and_lost_messages_end_the_job() {
    let (harness, clock) = Harness::with_clock().await;
    let mut images = Vec::new();
    for _ in 0..150 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let accepted = answer(MemberStatus::Accepted);
    clock.forward(1);
    let (job, records) = held(&harness, MEMBER, accepted.clone(), &images, &[MEMBER]).await;
    // One entry of the first chunk was applied before its worker died for good.
    let chunk: Message = serde_json::from_str(&records[0].body).unwrap();
    let Message::Chunk(mut one) = chunk else {
        panic!()
    };
    one.entries = one.entries.part(0, 1);
    one.number = 7;
    let body = serde_json::to_string(&Message::Chunk(one)).unwrap();
    deliver(
        &harness,
        &SqsRecord {
            body,
            ..records[0].clone()
        },
    )
    .await;
    let until = Timestamp::from_micros(i64::MAX);
    for _ in 0..2 {
        settle_batch::handle(harness.server.app.clone(), records[0].clone(), until)
            .await
            .unwrap();
    }
    let now = shown(&harness, Who::Member, job).await;
    assert_eq!(now["status"], "RUNNING");
    assert_eq!(codes(&now)[..2], ["success", "IMG.0113"]);
    assert_eq!(codes(&now)[149], "running");
    // A settled chunk is not applied any more.
    let again = SqsRecord {
        attributes: SqsAttributes {
            approximate_receive_count: "2".into(),
            message_group_id: None,
        },
        ..records[0].clone()
    };
    deliver(&harness, &again).await;
    assert_eq!(
        status(&harness, &images[1], MEMBER).await.as_deref(),
        Some("pending")
    );

    // The second chunk's message is lost: the job still ends at its deadline.
    clock.forward(DEADLINE_SECONDS);
    let end = shown(&harness, Who::Member, job).await;
    assert_eq!(end["status"], "FAIL");
    assert_eq!(codes(&end)[149], "IMG.0113");
    deliver(&harness, &records[1]).await;
    assert_eq!(
        shown(&harness, Who::Member, job).await,
        end,
        "nothing is begun after the end"
    );
    assert_eq!(
        status(&harness, &images[149], MEMBER).await.as_deref(),
        Some("pending")
    );
    clock.forward(shared::domain::job::KEPT_SECONDS);
    harness
        .get(Who::Member, &format!("/v1/cloudimages/job/{job}"))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_worker_out_of_time_gives_the_rest_back() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let accepted = answer(MemberStatus::Accepted);
    let (job, records) = held(&harness, MEMBER, accepted.clone(), &[image], &[MEMBER]).await;
    let app = harness.server.app.clone();
    let late = run_batch::handle(app.clone(), records[0].clone(), app.now()).await;
    assert_eq!(late, Ok(Handled::GivenBack));
    assert_eq!(shown(&harness, Who::Member, job).await["status"], "INIT");
    deliver(&harness, &records[0]).await;
    assert_eq!(shown(&harness, Who::Member, job).await["status"], "SUCCESS");
}

/// The tasks of its entries are parts of a chunk: what they ask of the store is counted with it.
#[tokio::test]
async fn the_requests_of_all_entries_are_counted_with_their_chunk() {
    let harness = Harness::new().await;
    let mut images = Vec::new();
    for _ in 0..20 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let accepted = answer(MemberStatus::Accepted);
    let (_, records) = held(&harness, MEMBER, accepted, &images, &[MEMBER]).await;
    let sent = || harness.store_requests().values().sum::<u64>();
    let before = sent();
    let (_, usage) = measured(deliver(&harness, &records[0])).await;
    assert_eq!(usage.requests, sent() - before);
    // The images and memberships, each answer, and the results.
    assert_eq!(usage.requests, 1 + 20 + 1);
}

/// What does not parse is settled at once: the entries of a chunk that it names fail, and the others go on.
#[tokio::test]
async fn poison_is_a_dead_letter_at_once() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let accepted = answer(MemberStatus::Accepted);
    let (job, mut records) = held(&harness, MEMBER, accepted.clone(), &[image], &[MEMBER]).await;
    let other = harness.image(json!({})).await;
    harness.share(&other, MEMBER).await.expect(200);
    let (broken, _) = held(&harness, MEMBER, accepted, &[other], &[MEMBER]).await;
    let absent = "0190163d8694739b9f4a1b2c3d4e5f60";
    for (id, body) in [
        ("no chunk", json!({"type": "chunk"})),
        (
            "no entries",
            json!({"type": "chunk", "job": broken, "number": 0}),
        ),
        ("no job", json!({"type": "x", "job": absent, "number": 0})),
        ("no such chunk", json!({"job": job, "number": 7})),
        // It waits for the workers of the release that has sent it.
        (
            "a later version",
            json!({"type": "chunk", "version": 9, "job": job, "number": 0}),
        ),
    ] {
        records.push(SqsRecord {
            message_id: id.into(),
            body: body.to_string(),
            ..SqsRecord::default()
        });
    }
    let event = SqsEvent { records };
    let until = Timestamp::from_micros(i64::MAX);
    let app = harness.server.app.clone();
    let response = each(Source::Batches, app, event, until, run_batch::handle).await;
    let again = response.batch_item_failures.iter();
    let again: Vec<&str> = again.map(|failure| &*failure.item_identifier).collect();
    assert_eq!(again, ["a later version"]);
    assert_eq!(shown(&harness, Who::Member, job).await["status"], "SUCCESS");
    let settled = harness.ended(Who::Member, &broken.to_string()).await;
    assert_eq!(codes(&settled), ["IMG.0113"]);
}

/// A message whose handler fails comes again, also if it failed often.
#[tokio::test]
async fn only_what_panics_again_and_again_is_poison() {
    let harness = Harness::new().await;
    let outcome = async |receives: u32, panics: bool| {
        let record = SqsRecord {
            message_id: "m".into(),
            attributes: SqsAttributes {
                approximate_receive_count: receives.to_string(),
                message_group_id: None,
            },
            ..SqsRecord::default()
        };
        let event = SqsEvent {
            records: vec![record],
        };
        let (app, until) = (harness.server.app.clone(), Timestamp::from_micros(i64::MAX));
        let response = match panics {
            true => each(Source::Batches, app, event, until, panics_each_time).await,
            false => each(Source::Batches, app, event, until, fails).await,
        };
        response.batch_item_failures.len()
    };
    for (receives, panics, again) in [
        (1, false, 1),
        (399, false, 1),
        (1, true, 1),
        (4, true, 1),
        (5, true, 0),
    ] {
        assert_eq!(
            outcome(receives, panics).await,
            again,
            "{receives} {panics}"
        );
    }
}

async fn panics_each_time(_: App, _: SqsRecord, _: Timestamp) -> Result<Handled, ApiError> {
    panic!("by a test")
}

async fn fails(_: App, _: SqsRecord, _: Timestamp) -> Result<Handled, ApiError> {
    Err(ApiError::unavailable("by a test"))
}

/// A chunk that was settled, and that an operator has moved back from the dead letters, changes nothing.
#[tokio::test]
async fn a_settled_chunk_that_is_delivered_as_if_for_the_first_time_changes_nothing() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let accepted = answer(MemberStatus::Accepted);
    clock.forward(1);
    let (job, records) = held(&harness, MEMBER, accepted, &[image.clone()], &[MEMBER]).await;
    let until = Timestamp::from_micros(i64::MAX);
    let app = harness.server.app.clone();
    settle_batch::handle(app, records[0].clone(), until)
        .await
        .unwrap();
    let end = shown(&harness, Who::Member, job).await;
    assert_eq!(codes(&end), ["IMG.0113"]);
    clock.forward(3600);
    deliver(&harness, &records[0]).await;
    assert_eq!(
        status(&harness, &image, MEMBER).await.as_deref(),
        Some("pending")
    );
    assert_eq!(shown(&harness, Who::Member, job).await, end);
}
