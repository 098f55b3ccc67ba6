//! Batches: accepted, applied once whatever the queue does, and accounted for entry by entry.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::batch::Slice;
use shared::id::{JobId, ProjectId};
use shared::job::{DEADLINE_SECONDS, Job, JobKind};
use shared::member::MemberStatus;
use shared::queue::{Chunk, Message, SqsAttributes, SqsRecord};
use shared::store::jobs::Created;
use shared::time::Timestamp;

use crate::world::{ADMIN, Answer, MEMBER, MEMBER2, OWNER, Who, World};

const BATCH: &str = "/v1/cloudimages/members";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn error_of(answer: &Answer) -> String {
    answer.text("/error/code")
}

/// The results of a job as (image, project, status, code).
fn results(job: &Value) -> Vec<(String, String, String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    job["entities"]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                text(row, "image_id"),
                text(row, "project_id"),
                text(row, "status"),
                text(row, "error_code"),
            )
        })
        .collect()
}

fn codes(job: &Value) -> Vec<String> {
    results(job)
        .into_iter()
        .map(|(_, _, status, code)| if code.is_empty() { status } else { code })
        .collect()
}

async fn run(world: &World, who: Who, method: &str, body: Value) -> Value {
    let answer = world
        .send(who, method, BATCH, Some(&body.to_string()))
        .await
        .expect(200);
    world.ended(who, &answer.text("/job_id")).await
}

/// A job whose record exists and whose messages are in our hands instead of the queue's.
async fn held(
    world: &World,
    project: &str,
    kind: JobKind,
    status: Option<MemberStatus>,
    images: &[String],
    projects: &[&str],
) -> (JobId, Vec<SqsRecord>) {
    let app = &world.server.app;
    let projects: Vec<String> = projects.iter().map(|p| (*p).to_owned()).collect();
    let entries = Slice::of_request(images, &projects);
    let now = app.now();
    let job = Job {
        id: app.operation(),
        project: ProjectId::parse(project).unwrap(),
        kind,
        total: entries.rows,
        chunk_rows: entries.chunk_rows(),
        succeeded: 0,
        failed: 0,
        errors: BTreeMap::new(),
        begin: now,
        updated_at: now,
        deadline: now.plus_seconds(DEADLINE_SECONDS),
    };
    assert_eq!(
        app.store().create_job(&job, &entries, None).await.unwrap(),
        Created::New
    );
    let records = (0..job.chunks())
        .map(|number| {
            let message = Message::Chunk(Chunk {
                job: job.id.to_string(),
                number,
                project: job.project.clone(),
                admin: false,
                kind,
                status,
                vault_id: None,
                deadline: job.deadline.micros(),
                entries: entries.part(number * job.chunk_rows, job.chunk_rows),
            });
            SqsRecord {
                message_id: format!("m{number}"),
                body: serde_json::to_string(&message).unwrap(),
                attributes: SqsAttributes {
                    approximate_receive_count: "1".into(),
                },
            }
        })
        .collect();
    (job.id, records)
}

async fn deliver(world: &World, record: &SqsRecord) {
    let until = Timestamp::from_micros(i64::MAX);
    run_batch::handle(world.server.app.clone(), record.clone(), until)
        .await
        .unwrap();
}

async fn shown(world: &World, who: Who, job: JobId) -> Value {
    world
        .get(who, &format!("/v1/cloudimages/job/{job}"))
        .await
        .expect(200)
        .json()
}

async fn status(world: &World, image: &str, member: &str) -> Option<String> {
    let answer = world
        .get(Who::Owner, &format!("/v2/images/{image}/members/{member}"))
        .await;
    (answer.status == 200).then(|| answer.text("/status"))
}

