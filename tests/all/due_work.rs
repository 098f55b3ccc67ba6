//! Work that is due is done, even if a process dies in the middle.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use local::monitor::{Monitor, Watched};
use local::options::Options;
use local::prometheus::Prometheus;
use local::queue::BATCHES;
use serde_json::json;
use shared::domain::batch::Batch;
use shared::domain::entries::Entries;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::message::Message;
use shared::domain::outcome::Outcome;
use shared::domain::policy::{Caller, Role};
use shared::domain::task::Task;
use shared::domain::time::Timestamp;
use shared::http::health::HealthStatus;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::metrics::Metrics;
use shared::store::due::GRACE_SECONDS;
use shared::store::keys as at;
use shared::store::members::Stamp;
use shared::store::results::Finished;

use crate::harness::{Harness, MEMBER, MEMBER2, OWNER, Who, options, origin};

fn owner() -> Caller {
    Caller {
        user: "u-owner".to_owned(),
        project: ProjectId::parse(OWNER).unwrap(),
        role: Role::Member,
    }
}

/// Accepts a batch of 250 shares as its request does, before any message is sent.
async fn accepted(harness: &Harness) -> Batch {
    let mut images = Vec::new();
    for _ in 0..250 {
        images.push(harness.image(json!({})).await);
    }
    let app = &harness.server.app;
    let entries = Entries::of_request(&images, &[ProjectId::parse(MEMBER).unwrap()]);
    let batch = Batch::new(
        &owner(),
        Task::Share,
        entries,
        app.operation(),
        app.now(),
        "r".into(),
    );
    app.store().create_job(&batch, None).await.unwrap();
    batch
}

async fn sweep(app: &App) -> usize {
    let until = Timestamp::from_micros(i64::MAX);
    sweep::handle(app.clone(), until).await.unwrap().overdue
}

#[tokio::test]
async fn a_job_whose_request_died_before_it_sent_anything_is_done() {
    let (harness, clock) = Harness::with_clock().await;
    let batch = accepted(&harness).await;
    let app = &harness.server.app;
    assert_eq!(sweep(app).await, 0, "its request has time");
    clock.forward(GRACE_SECONDS);
    assert_eq!(sweep(app).await, 1);
    let job = harness.ended(Who::Owner, &batch.job.id.to_string()).await;
    assert_eq!(job["status"], "SUCCESS");
    clock.forward(GRACE_SECONDS);
    assert_eq!(sweep(app).await, 0, "nothing is due any more");
}

#[tokio::test]
async fn a_job_whose_request_died_in_the_middle_gets_the_rest() {
    let (harness, clock) = Harness::with_clock().await;
    let batch = accepted(&harness).await;
    let app = &harness.server.app;
    let unsent = app
        .queue()
        .send(&[batch.message(1, false)], &batch.job.project, "r")
        .await
        .unwrap();
    assert!(unsent.is_empty());
    let id = batch.job.id.to_string();
    let path = format!("/v1/cloudimages/job/{id}");
    while harness.get(Who::Owner, &path).await.json()["status"] != "RUNNING" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    clock.forward(GRACE_SECONDS);
    // Two sweeps at once send it once.
    let (one, other) = tokio::join!(sweep(app), sweep(app));
    assert!(one.max(other) == 1);
    let job = harness.ended(Who::Owner, &id).await;
    assert_eq!(job["status"], "SUCCESS");
    assert_eq!(job["entities"]["succeeded"], 250);
}

#[tokio::test]
async fn a_repeated_request_sends_nothing_again() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    let body = json!({"images": [image], "projects": ["p"]}).to_string();
    let send = async || {
        let key = [("idempotency-key", "k")];
        let body = Some(body.clone().into_bytes());
        let path = "/v1/cloudimages/members";
        let answer = harness
            .send_with(Who::Owner, "POST", path, &key, body)
            .await;
        answer.expect(200).text("/job_id")
    };
    let job = send().await;
    harness.ended(Who::Owner, &job).await;
    clock.forward(3600);
    let sent = harness.store_requests();
    assert_eq!(send().await, job);
    assert_eq!(
        harness.server.queue.as_ref().unwrap().len(BATCHES).unwrap(),
        0
    );
    // One transaction, which finds the key, and no work by a worker.
    let now = harness.store_requests();
    assert_eq!(now["TransactWriteItems"], sent["TransactWriteItems"] + 1);
    assert_eq!(now.get("BatchGetItem"), sent.get("BatchGetItem"));
}

