//! What the records keep of who made the last change, and what a redelivery and work done for somebody log.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::domain::actor::{Actor, Origin};
use shared::domain::id::{ImageId, JobId, ProjectId};
use shared::domain::member::MemberStatus;
use shared::domain::task::Task;
use shared::domain::time::Timestamp;
use shared::runtime::clients::Clients;
use shared::runtime::messages::SqsRecord;
use shared::store::keys as at;
use shared::store::members::Stamp;

use crate::batch::{answer, deliver, held};
use crate::harness::{ADMIN, Harness, MEMBER, MEMBER2, OWNER, Who};
use crate::log::Log;

async fn stored(harness: &Harness, key: at::Item) -> at::Item {
    let engine = harness.server.engine.clone().unwrap();
    let client = Clients::dynamodb_in_process(engine);
    let get = client.get_item().table_name("imshare").set_key(Some(key));
    get.send().await.unwrap().item.unwrap_or_default()
}

fn project(id: &str) -> ProjectId {
    ProjectId::parse(id).unwrap()
}

fn id(image: &str) -> ImageId {
    ImageId::canonical(image).unwrap()
}

/// Who wrote a record, as its attribute says.
async fn by(harness: &Harness, key: at::Item, attribute: &str) -> Option<Actor> {
    let item = stored(harness, key).await;
    let text = item.get(attribute)?.as_s().unwrap().clone();
    Some(Actor::parse(&text).unwrap_or_else(|| panic!("{text:?}")))
}

fn who(user: &str, id: &str) -> Option<Actor> {
    Some(Actor::new(user, project(id)))
}

#[tokio::test]
async fn each_record_keeps_who_wrote_it_last() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let (image_key, member_key) = (
        || at::image_key(id(&image)),
        || at::member_key(id(&image), &project(MEMBER)),
    );
    let owner = who("u-owner", OWNER);
    assert_eq!(by(&harness, image_key(), at::BY).await, owner);
    harness.share(&image, MEMBER).await.expect(200);
    assert_eq!(by(&harness, member_key(), at::BY).await, owner);
    harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    let member = who("u-member", MEMBER);
    assert_eq!(by(&harness, member_key(), at::BY).await, member);
    // An admin who is not of the image's project is kept as who it was.
    let admin = who("u-admin", ADMIN);
    let path = format!("/v2/images/{image}/tags/t");
    harness
        .send(Who::Admin, "PUT", &path, None)
        .await
        .expect(204);
    assert_eq!(by(&harness, image_key(), at::BY).await, admin);
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    harness.delete(Who::Admin, &row).await.expect(204);
    let tombstone = stored(&harness, member_key()).await;
    assert!(tombstone.contains_key(at::GONE));
    assert_eq!(by(&harness, member_key(), at::BY).await, admin);

    // The declared set and the job, with the entries that it applies.
    let path = format!("/v1/{OWNER}/cloudimages/{image}/members");
    let body = json!({"projects": [MEMBER2]});
    let accepted = harness.put(Who::Owner, &path, body).await.expect(200);
    let job = accepted.text("/job_id");
    harness.ended(Who::Owner, &job).await;
    assert_eq!(by(&harness, image_key(), at::DECLARED_BY).await, owner);
    let job = at::job_key(JobId::parse(&job).unwrap());
    assert_eq!(by(&harness, job, at::BY).await, owner);
    let other = at::member_key(id(&image), &project(MEMBER2));
    assert_eq!(by(&harness, other.clone(), at::BY).await, owner);

    let path = format!("/v1/{MEMBER}/cloudimages/trusted-owners");
    harness
        .put(Who::Member, &path, json!({"rules": []}))
        .await
        .expect(200);
    let rules = at::trust_key(&project(MEMBER));
    assert_eq!(by(&harness, rules, at::BY).await, member);

    // Whoever deletes the image has ended its memberships.
    let path = format!("/v2/images/{image}");
    harness.delete(Who::Admin, &path).await.expect(204);
    assert_eq!(by(&harness, image_key(), at::BY).await, admin);
    assert_eq!(by(&harness, other, at::BY).await, admin);
}

#[tokio::test]
async fn a_redelivery_that_changes_nothing_logs_nothing() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let log = Log::begin();
    let fields = ["what", "member", "from", "to", "user", "project", "job"];
    let images = [image.clone()];
    let mut expected = Vec::new();
    for (project, task, members, line) in [
        (
            OWNER,
            Task::Share,
            vec![MEMBER, MEMBER2],
            ["member.add", MEMBER2, "none", "pending"],
        ),
        (
            MEMBER2,
            answer(MemberStatus::Accepted),
            vec![MEMBER2],
            ["member.answer", MEMBER2, "pending", "accepted"],
        ),
        (
            OWNER,
            Task::Unshare,
            vec![MEMBER2],
            ["member.remove", MEMBER2, "member", "none"],
        ),
    ] {
        let (job, records) = held(&harness, project, task, &images, &members).await;
        let line = line.map(str::to_owned).into_iter();
        let more = ["u-asks", project, &job.to_string()].map(str::to_owned);
        let line: Vec<String> = line.chain(more).collect();
        expected.push(<[String; 7]>::try_from(line).unwrap());
        for _ in 0..3 {
            deliver(&harness, &records[0]).await;
            let found = log.lines(fields);
            assert_eq!(found, std::mem::take(&mut expected));
        }
    }
}