#[tokio::test]
async fn one_unknown_image_fails_alone() {
    let world = World::new().await;
    let (a, b) = (world.image(json!({})).await, world.image(json!({})).await);
    for image in [&a, &b] {
        world.share(image, MEMBER).await.expect(200);
    }
    let body =
        json!({"images": [a, UNKNOWN, b, "nonsense"], "project_id": MEMBER, "status": "accepted"});
    let job = run(&world, Who::Member, "PUT", body).await;
    assert_eq!(job["status"], "FAIL");
    assert_eq!(job["job_type"], "imsUpdateImageMembersJob");
    assert_eq!(job["error_code"], "IMG.0027");
    assert_eq!(job["fail_reason"], "2 of 4 entries failed");
    assert_eq!(job["entities"]["process_percent"], 1.0);
    assert_eq!(job["entities"]["subJobId"], "");
    assert!(job["end_time"].as_str().unwrap().len() == "2024-11-06T06:24:23.773Z".len());
    assert_eq!(codes(&job), ["success", "IMG.0027", "success", "IMG.0066"]);
    let order: Vec<_> = results(&job).into_iter().map(|row| row.0).collect();
    assert_eq!(order, [a.as_str(), UNKNOWN, &b, "nonsense"]);
    assert_eq!(world.listed(Who::Member, "").await.len(), 2);

    // Only its own project and an admin see it.
    let id = job["job_id"].as_str().unwrap();
    let mine = format!("/v1/{MEMBER}/jobs/{id}");
    assert_eq!(world.get(Who::Member, &mine).await.expect(200).json(), job);
    world.get(Who::Admin, &mine).await.expect(200);
    for (who, path) in [
        (Who::Owner, mine.clone()),
        (Who::Owner, format!("/v1/{OWNER}/jobs/{id}")),
        (Who::Owner, format!("/v1/cloudimages/job/{id}")),
        (Who::Member, format!("/v1/{OWNER}/jobs/{id}")),
        (Who::Member, format!("/v1/{MEMBER}/jobs/{}", "0".repeat(32))),
        (Who::Member, format!("/v1/{MEMBER}/jobs/not-an-id")),
        (
            Who::Member,
            format!("/v1/{MEMBER}/jobs/{}", id.to_uppercase()),
        ),
    ] {
        assert_eq!(
            error_of(&world.get(who, &path).await.expect(404)),
            "IMG.0023",
            "{path}"
        );
    }
}

#[tokio::test]
async fn images_are_shared_and_unshared_by_the_thousand() {
    let world = World::new().await;
    let mut images = Vec::new();
    for _ in 0..12 {
        images.push(world.image(json!({})).await);
    }
    let projects: Vec<String> = (0..120).map(|i| format!("p{i}")).collect();
    let body = json!({"images": images, "projects": projects});
    let job = run(&world, Who::Owner, "POST", body.clone()).await;
    assert_eq!(job["status"], "SUCCESS", "{job}");
    assert_eq!(job["job_type"], "imsAddImageMembersJob");
    assert_eq!(job["error_code"], Value::Null);
    // 1440 rows: the first page has 1000, in the order of the request.
    let id = job["job_id"].as_str().unwrap();
    assert_eq!(results(&job).len(), 1000);
    let next = job["entities"]["page_info"]["next_marker"]
        .as_str()
        .unwrap();
    let rest = world
        .get(Who::Owner, &format!("/v1/{OWNER}/jobs/{id}?marker={next}"))
        .await
        .json();
    let mut rows = results(&job);
    rows.extend(results(&rest));
    assert_eq!(rest["entities"]["page_info"].get("next_marker"), None);
    let expected: Vec<_> = images
        .iter()
        .flat_map(|i| projects.iter().map(move |p| (i.clone(), p.clone())))
        .collect();
    assert_eq!(
        rows.iter()
            .map(|r| (r.0.clone(), r.1.clone()))
            .collect::<Vec<_>>(),
        expected
    );

    // The same again: they are members already, which is as good.
    let again = run(&world, Who::Owner, "POST", body.clone()).await;
    assert_eq!(again["status"], "SUCCESS");
    // The quota is exact in a batch too: 128 - 120 have room.
    let more: Vec<String> = (0..10).map(|i| format!("more{i}")).collect();
    let over = run(
        &world,
        Who::Owner,
        "POST",
        json!({"images": [images[0]], "projects": more}),
    )
    .await;
    let mut expected = vec!["success"; 8];
    expected.extend(["IMG.0088"; 2]);
    assert_eq!(codes(&over), expected);

    let removed = run(&world, Who::Owner, "DELETE", body.clone()).await;
    assert_eq!(removed["status"], "SUCCESS", "{removed}");
    assert_eq!(removed["job_type"], "imsDelImageMembersJob");
    let absent = run(
        &world,
        Who::Owner,
        "DELETE",
        json!({"images": [images[1]], "projects": ["p0"]}),
    )
    .await;
    assert_eq!(codes(&absent), ["IMG.0121"]);
    let id = shared::id::ImageId::canonical(&images[0]).unwrap();
    assert_eq!(
        world
            .server
            .app
            .store()
            .image(id)
            .await
            .unwrap()
            .unwrap()
            .member_count,
        8
    );
}