/// A queue that never answers.
#[derive(Clone, Debug)]
struct SilentQueue;

impl HttpConnector for SilentQueue {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Err(ConnectorError::io("silent".into()))
        })
    }
}

/// The request is answered in time, the job exists, and it is done when the queue is back.
#[tokio::test]
async fn a_queue_that_hangs_does_not_lose_a_job() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    let good = &harness.server.app;
    let engine = harness.server.engine.clone().unwrap();
    let bad = App::new(
        good.config().clone(),
        Clients::dynamodb_in_process(engine),
        Clients::sqs_in_process(SilentQueue),
        shared::auth::Authentication::default(),
        clock.clock(),
    );
    let event = include_str!("../../events/batch-update/share.json");
    let mut event: serde_json::Value = serde_json::from_str(event).unwrap();
    event["body"] = json!(json!({"images": [image], "projects": [MEMBER]}).to_string());
    event["isBase64Encoded"] = json!(false);
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let started = std::time::Instant::now();
    let answer = shared::runtime::api::answer(bad, request, batch_update::handle).await;
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(answer.status(), 200);
    let lambda_http::Body::Text(body) = answer.into_body() else {
        panic!()
    };
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let job = body["job_id"].as_str().unwrap().to_owned();
    clock.forward(GRACE_SECONDS);
    assert_eq!(sweep(good).await, 1);
    assert_eq!(harness.ended(Who::Owner, &job).await["status"], "SUCCESS");
}

/// A queue that refuses everything.
#[derive(Clone, Debug)]
struct RefusingQueue;

impl HttpConnector for RefusingQueue {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::io("refused".into())))
    }
}

/// Each try puts the record further back in the index. What operators are told counts from the first.
#[tokio::test]
async fn work_that_fails_again_and_again_is_overdue_since_the_first_time() {
    let (harness, clock) = Harness::with_clock().await;
    let batch = accepted(&harness).await;
    let good = &harness.server.app;
    let prometheus = Arc::new(Prometheus::new().unwrap());
    let engine = harness.server.engine.clone().unwrap();
    let sqs = Clients::sqs_in_process(RefusingQueue);
    let bad = App::with_metrics(
        good.config().clone(),
        Clients::dynamodb_in_process(engine),
        sqs.clone(),
        shared::auth::Authentication::default(),
        Metrics::to(prometheus.clone()),
        clock.clock(),
    );
    let monitor = Monitor::of(Watched {
        app: bad.clone(),
        engine: None,
        queue: None,
        sqs,
        directory: None,
        sweep_every: Some(Duration::from_secs(5)),
        prometheus: None,
    });
    let until = Timestamp::from_micros(i64::MAX);
    clock.forward(GRACE_SECONDS);
    for tries in 0..4 {
        let run = sweep::sweep(&bad, until).await.unwrap();
        monitor.swept(&run);
        run.outcome().unwrap_err();
        let overdue = format!(
            "overdue_for_seconds{{operation=\"sweep\"}} {}\n",
            tries * GRACE_SECONDS
        );
        let told = prometheus.render();
        assert!(told.contains(&overdue), "{overdue} is not in {told}");
        clock.forward(GRACE_SECONDS);
    }
    // A run between two tries finds nothing. That is no success.
    let claimed = sweep::sweep(&bad, until).await.unwrap();
    clock.forward(1);
    let nothing = sweep::sweep(&bad, until).await.unwrap();
    for run in [&claimed, &nothing] {
        monitor.swept(run);
    }
    assert_eq!(nothing.outcome().unwrap().overdue, 0);
    let health = monitor.details().await;
    assert_eq!(health.status, HealthStatus::Degraded);
    let overdue = 4 * GRACE_SECONDS + 1;
    let expected = [
        format!("Work has been overdue for {overdue} s."),
        "The queue does not answer.".to_owned(),
    ];
    assert_eq!(health.reasons, expected);
    assert_eq!(health.sweep.succeeded_seconds_ago, None);
    clock.forward(GRACE_SECONDS);
    assert_eq!(sweep(good).await, 1);
    let job = harness.ended(Who::Owner, &batch.job.id.to_string()).await;
    assert_eq!(job["status"], "SUCCESS");
}

