//! What one project may have at once: exact however requests race, and given back by every job that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures::future::join_all;
use local::engine::Engine;
use local::transport;
use serde_json::{Value, json};
use shared::auth::Authentication;
use shared::domain::batch::Batch;
use shared::domain::entries::Entries;
use shared::domain::id::ProjectId;
use shared::domain::image::Image;
use shared::domain::job::DEADLINE_SECONDS;
use shared::domain::limits::{JobLimit, ProjectLimits};
use shared::domain::policy::{Caller, Role};
use shared::domain::task::Task;
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::messages::{SqsAttributes, SqsRecord};
use shared::store::jobs::Created;
use shared::store::keys as at;
use tokio::sync::Notify;

use crate::harness::{Harness, HttpResponse, MEMBER, ManualClock, OWNER, THIRD, Who, options};

const LIMITS: ProjectLimits = ProjectLimits {
    jobs: 5,
    entries: 1_000,
    images: 3,
};

async fn limited(limits: ProjectLimits) -> (Harness, ManualClock) {
    let clock = ManualClock::default();
    let options = local::options::Options {
        clock: clock.clock(),
        project_limits: limits,
        ..options()
    };
    (Harness::with(options).await, clock)
}

fn project(id: &str) -> ProjectId {
    ProjectId::parse(id).unwrap()
}

/// A batch of so many entries, of images that do not exist, `chunk` rows in each chunk.
fn batch(harness: &Harness, of: &str, entries: usize, chunk: usize) -> Batch {
    let caller = Caller {
        user: "u-owner".to_owned(),
        project: project(of),
        role: Role::Member,
    };
    let images: Vec<_> = (0..entries)
        .map(|at| format!("00000000-0000-4000-8000-{at:012x}"))
        .collect();
    let entries = Entries::of_request(&images, &[project(MEMBER)]);
    let app = &harness.server.app;
    // Not of the manual clock: each has an id of its own.
    let op = shared::domain::id::OperationId::now();
    let mut batch = Batch::new(
        &caller,
        Task::Share,
        entries,
        op,
        app.now(),
        "req".to_owned(),
    );
    batch.job.chunk_rows = chunk;
    batch
}

async fn create(harness: &Harness, batch: &Batch) -> Created {
    let store = harness.server.app.store();
    store.create_job(batch, None).await.unwrap()
}

async fn open(harness: &Harness, of: &str) -> (i64, i64) {
    let store = harness.server.app.store();
    store.open_jobs(&project(of)).await.unwrap()
}

fn record(batch: &Batch, chunk: usize) -> SqsRecord {
    SqsRecord {
        message_id: format!("m{chunk}"),
        body: serde_json::to_string(&batch.message(chunk, false)).unwrap(),
        attributes: SqsAttributes {
            approximate_receive_count: "1".to_owned(),
            message_group_id: None,
        },
        ..SqsRecord::default()
    }
}

async fn run(harness: &Harness, batch: &Batch, chunk: usize) {
    let (app, until) = (harness.server.app.clone(), Timestamp::from_micros(i64::MAX));
    let handled = run_batch::handle(app, record(batch, chunk), until).await;
    handled.unwrap();
}

#[tokio::test]
async fn races_do_not_exceed_the_number_of_open_jobs() {
    let (harness, _) = limited(LIMITS).await;
    let batches: Vec<_> = (0..20).map(|_| batch(&harness, OWNER, 1, 1)).collect();
    let created = join_all(batches.iter().map(|batch| create(&harness, batch))).await;
    let new: Vec<_> = (0..20).filter(|at| created[*at] == Created::New).collect();
    assert_eq!(new.len(), 5);
    let refused = Created::Limited(JobLimit::Jobs);
    assert_eq!(
        created.iter().filter(|found| **found == refused).count(),
        15
    );
    assert_eq!(open(&harness, OWNER).await, (5, 5));
    // Another project has its own.
    assert_eq!(
        create(&harness, &batch(&harness, MEMBER, 1, 1)).await,
        Created::New
    );
    // A job that ends makes room for one.
    run(&harness, &batches[new[0]], 0).await;
    assert_eq!(open(&harness, OWNER).await, (4, 4));
    assert_eq!(
        create(&harness, &batch(&harness, OWNER, 1, 1)).await,
        Created::New
    );
    assert_eq!(
        create(&harness, &batch(&harness, OWNER, 1, 1)).await,
        refused
    );
}