#[tokio::test]
async fn every_refusal_of_an_entry_has_its_code() {
    let world = World::new().await;
    let image = |visibility: &'static str| {
        let world = &world;
        async move {
            let id = world.image(json!({})).await;
            world.share(&id, MEMBER).await.expect(200);
            world.set_visibility(Who::Admin, &id, visibility).await;
            id
        }
    };
    let (shared, private, public, community) = (
        image("shared").await,
        image("private").await,
        image("public").await,
        image("community").await,
    );
    let images = json!([shared, private, public, community]);
    let add = |project: &str| json!({"images": images, "projects": [project]});

    let owner = run(&world, Who::Owner, "POST", add("new")).await;
    assert_eq!(
        codes(&owner),
        ["success", "IMG.0046", "IMG.0089", "IMG.0046"]
    );
    let itself = run(&world, Who::Owner, "POST", add(OWNER)).await;
    assert_eq!(codes(&itself)[0], "IMG.0076");
    let member = run(&world, Who::Member, "POST", add("other")).await;
    assert_eq!(
        codes(&member),
        ["IMG.0047", "IMG.0027", "IMG.0089", "IMG.0046"]
    );
    let stranger = run(&world, Who::Third, "DELETE", add("other")).await;
    assert_eq!(
        codes(&stranger),
        ["IMG.0027", "IMG.0027", "IMG.0089", "IMG.0046"]
    );
    let admin = run(&world, Who::Admin, "POST", add("by-admin")).await;
    assert_eq!(
        codes(&admin),
        ["success", "IMG.0046", "IMG.0089", "IMG.0046"]
    );

    let accept =
        |project: &str| json!({"images": images, "project_id": project, "status": "accepted"});
    let member = run(&world, Who::Member, "PUT", accept(MEMBER)).await;
    assert_eq!(
        codes(&member),
        ["success", "IMG.0027", "IMG.0089", "IMG.0046"]
    );
    let stranger = run(&world, Who::Third, "PUT", accept(crate::world::THIRD)).await;
    assert_eq!(codes(&stranger)[0], "IMG.0027");
    let owner = run(&world, Who::Owner, "PUT", accept(OWNER)).await;
    assert_eq!(codes(&owner)[..2], ["IMG.0076", "IMG.0046"]);
    let admin = run(&world, Who::Admin, "PUT", accept(MEMBER)).await;
    assert_eq!(codes(&admin)[0], "success");
}