/// The stored record of an image.
async fn record(harness: &Harness, image: &str) -> at::Item {
    stored(harness, at::image_key(ImageId::canonical(image).unwrap())).await
}

/// The item of a key; empty if there is none.
async fn stored(harness: &Harness, key: at::Item) -> at::Item {
    let engine = harness.server.engine.clone().unwrap();
    let client = Clients::dynamodb_in_process(engine);
    let found = client
        .get_item()
        .table_name("imshare")
        .set_key(Some(key))
        .send()
        .await
        .unwrap();
    found.item.unwrap_or_default()
}

/// An image that is created under the id of a deleted one is visible to nobody, however old the
/// deletion is, and even if a process died before it had removed the memberships.
#[tokio::test]
async fn a_deleted_image_keeps_its_id_until_its_memberships_have_ended() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    for member in [MEMBER, MEMBER2] {
        harness.share(&image, member).await.expect(200);
    }
    harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    let app = &harness.server.app;
    let stamp = Stamp::direct(app.operation(), app.now(), origin());
    // The process dies after its first write.
    let id = ImageId::canonical(&image).unwrap();
    app.store().delete_image(&owner(), id, stamp).await.unwrap();
    harness
        .get(Who::Member, &format!("/v2/images/{image}"))
        .await
        .expect(404);
    clock.forward(30 * 24 * 3600);
    let tombstone = record(&harness, &image).await;
    assert!(
        !tombstone.contains_key(at::EXPIRES_AT),
        "work is due for it, so it stays"
    );
    harness
        .post(Who::Owner, "/v2/images", json!({"id": image}))
        .await
        .expect(409);

    assert_eq!(sweep(app).await, 1);
    let members = [MEMBER, MEMBER2].map(|member| ProjectId::parse(member).unwrap());
    let keys = members.clone().map(|member| (id, member));
    let stored = app.store().memberships(&keys).await.unwrap();
    assert!(
        stored
            .values()
            .all(|membership| membership.clone().present().is_none())
    );
    let tombstone = record(&harness, &image).await;
    let expires = tombstone[at::EXPIRES_AT]
        .as_n()
        .unwrap()
        .parse::<i64>()
        .unwrap();
    let kept = expires - app.now().unix_seconds();
    assert_eq!(
        kept,
        14 * 24 * 3600,
        "longer than any message can be under way"
    );
    assert!(!tombstone.contains_key(at::DPK));
    assert_eq!(sweep(app).await, 0);
}

#[tokio::test]
async fn a_change_of_visibility_that_was_cut_short_is_brought_to_its_end() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    harness.share_accepted(&image, Who::Member).await;
    let app = &harness.server.app;
    let id = ImageId::canonical(&image).unwrap();
    for (visibility, listed) in [("private", 0), ("shared", 1)] {
        let seen = app.store().image(id).await.unwrap().unwrap();
        let next = shared::domain::image::Image {
            visibility: shared::domain::visibility::Visibility::parse(visibility).unwrap(),
            op: app.operation().not_before(seen.op),
            ..seen.clone()
        };
        app.store()
            .replace_image(&seen, &next, app.now())
            .await
            .unwrap();
        clock.forward(GRACE_SECONDS);
        assert_eq!(sweep(app).await, 1, "{visibility}");
        assert_eq!(sweep(app).await, 0, "{visibility}");
        assert_eq!(
            harness.listed(Who::Member, "").await.len(),
            listed,
            "{visibility}"
        );
        let member = ProjectId::parse(MEMBER).unwrap();
        let stored = app.store().memberships(&[(id, member)]).await.unwrap();
        assert_eq!(stored.len(), 1, "the membership survives");
    }
}