/// A removal that arrives after a newer share has confirmed the membership begins it anew.
#[tokio::test]
async fn a_late_removal_is_logged_as_what_it_does() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    harness
        .answer(Who::Member, &image, MEMBER, "rejected")
        .await
        .expect(200);
    let (images, members) = ([image.clone()], [MEMBER]);
    let (_, removal) = held(&harness, OWNER, Task::Unshare, &images, &members).await;
    let (_, share) = held(&harness, OWNER, Task::Share, &images, &members).await;
    let log = Log::begin();
    deliver(&harness, &share[0]).await;
    assert_eq!(log.lines(["what"]), [[""; 1]; 0]);
    deliver(&harness, &removal[0]).await;
    let renewed = ["member.renew", "rejected", "pending", "u-asks"];
    assert_eq!(log.lines(["what", "from", "to", "user"]), [renewed]);
    let key = at::member_key(id(&image), &project(MEMBER));
    assert_eq!(by(&harness, key, at::BY).await, who("u-asks", OWNER));
}

#[tokio::test]
async fn a_rule_that_answers_is_named_beside_who_shared() {
    let harness = Harness::new().await;
    let path = format!("/v1/{MEMBER}/cloudimages/trusted-owners");
    let rules = json!({"rules": [{"owner": OWNER, "mode": "accept"}]});
    harness.put(Who::Member, &path, rules).await.expect(200);
    let image = harness.image(json!({})).await;
    let log = Log::begin();
    let (_, records) = held(&harness, OWNER, Task::Share, &[image], &[MEMBER, MEMBER2]).await;
    deliver(&harness, &records[0]).await;
    let found = log.lines(["member", "to", "user", "automatic"]);
    let expected = [
        [MEMBER2, "pending", "u-asks", "-"],
        [MEMBER, "accepted", "u-asks", "trusted-owner"],
    ];
    assert_eq!(found, expected);
}

/// The request that deleted the image has died. The sweep ends its memberships, in the name of who
/// deleted it.
#[tokio::test]
async fn the_sweep_acts_for_who_deleted_the_image() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let app = harness.server.app.clone();
    let admin = shared::domain::policy::Caller {
        user: "u-admin".to_owned(),
        project: project(ADMIN),
        role: shared::domain::policy::Role::Admin,
    };
    let by_admin = Origin::new(admin.actor(), "req-1".to_owned());
    let log = Log::begin();
    let stamp = Stamp::direct(app.operation(), app.now(), by_admin);
    let deleted = app.store().delete_image(&admin, id(&image), stamp).await;
    deleted.unwrap();
    clock.forward(60);
    for _ in 0..2 {
        let until = Timestamp::from_micros(i64::MAX);
        sweep::handle(app.clone(), until).await.unwrap();
    }
    let found = log.lines(["what", "from", "user", "project", "request", "automatic"]);
    let expected = [
        ["image.delete", "image", "u-admin", ADMIN, "req-1", "-"],
        ["member.remove", "pending", "u-admin", ADMIN, "-", "sweep"],
    ];
    assert_eq!(found, expected);
    let key = at::member_key(id(&image), &project(MEMBER));
    assert_eq!(by(&harness, key, at::BY).await, who("u-admin", ADMIN));
}

/// A record of a newer release is an error that names it, and its message is delivered again.
#[tokio::test]
async fn a_record_of_a_newer_release_is_left_to_that_release() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let images = [image.clone()];
    let (_, records) = held(&harness, OWNER, Task::Share, &images, &[MEMBER2]).await;
    let engine = harness.server.engine.clone().unwrap();
    let client = Clients::dynamodb_in_process(engine);
    let set = async |version: &str| {
        let version = AttributeValue::N(version.to_owned());
        let update = client
            .update_item()
            .table_name("imshare")
            .set_key(Some(at::image_key(id(&image))))
            .update_expression("SET v = :v")
            .expression_attribute_values(":v", version);
        update.send().await.unwrap();
    };
    set("2").await;
    let path = format!("/v2/images/{image}");
    harness.get(Who::Owner, &path).await.expect(503);
    let store = harness.server.app.store();
    let error = store.image(id(&image)).await.unwrap_err();
    let named = format!("pk=Some(\"IMAGE#{image}\") sk=Some(\"IMAGE\") has version 2");
    assert!(error.for_log().contains(&named), "{}", error.for_log());
    let until = Timestamp::from_micros(i64::MAX);
    let app = harness.server.app.clone();
    let handled = run_batch::handle(app, records[0].clone(), until).await;
    assert!(handled.unwrap_err().retryable());
    set("1").await;
    harness.get(Who::Owner, &path).await.expect(200);
    deliver(&harness, &records[0]).await;
    let path = format!("/v2/images/{image}/members/{MEMBER2}");
    harness.get(Who::Owner, &path).await.expect(200);
}