#[tokio::test]
async fn an_image_from_a_backup_is_accepted_into_a_vault() {
    let world = World::new().await;
    let image = world.image(json!({"__backup_id": "b-1"})).await;
    world.share(&image, MEMBER).await.expect(200);
    let body = |vault: Value| json!({"images": [image], "project_id": MEMBER, "status": "accepted", "vault_id": vault});
    let none = run(&world, Who::Member, "PUT", body(Value::Null)).await;
    assert_eq!(codes(&none), ["IMG.0184"]);
    let odd = run(&world, Who::Member, "PUT", body(json!("my vault"))).await;
    assert_eq!(codes(&odd), ["IMG.0188"]);
    let vault = "384a9d5e-8b2f-4d3c-9a57-1b1c6f2d3e4f";
    let good = run(&world, Who::Member, "PUT", body(json!(vault))).await;
    assert_eq!(codes(&good), ["success"]);
    let member = ProjectId::parse(MEMBER).unwrap();
    let id = shared::id::ImageId::canonical(&image).unwrap();
    let facts = world
        .server
        .app
        .store()
        .facts(id, &[&member])
        .await
        .unwrap();
    let stored = facts
        .membership(&member)
        .unwrap()
        .clone()
        .present()
        .unwrap();
    assert_eq!(stored.vault_id.as_deref(), Some(vault));
    // Rejecting needs none.
    let reject = json!({"images": [image], "project_id": MEMBER, "status": "rejected"});
    assert_eq!(
        codes(&run(&world, Who::Member, "PUT", reject).await),
        ["success"]
    );
}

#[tokio::test]
async fn redelivery_in_any_order_changes_nothing() {
    let world = World::new().await;
    let mut images = Vec::new();
    for _ in 0..250 {
        let image = world.image(json!({})).await;
        world.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let accepted = Some(MemberStatus::Accepted);
    let (job, records) = held(
        &world,
        MEMBER,
        JobKind::Update,
        accepted,
        &images,
        &[MEMBER],
    )
    .await;
    assert_eq!(shown(&world, Who::Member, job).await["status"], "INIT");
    assert_eq!(records.len(), 3);
    let mut percents = Vec::new();
    for place in [2, 2, 0, 2, 0, 1, 1, 0, 2] {
        deliver(&world, &records[place]).await;
        let now = shown(&world, Who::Member, job).await;
        percents.push(now["entities"]["process_percent"].as_f64().unwrap());
        assert_eq!(results(&now).len(), 250);
    }
    assert_eq!(percents, [0.2, 0.2, 0.6, 0.6, 0.6, 1.0, 1.0, 1.0, 1.0]);
    let end = shown(&world, Who::Member, job).await;
    assert_eq!(end["status"], "SUCCESS");
    // A decision made since is not undone by a message that comes once more.
    world
        .answer(Who::Member, &images[0], MEMBER, "rejected")
        .await
        .expect(200);
    deliver(&world, &records[0]).await;
    assert_eq!(
        status(&world, &images[0], MEMBER).await.as_deref(),
        Some("rejected")
    );
    assert_eq!(shown(&world, Who::Member, job).await, end);
}

#[tokio::test]
async fn the_request_accepted_last_wins_whatever_the_queue_does() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    world.share(&image, MEMBER).await.expect(200);
    let images = [image.clone()];
    let update = |status| {
        held(
            &world,
            MEMBER,
            JobKind::Update,
            Some(status),
            &images,
            &[MEMBER],
        )
    };
    let (older, first) = update(MemberStatus::Rejected).await;
    let (newer, second) = update(MemberStatus::Accepted).await;
    deliver(&world, &second[0]).await;
    deliver(&world, &first[0]).await;
    assert_eq!(
        status(&world, &image, MEMBER).await.as_deref(),
        Some("accepted")
    );
    for job in [older, newer] {
        assert_eq!(shown(&world, Who::Member, job).await["status"], "SUCCESS");
    }

    // A direct call with the status that is there already is a decision too.
    let (_, late) = update(MemberStatus::Rejected).await;
    world
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    deliver(&world, &late[0]).await;
    assert_eq!(
        status(&world, &image, MEMBER).await.as_deref(),
        Some("accepted")
    );
}