/// A queue message does the same, also under the name of the release before.
#[tokio::test]
async fn a_message_of_the_release_before_is_understood() {
    let old = r#"{"type":"bury","image":"00000007-0000-4000-8000-000000000000"}"#;
    let image = ImageId::canonical("00000007-0000-4000-8000-000000000000").unwrap();
    assert_eq!(
        serde_json::from_str::<Message>(old).unwrap(),
        Message::Memberships { image }
    );
}

/// A member count that is too low is corrected by the next removal.
#[tokio::test]
async fn a_count_of_members_does_not_go_below_zero() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for member in [MEMBER, MEMBER2] {
        harness.share(&image, member).await.expect(200);
    }
    let engine = harness.server.engine.clone().unwrap();
    let client = Clients::dynamodb_in_process(engine);
    for (stored, member) in [("0", MEMBER), ("-1", MEMBER2)] {
        client
            .update_item()
            .table_name("imshare")
            .set_key(Some(at::image_key(ImageId::canonical(&image).unwrap())))
            .update_expression("SET member_count = :count")
            .expression_attribute_values(":count", AttributeValue::N(stored.to_owned()))
            .send()
            .await
            .unwrap();
        harness
            .get(Who::Owner, &format!("/v2/images/{image}"))
            .await
            .expect(200);
        let row = format!("/v2/images/{image}/members/{member}");
        harness.delete(Who::Owner, &row).await.expect(204);
        assert_eq!(harness.member_count(&image).await, 0);
    }
    harness.share(&image, MEMBER).await.expect(200);
    assert_eq!(harness.member_count(&image).await, 1);
}

/// A chunk does not count after the end of its job, and a tombstone expires.
#[tokio::test]
async fn a_chunk_counts_before_the_end_only_and_tombstones_end() {
    let (harness, clock) = Harness::with_clock().await;
    let batch = accepted(&harness).await;
    let app = &harness.server.app;
    let Message::Chunk(chunk) = batch.message(0, false) else {
        panic!()
    };
    let outcomes = vec![Outcome::Changed; chunk.entries.rows];
    let late = app
        .store()
        .finish_chunk(&chunk, &outcomes, batch.job.deadline)
        .await
        .unwrap();
    assert_eq!(late, Finished::Over);
    let job = app
        .store()
        .job(batch.job.id, app.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((job.succeeded, job.failed), (0, 0));
    let in_time = batch.job.deadline.plus_seconds(-1);
    let counted = app
        .store()
        .finish_chunk(&chunk, &outcomes, in_time)
        .await
        .unwrap();
    assert_eq!(counted, Finished::Counted);

    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    clock.forward(1);
    harness
        .delete(Who::Owner, &format!("/v2/images/{image}/members/{MEMBER}"))
        .await
        .expect(204);
    let member = ProjectId::parse(MEMBER).unwrap();
    let key = at::member_key(ImageId::canonical(&image).unwrap(), &member);
    let expires: i64 = stored(&harness, key).await[at::EXPIRES_AT]
        .as_n()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(expires - app.now().unix_seconds(), 14 * 24 * 3600);
}

/// The local server runs the sweep at the start and then every few seconds.
#[tokio::test]
async fn the_local_server_sweeps() {
    let clock = crate::harness::ManualClock::default();
    let options = Options {
        clock: clock.clock(),
        sweep_every: Some(Duration::from_millis(50)),
        ..options()
    };
    let harness = Harness::with(options).await;
    let batch = accepted(&harness).await;
    clock.forward(GRACE_SECONDS);
    let job = harness.ended(Who::Owner, &batch.job.id.to_string()).await;
    assert_eq!(job["status"], "SUCCESS");
}