#[tokio::test]
async fn races_do_not_exceed_the_entries_of_open_jobs() {
    let (harness, _) = limited(LIMITS).await;
    let batches: Vec<_> = (0..10).map(|_| batch(&harness, OWNER, 300, 50)).collect();
    let created = join_all(batches.iter().map(|batch| create(&harness, batch))).await;
    assert_eq!(
        created
            .iter()
            .filter(|found| **found == Created::New)
            .count(),
        3
    );
    let refused = Created::Limited(JobLimit::Entries);
    assert_eq!(created.iter().filter(|found| **found == refused).count(), 7);
    // To the last one.
    assert_eq!(
        create(&harness, &batch(&harness, OWNER, 101, 50)).await,
        refused
    );
    assert_eq!(
        create(&harness, &batch(&harness, OWNER, 100, 50)).await,
        Created::New
    );
    assert_eq!(open(&harness, OWNER).await, (4, 1_000));
}

/// Random jobs, of which chunks are applied, applied twice, at the same time, settled, or lost: at each moment the
/// count is that of the open jobs, and at the end nothing is left.
#[tokio::test]
async fn every_job_that_ends_gives_back_what_it_counts() {
    let none = ProjectLimits {
        jobs: -1,
        entries: -1,
        images: -1,
    };
    for seed in 0..8 {
        fastrand::seed(seed);
        let (harness, clock) = limited(none).await;
        let app = harness.server.app.clone();
        let forever = Timestamp::from_micros(i64::MAX);
        let (mut jobs, mut entries) = (0, 0);
        for _ in 0..12 {
            let size = 1 + fastrand::usize(..40);
            let batch = batch(&harness, OWNER, size, 1 + fastrand::usize(..10));
            assert_eq!(create(&harness, &batch).await, Created::New);
            (jobs, entries) = (jobs + 1, entries + i64::try_from(size).unwrap());
            if fastrand::bool() {
                app.store().messages_sent(batch.job.id).await.unwrap();
            }
            // At the same time, so that two may take themselves for the last.
            let lost = fastrand::usize(..3) == 0;
            let chunks = usize::from(lost)..batch.job.chunks();
            let (app, batch) = (&app, &batch);
            join_all(chunks.map(|chunk| async move {
                for _ in 0..1 + fastrand::usize(..2) {
                    let (app, record) = (app.clone(), record(batch, chunk));
                    match fastrand::usize(..4) {
                        0 => settle_batch::handle(app, record, forever).await.unwrap(),
                        _ => run_batch::handle(app, record, forever).await.unwrap(),
                    };
                }
            }))
            .await;
            if !lost {
                (jobs, entries) = (jobs - 1, entries - i64::try_from(size).unwrap());
            }
            assert_eq!(open(&harness, OWNER).await, (jobs, entries), "seed {seed}");
        }
        clock.forward(DEADLINE_SECONDS);
        for _ in 0..2 {
            sweep::handle(app.clone(), forever).await.unwrap();
            assert_eq!(open(&harness, OWNER).await, (0, 0), "seed {seed}");
        }
        let later = app.now().plus_seconds(DEADLINE_SECONDS);
        assert_eq!(app.store().overdue(later, 1_000).await.unwrap(), []);
    }
}

async fn share(harness: &Harness, images: usize, key: Option<&str>) -> HttpResponse {
    let images: Vec<_> = (0..images)
        .map(|at| format!("00000000-0000-4000-8000-{at:012x}"))
        .collect();
    let body = json!({"images": images, "projects": [MEMBER]}).to_string();
    let key = key.map(|key| ("idempotency-key", key));
    let headers: Vec<_> = key.into_iter().collect();
    let path = "/v1/cloudimages/members";
    harness
        .send_with(Who::Owner, "POST", path, &headers, Some(body.into_bytes()))
        .await
}