#[tokio::test]
async fn a_late_batch_brings_back_nothing_that_was_taken_away() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    let images = [image.clone()];
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    let (_, add) = held(&world, OWNER, JobKind::Add, None, &images, &[MEMBER]).await;
    let (_, accept) = held(
        &world,
        MEMBER,
        JobKind::Update,
        Some(MemberStatus::Accepted),
        &images,
        &[MEMBER],
    )
    .await;
    deliver(&world, &add[0]).await;
    world.delete(Who::Owner, &row).await.expect(204);
    deliver(&world, &add[0]).await;
    assert_eq!(status(&world, &image, MEMBER).await, None);
    // Shared anew: an answer to the first sharing is none to the second.
    world.share(&image, MEMBER).await.expect(200);
    deliver(&world, &accept[0]).await;
    assert_eq!(
        status(&world, &image, MEMBER).await.as_deref(),
        Some("pending")
    );

    // The other way round: a removal that is late does not end a membership that is newer.
    let (_, remove) = held(&world, OWNER, JobKind::Remove, None, &images, &[MEMBER]).await;
    world.delete(Who::Owner, &row).await.expect(204);
    world.share(&image, MEMBER).await.expect(200);
    deliver(&world, &remove[0]).await;
    assert_eq!(
        status(&world, &image, MEMBER).await.as_deref(),
        Some("pending")
    );
    let id = shared::id::ImageId::canonical(&image).unwrap();
    assert_eq!(
        world
            .server
            .app
            .store()
            .image(id)
            .await
            .unwrap()
            .unwrap()
            .member_count,
        1
    );
}