/// So are a job, its project's counts, and the register of projects with rules.
#[tokio::test]
async fn the_counts_of_a_newer_release_are_left_to_that_release() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let images = [image.clone()];
    let (job, _) = held(&harness, OWNER, Task::Share, &images, &[MEMBER]).await;
    let engine = harness.server.engine.clone().unwrap();
    let client = Clients::dynamodb_in_process(engine);
    let owner = project(OWNER);
    let store = harness.server.app.store();
    assert_eq!(store.open_jobs(&owner).await.unwrap(), (1, 1));
    for key in [at::job_key(job), at::usage_key(&owner), at::register_key()] {
        let update = client.update_item().table_name("imshare");
        let update = update
            .set_key(Some(key))
            .update_expression("SET v = :v")
            .expression_attribute_values(":v", AttributeValue::N("2".to_owned()));
        update.send().await.unwrap();
    }
    for error in [
        store.release_job(job).await.unwrap_err(),
        store.open_jobs(&owner).await.unwrap_err(),
    ] {
        assert!(error.retryable() && error.for_log().contains("has version 2"));
    }
    harness.share(&image, MEMBER).await.expect(503);
}

/// So does a message of a newer release, in the queue and in the one of dead letters.
#[tokio::test]
async fn a_message_of_a_newer_release_is_delivered_again() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let (_, records) = held(&harness, OWNER, Task::Share, &[image], &[MEMBER]).await;
    let mut body: Value = serde_json::from_str(&records[0].body).unwrap();
    body["version"] = json!(2);
    body["new"] = json!({"field": 1});
    let newer = SqsRecord {
        body: body.to_string(),
        ..records[0].clone()
    };
    let app = || harness.server.app.clone();
    let until = Timestamp::from_micros(i64::MAX);
    for error in [
        run_batch::handle(app(), newer.clone(), until).await,
        settle_batch::handle(app(), newer, until).await,
    ] {
        let error = error.unwrap_err();
        assert!(error.retryable());
        assert!(error.for_log().contains("its version is 2"));
    }
}

/// The size of an item as DynamoDB counts it: names and texts.
fn size(item: &at::Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value.as_s().map_or(1, String::len))
        .sum()
}

/// A membership costs one write unit, whoever shares and whoever answers: what it holds of its image makes room for
/// who wrote it.
#[tokio::test]
async fn a_membership_stays_below_one_unit() {
    let harness = Harness::new().await;
    let app = &harness.server.app;
    let user = "0123456789abcdef0123456789abcdef";
    let owner = shared::domain::policy::Caller {
        user: user.to_owned(),
        project: project(OWNER),
        role: shared::domain::policy::Role::Member,
    };
    let by = |id: &str| Origin::new(Actor::new(user, project(id)), "req".to_owned());
    let member = project(MEMBER);
    let mut longest = 0;
    for length in (0..400).step_by(10) {
        let (op, now) = (app.operation(), app.now());
        let body = json!({
            "name": "debian-12", "disk_format": "qcow2", "container_format": "bare", "text": "x".repeat(length),
        });
        let store = app.store();
        let image = shared::domain::image::Image::from_request(body, app.policy(), &owner, op, now)
            .unwrap();
        assert!(store.create_image(&image).await.unwrap());
        let stamp = Stamp::direct(app.operation(), app.now(), by(OWNER));
        let members = [member.clone()];
        let added = store.add_members(&owner, image.id, &members, -1, stamp);
        added.await.unwrap();
        let key = || at::member_key(image.id, &member);
        let shared = stored(&harness, key()).await;
        for status in MemberStatus::ALL {
            let facts = store.facts(image.id, &[&member]).await.unwrap();
            let (_, seen) = facts.member(Some(&member)).unwrap();
            let answer = shared::domain::task::Answer {
                status,
                vault_id: None,
            };
            let stamp = Stamp::direct(app.operation(), app.now(), by(MEMBER));
            let answered = store.update_member(seen.clone(), image.created_at, &answer, stamp);
            answered.await.unwrap();
            let answered = stored(&harness, key()).await;
            assert!(size(&shared) <= 1024 && size(&answered) <= 1024);
        }
        let projection = shared[at::PROJECTION].as_s().unwrap().len();
        longest = longest.max(projection);
        println!(
            "{length}: {} bytes, {projection} of the image",
            size(&shared)
        );
    }
    // A name, formats and a property of some length.
    assert!((320..=340).contains(&longest), "{longest}");
}