#[tokio::test]
async fn a_project_with_too_much_open_is_told_when_to_try_again() {
    let (harness, _) = limited(LIMITS).await;
    // These stay open: nobody sends their messages.
    for _ in 0..4 {
        let batch = batch(&harness, OWNER, 249, 50);
        assert_eq!(create(&harness, &batch).await, Created::New);
    }
    let full = share(&harness, 5, None).await.expect(429);
    assert_eq!(full.header("retry-after"), Some("10"));
    assert_eq!(full.text("/error/code"), "IMG.0060");
    let words = full.text("/error/message");
    assert!(words.contains("more than 1000 entries"), "{words}");
    // More than the project may ever have is no matter of time.
    let large = share(&harness, 1_001, None).await.expect(400);
    assert_eq!(large.text("/error/code"), "IMG.0060");
    assert_eq!(
        large.text("/error/message"),
        "1001 entries at once, Maximum: 1000."
    );
    // A request that is repeated is the same job, and counts once, although there is no room for another.
    let first = share(&harness, 4, Some("k")).await.expect(200);
    for _ in 0..3 {
        let again = share(&harness, 4, Some("k")).await.expect(200);
        assert_eq!(again.text("/job_id"), first.text("/job_id"));
    }
    harness.ended(Who::Owner, &first.text("/job_id")).await;
    assert_eq!(open(&harness, OWNER).await, (4, 996));
    assert_eq!(
        create(&harness, &batch(&harness, OWNER, 1, 50)).await,
        Created::New
    );
    let full = share(&harness, 1, None).await.expect(429);
    let words = full.text("/error/message");
    assert!(words.contains("5 jobs"), "{words}");
    // Nor is a declaration accepted.
    let image = harness.image(json!({})).await;
    let path = format!("/v1/{OWNER}/cloudimages/{image}/members");
    let declared = json!({"projects": [MEMBER]});
    harness.put(Who::Owner, &path, declared).await.expect(429);
}

#[tokio::test]
async fn a_project_owns_as_many_images_as_it_may() {
    let (harness, clock) = limited(LIMITS).await;
    let image = || harness.post(Who::Owner, "/v2/images", json!({"name": "n"}));
    let answers = join_all((0..10).map(|_| image())).await;
    let created: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert_eq!(created.len(), 3);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        let words = "is over a limit for [Resource image_count_total is over limit of 3 due to \
                     current usage 3 and delta 1]";
        assert!(answer.body.contains(words), "{}", answer.body);
        assert_eq!(answer.status, 413);
    }
    // A repeated id is a conflict, whatever the count is.
    let id = created[0].text("/id");
    let taken = json!({"id": id, "name": "n"});
    harness
        .post(Who::Owner, "/v2/images", taken)
        .await
        .expect(409);
    harness
        .post(Who::Member, "/v2/images", json!({}))
        .await
        .expect(201);
    let path = format!("/v2/images/{id}");
    harness.delete(Who::Owner, &path).await.expect(204);
    harness.delete(Who::Owner, &path).await.expect(404);
    // An image with long texts counts as one.
    let long = json!({"tags": (0..120).map(|at| format!("{at:0200}")).collect::<Vec<_>>()});
    harness
        .post(Who::Owner, "/v2/images", long)
        .await
        .expect(201);
    image().await.expect(413);
    let quota = harness
        .get(Who::Owner, "/v1/cloudimages/quota")
        .await
        .json();
    let images = &quota["quotas"]["resources"][0];
    assert_eq!((&images["used"], &images["quota"]), (&json!(3), &json!(3)));
    // The count is made anew each day.
    clock.forward(25 * 3600);
    image().await.expect(413);
}

/// A store that keeps back its first answer about how many rows there are, until the test lets it go.
#[derive(Clone, Debug)]
struct HeldCount {
    engine: Engine,
    is_first: Arc<AtomicBool>,
    counted: Arc<Notify>,
    goes_on: Arc<Notify>,
}

impl HttpConnector for HeldCount {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let store = self.clone();
        HttpConnectorFuture::new(async move {
            let (operation, body) = transport::parts(&request).unwrap();
            let answer = store.engine.perform(operation, body).await;
            let counts = operation == "Query" && body.contains("\"COUNT\"");
            if counts && store.is_first.swap(false, Ordering::Relaxed) {
                store.counted.notify_one();
                store.goes_on.notified().await;
            }
            transport::response(answer)
        })
    }
}