#[tokio::test]
async fn dead_letters_and_lost_messages_end_the_job() {
    let (world, clock) = World::with_clock().await;
    let mut images = Vec::new();
    for _ in 0..150 {
        let image = world.image(json!({})).await;
        world.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let accepted = Some(MemberStatus::Accepted);
    clock.forward(1);
    let (job, records) = held(
        &world,
        MEMBER,
        JobKind::Update,
        accepted,
        &images,
        &[MEMBER],
    )
    .await;
    // Of the first chunk one entry was applied before its worker died for good.
    let chunk: Message = serde_json::from_str(&records[0].body).unwrap();
    let Message::Chunk(mut one) = chunk else {
        panic!()
    };
    one.entries = one.entries.part(0, 1);
    one.number = 7;
    let body = serde_json::to_string(&Message::Chunk(one)).unwrap();
    deliver(
        &world,
        &SqsRecord {
            body,
            ..records[0].clone()
        },
    )
    .await;
    let until = Timestamp::from_micros(i64::MAX);
    for _ in 0..2 {
        settle_batch::handle(world.server.app.clone(), records[0].clone(), until)
            .await
            .unwrap();
    }
    let now = shown(&world, Who::Member, job).await;
    assert_eq!(now["status"], "RUNNING");
    assert_eq!(codes(&now)[..2], ["success", "IMG.0113"]);
    assert_eq!(codes(&now)[149], "running");
    // A chunk that is settled is not applied any more.
    let again = SqsRecord {
        attributes: SqsAttributes {
            approximate_receive_count: "2".into(),
        },
        ..records[0].clone()
    };
    deliver(&world, &again).await;
    assert_eq!(
        status(&world, &images[1], MEMBER).await.as_deref(),
        Some("pending")
    );

    // The second chunk's message is lost: the job ends at its deadline all the same.
    clock.forward(DEADLINE_SECONDS);
    let end = shown(&world, Who::Member, job).await;
    assert_eq!(end["status"], "FAIL");
    assert_eq!(codes(&end)[149], "IMG.0113");
    deliver(&world, &records[1]).await;
    assert_eq!(
        shown(&world, Who::Member, job).await,
        end,
        "nothing is begun after the end"
    );
    assert_eq!(
        status(&world, &images[149], MEMBER).await.as_deref(),
        Some("pending")
    );
    clock.forward(shared::job::KEPT_SECONDS);
    world
        .get(Who::Member, &format!("/v1/cloudimages/job/{job}"))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_worker_out_of_time_gives_the_rest_back() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    world.share(&image, MEMBER).await.expect(200);
    let accepted = Some(MemberStatus::Accepted);
    let (job, records) = held(
        &world,
        MEMBER,
        JobKind::Update,
        accepted,
        &[image],
        &[MEMBER],
    )
    .await;
    let app = world.server.app.clone();
    let late = run_batch::handle(app.clone(), records[0].clone(), app.now()).await;
    assert!(late.is_err_and(|error| error.retryable()));
    assert_eq!(shown(&world, Who::Member, job).await["status"], "INIT");
    deliver(&world, &records[0]).await;
    assert_eq!(shown(&world, Who::Member, job).await["status"], "SUCCESS");
}

#[tokio::test]
async fn a_poison_message_comes_again_alone() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    world.share(&image, MEMBER).await.expect(200);
    let accepted = Some(MemberStatus::Accepted);
    let (job, mut records) = held(
        &world,
        MEMBER,
        JobKind::Update,
        accepted,
        &[image],
        &[MEMBER],
    )
    .await;
    records.push(SqsRecord {
        message_id: "poison".into(),
        body: "{\"type\": \"chunk\"}".into(),
        attributes: SqsAttributes::default(),
    });
    let event = shared::queue::SqsEvent { records };
    let until = Timestamp::from_micros(i64::MAX);
    let app = world.server.app.clone();
    let response = shared::queue::each(app, event, until, run_batch::handle).await;
    let failed: Vec<_> = response
        .batch_item_failures
        .iter()
        .map(|f| f.item_identifier.as_str())
        .collect();
    assert_eq!(failed, ["poison"]);
    assert_eq!(shown(&world, Who::Member, job).await["status"], "SUCCESS");
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let (world, clock) = World::with_clock().await;
    let image = world.image(json!({})).await;
    let body = json!({"images": [image], "projects": ["p"]})
        .to_string()
        .into_bytes();
    let send = |who: Who, method: &'static str, key: &'static str, body: Vec<u8>| {
        let world = &world;
        async move {
            world
                .send_with(who, method, BATCH, &[("idempotency-key", key)], Some(body))
                .await
        }
    };
    let at_once =
        futures::future::join_all((0..8).map(|_| send(Who::Owner, "POST", "k-1", body.clone())))
            .await;
    let ids: std::collections::BTreeSet<_> = at_once
        .into_iter()
        .map(|answer| answer.expect(200).text("/job_id"))
        .collect();
    assert_eq!(ids.len(), 1, "eight at the same instant are one job");
    let first = ids.first().unwrap().clone();
    let other = json!({"images": [image], "projects": ["q"]})
        .to_string()
        .into_bytes();
    send(Who::Owner, "POST", "k-1", other.clone())
        .await
        .expect(422);
    send(Who::Owner, "DELETE", "k-1", body.clone())
        .await
        .expect(422);
    // A key is its project's own.
    let theirs = send(Who::Member, "POST", "k-1", body.clone())
        .await
        .expect(200)
        .text("/job_id");
    assert_ne!(theirs, first);
    clock.forward(24 * 3600 - 1);
    assert_eq!(
        send(Who::Owner, "POST", "k-1", body.clone())
            .await
            .expect(200)
            .text("/job_id"),
        first
    );
    clock.forward(2);
    let later = send(Who::Owner, "POST", "k-1", other)
        .await
        .expect(200)
        .text("/job_id");
    assert_ne!(later, first);
    let long: &'static str = Box::leak("k".repeat(65).into_boxed_str());
    for bad in ["", " ", "a b", long] {
        assert_eq!(
            error_of(
                &send(Who::Owner, "POST", bad, body.clone())
                    .await
                    .expect(400)
            ),
            "IMG.0001"
        );
    }
    send(
        Who::Owner,
        "POST",
        Box::leak("k".repeat(64).into_boxed_str()),
        body,
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn a_wrong_request_makes_no_job() {
    let world = World::new().await;
    let long = "x".repeat(256);
    let many: Vec<String> = (0..101).map(|i| format!("i{i}")).collect();
    let hundred: Vec<String> = (0..100).map(|i| format!("p{i}")).collect();
    let put = |images: Value, project: Value, status: Value| json!({"images": images, "project_id": project, "status": status});
    let cases = [
        ("PUT", json!([]), "IMG.0001"),
        ("PUT", json!("x"), "IMG.0001"),
        ("PUT", json!({}), "IMG.0001"),
        (
            "PUT",
            put(json!([]), json!(MEMBER), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!("x"), json!(MEMBER), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!([1]), json!(MEMBER), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(MEMBER), json!("pending")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(MEMBER), json!("ACCEPTED")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(MEMBER), Value::Null),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(5), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(""), json!("accepted")),
            "IMG.0067",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(OWNER), json!("accepted")),
            "IMG.0030",
        ),
        ("POST", json!({"images": ["x"]}), "IMG.0001"),
        ("POST", json!({"images": ["x"], "projects": []}), "IMG.0001"),
        (
            "POST",
            json!({"images": ["x"], "projects": [null]}),
            "IMG.0001",
        ),
        (
            "POST",
            json!({"images": ["x"], "projects": ["a\nb"]}),
            "IMG.0067",
        ),
        (
            "POST",
            json!({"images": ["x"], "projects": [long]}),
            "IMG.0067",
        ),
        (
            "DELETE",
            json!({"images": many, "projects": hundred}),
            "IMG.0060",
        ),
    ];
    for (method, body, code) in cases {
        let answer = world
            .send(Who::Member, method, BATCH, Some(&body.to_string()))
            .await
            .expect(400);
        assert_eq!(error_of(&answer), code, "{method} {body}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(
            error_of(
                &world
                    .send(Who::Member, method, BATCH, None)
                    .await
                    .expect(400)
            ),
            "IMG.0007"
        );
        assert_eq!(
            error_of(
                &world
                    .send(Who::Member, method, BATCH, Some("{"))
                    .await
                    .expect(400)
            ),
            "IMG.0001"
        );
    }
    let big = vec![b' '; 2 * 1024 * 1024];
    world
        .send_with(Who::Member, "PUT", BATCH, &[], Some(big))
        .await
        .expect(413);
    let good = put(json!(["x"]), json!(MEMBER), json!("accepted"));
    let reader = world.put(Who::MemberReader, BATCH, good).await.expect(403);
    assert_eq!(error_of(&reader), "IMG.0026");
    let jobs = world
        .get(Who::Member, &format!("/v1/{MEMBER}/jobs"))
        .await
        .expect(200)
        .json();
    assert_eq!(jobs["jobs"], json!([]));
}

#[tokio::test]
async fn a_projects_jobs_are_listed_newest_first() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    let mut ids = Vec::new();
    for i in 0..7 {
        let image = if i % 2 == 0 { image.as_str() } else { UNKNOWN };
        let body = json!({"images": [image], "projects": [format!("p{i}")]});
        ids.push(
            run(&world, Who::Owner, "POST", body).await["job_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    ids.reverse();
    let page = |query: String| {
        let world = &world;
        async move {
            let answer = world
                .get(Who::Owner, &format!("/v1/{OWNER}/jobs{query}"))
                .await
                .expect(200)
                .json();
            let jobs = answer["jobs"].as_array().unwrap();
            let jobs: Vec<_> = jobs
                .iter()
                .map(|job| job["job_id"].as_str().unwrap().to_owned())
                .collect();
            (
                jobs,
                answer["page_info"]["next_marker"]
                    .as_str()
                    .map(str::to_owned),
            )
        }
    };
    assert_eq!(page(String::new()).await, (ids.clone(), None));
    let (first, marker) = page("?limit=3".into()).await;
    assert_eq!(first, ids[..3]);
    let (second, _) = page(format!("?limit=3&marker={}", marker.unwrap())).await;
    assert_eq!(second, ids[3..6]);
    let failed: Vec<_> = ids.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(page("?status=FAIL".into()).await.0, failed);
    assert_eq!(page("?status=FAIL&limit=2".into()).await.0, failed[..2]);
    assert!(
        page("?job_type=imsDelImageMembersJob".into())
            .await
            .0
            .is_empty()
    );
    for bad in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?status=fail",
        "?marker=x",
        "?job_type=x",
    ] {
        world
            .get(Who::Owner, &format!("/v1/{OWNER}/jobs{bad}"))
            .await
            .expect(400);
    }
    world
        .get(Who::Member, &format!("/v1/{OWNER}/jobs"))
        .await
        .expect(404);
    world
        .get(Who::Admin, &format!("/v1/{OWNER}/jobs"))
        .await
        .expect(200);
}

#[tokio::test]
async fn members_are_read_in_the_form_of_ims() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    for member in [MEMBER, MEMBER2, ADMIN] {
        world.share(&image, member).await.expect(200);
    }
    let path = format!("/v1/{OWNER}/cloudimages/{image}/members");
    let first = world
        .get(Who::Owner, &format!("{path}?limit=2"))
        .await
        .expect(200)
        .json();
    assert_eq!(first["page_info"]["current_count"], 2);
    let marker = first["page_info"]["next_marker"].as_str().unwrap();
    let rest = world
        .get(Who::Owner, &format!("{path}?limit=2&marker={marker}"))
        .await
        .expect(200)
        .json();
    assert_eq!(rest["members"].as_array().unwrap().len(), 1);
    assert_eq!(rest["page_info"].get("next_marker"), None);
    let one = world
        .get(Who::Owner, &format!("{path}/{MEMBER}"))
        .await
        .expect(200)
        .json();
    assert_eq!(one["member"]["member_id"], MEMBER);
    assert_eq!(
        error_of(
            &world
                .get(Who::Owner, &format!("{path}/nobody"))
                .await
                .expect(404)
        ),
        "IMG.0121"
    );
    assert_eq!(
        error_of(&world.get(Who::Member, &path).await.expect(400)),
        "IMG.0030"
    );
    let hidden = format!("/v1/{}/cloudimages/{image}/members", crate::world::THIRD);
    assert_eq!(
        error_of(&world.get(Who::Third, &hidden).await.expect(404)),
        "IMG.0027"
    );
    let own = world
        .get(
            Who::Member,
            &format!("/v1/{MEMBER}/cloudimages/{image}/members"),
        )
        .await
        .json();
    assert_eq!(own["members"].as_array().unwrap().len(), 1);
    for bad in ["?limit=0", "?limit=1001", "?marker=%21"] {
        world
            .get(Who::Owner, &format!("{path}{bad}"))
            .await
            .expect(400);
    }

    let quota = world
        .get(Who::Owner, "/v1/cloudimages/quota")
        .await
        .expect(200)
        .json();
    assert_eq!(quota["quotas"]["resources"][0]["quota"], 128);
    let pending = world
        .get(Who::Member, "/v2/cloudimages?member_status=pending")
        .await
        .expect(200)
        .json();
    assert_eq!(pending["images"][0]["id"], image);
    let shared = world
        .get(Who::Member, "/v2/cloudimages?__imagetype=private")
        .await
        .expect(200)
        .json();
    assert_eq!(shared["images"], json!([]));
    let bad = world
        .get(Who::Member, "/v2/cloudimages?member_status=x")
        .await
        .expect(400);
    assert_eq!(error_of(&bad), "IMG.0001");
}