/// The index is counted, then an image is deleted, then the count is written.
#[tokio::test]
async fn an_image_that_is_deleted_while_images_are_counted_leaves_room_for_another() {
    let (harness, clock) = limited(LIMITS).await;
    for _ in 0..3 {
        harness.image(json!({})).await;
    }
    // The count is not good any more.
    clock.forward(25 * 3600);
    let store = HeldCount {
        engine: harness.server.engine.clone().unwrap(),
        is_first: Arc::new(AtomicBool::new(true)),
        counted: Arc::default(),
        goes_on: Arc::default(),
    };
    let app = App::new(
        harness.server.app.config().clone(),
        Clients::dynamodb_through(store.clone()),
        Clients::sqs_in_process(harness.server.queue.clone().unwrap()),
        Authentication::default(),
        clock.clock(),
    );
    let owner = Caller {
        user: "u-owner".to_owned(),
        project: project(OWNER),
        role: Role::Member,
    };
    let (op, now) = (app.operation(), app.now());
    let image = Image::from_request(json!({}), app.policy(), &owner, op, now).unwrap();
    let own = harness.listed(Who::Owner, "").await;
    let delete = async {
        store.counted.notified().await;
        let path = format!("/v2/images/{}", own[0]);
        harness.delete(Who::Owner, &path).await.expect(204);
        store.goes_on.notify_one();
    };
    let (created, ()) = futures::join!(app.store().create_image(&image), delete);
    assert_eq!(created, Ok(true));
    let more = harness.post(Who::Owner, "/v2/images", json!({}));
    more.await.expect(413);
}

/// What an admin gives away counts for whom it belongs to then. Its time of creation, which an admin may choose, is
/// not that of the count.
#[tokio::test]
async fn an_image_that_changes_hands_counts_for_its_new_owner() {
    let (harness, clock) = limited(LIMITS).await;
    let create = async |who: Who, body: Value| harness.post(who, "/v2/images", body).await;
    for (count, who) in [(3, Who::Owner), (2, Who::Member)] {
        for _ in 0..count {
            create(who, json!({})).await.expect(201);
        }
    }
    let given = create(Who::Owner, json!({})).await.expect(413);
    assert!(given.body.contains("current usage 3"), "{}", given.body);
    let own = harness.listed(Who::Owner, "").await;
    let given = format!("/v2/images/{}", own[0]);
    let move_to = async |project: &str| {
        let change = json!([{"op": "replace", "path": "/owner", "value": project}]);
        harness.patch(Who::Admin, &given, change).await.expect(200);
    };
    move_to(MEMBER).await;
    let used = async |who: Who| {
        let quota = harness.get(who, "/v1/cloudimages/quota").await.json();
        quota["quotas"]["resources"][0]["used"].clone()
    };
    assert_eq!(
        (used(Who::Owner).await, used(Who::Member).await),
        (json!(2), json!(3))
    );
    create(Who::Member, json!({})).await.expect(413);
    create(Who::Owner, json!({})).await.expect(201);
    create(Who::Owner, json!({})).await.expect(413);
    // Nobody is kept from giving, whatever the other one has.
    move_to(OWNER).await;
    create(Who::Owner, json!({})).await.expect(413);
    create(Who::Member, json!({})).await.expect(201);
    harness.delete(Who::Admin, &given).await.expect(204);
    create(Who::Owner, json!({})).await.expect(413);

    clock.forward(25 * 3600);
    let dated = json!({"owner": THIRD, "created_at": "2099-01-01T00:00:00Z"});
    create(Who::Admin, dated).await.expect(201);
    let engine = harness.server.engine.clone().unwrap();
    let stored = Clients::dynamodb_in_process(engine)
        .get_item()
        .table_name("imshare")
        .set_key(Some(at::images_key(&project(THIRD))))
        .send();
    let count = stored.await.unwrap().item.unwrap();
    let expires = count[at::EXPIRES_AT]
        .as_n()
        .unwrap()
        .parse::<i64>()
        .unwrap();
    let now = harness.server.app.now().unix_seconds();
    assert!(
        (now..=now + 24 * 3600).contains(&expires),
        "{expires} at {now}"
    );
}

/// Images that a project had before there was a limit count too.
#[tokio::test]
async fn a_limit_that_is_set_later_counts_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let start = async |images: i64| {
        let options = local::options::Options {
            data: local::options::Data::Directory(directory.path().join("data")),
            project_limits: ProjectLimits { images, ..LIMITS },
            ..options()
        };
        Harness::with(options).await
    };
    let harness = start(-1).await;
    for _ in 0..4 {
        harness.image(json!({})).await;
    }
    harness.server.stop().await;
    let harness = start(5).await;
    harness.image(json!({})).await;
    let more = harness.post(Who::Owner, "/v2/images", json!({}));
    more.await.expect(413);
    harness.server.stop().await;
}
