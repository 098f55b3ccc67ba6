//! This release reads what the release before it, commit 5fecf1e, has written: `tests/data/5fecf1e`, made by
//! `checks/release_data.py`. That the release before reads what this one writes is tried by `checks/previous.sh`.
//!
//! The directory holds every kind of record. It was killed while it removed the 150 memberships of a deleted image and
//! applied a batch of 99 shares, so both are due, and the batch's message waits. `messages.jsonl` has a message of
//! every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use local::options::{Data, Options};
use local::queue::{Queue, Settings};
use serde_json::json;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::job::JobKind;
use shared::domain::message::Message;
use shared::domain::time::Timestamp;
use shared::http::Request;
use shared::runtime::api::answer;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::runtime::messages::{Handled, SqsAttributes, SqsRecord};
use shared::store::Indexes;
use shared::store::keys as at;

use crate::harness::{ADMIN, Harness, MEMBER, MEMBER2, ManualClock, OWNER, Who, options};

/// The time at which the directory was written.
const WRITTEN: &str = "2026-11-26T12:47:07Z";

fn kept(file: &str) -> std::path::PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/5fecf1e");
    data.join(file)
}

fn image(number: u32) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

/// A copy of the directory, and a clock that shows the time at which it was written.
async fn opened() -> (Harness, ManualClock, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    for file in ["table.sqlite", "queue.sqlite"] {
        std::fs::copy(kept(file), directory.path().join(file)).unwrap();
    }
    let clock = ManualClock::at(Timestamp::parse(WRITTEN).unwrap());
    let harness = Harness::with(Options {
        data: Data::Directory(directory.path().to_owned()),
        clock: clock.clock(),
        member_quota: -1,
        ..options()
    })
    .await;
    (harness, clock, directory)
}

/// All items of the table.
async fn items(harness: &Harness) -> Vec<at::Item> {
    let engine = harness.server.engine.clone().unwrap();
    let client = Clients::dynamodb_in_process(engine);
    let scanned = client.scan().table_name("imshare").send().await.unwrap();
    scanned.items.unwrap_or_default()
}

async fn members(harness: &Harness, number: u32) -> BTreeMap<String, String> {
    let path = format!("/v2/images/{}/members", image(number));
    let found = harness.get(Who::Owner, &path).await.expect(200).json();
    let found = found["members"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    found
        .map(|member| (text(&member["member_id"]), text(&member["status"])))
        .collect()
}

/// The directory has what the other tests are about: records of each kind, with work that is due, and none that
/// names a version or who wrote it.
#[tokio::test]
async fn it_holds_every_kind_of_record() {
    let (harness, _, _directory) = opened().await;
    let mut kinds = BTreeSet::new();
    for item in items(&harness).await {
        let kind = item[at::SK].as_s().unwrap().split('#').next().unwrap();
        let mark = |name: &str, word: &str| match item.contains_key(name) {
            true => format!(" {word}"),
            false => String::new(),
        };
        kinds.insert(format!(
            "{kind}{}{}",
            mark(at::GONE, "gone"),
            mark(at::DPK, "due")
        ));
        for name in [at::BY, at::DECLARED_BY, at::VERSION] {
            assert!(!item.contains_key(name), "{item:?}");
        }
    }
    let expected = [
        "ENTRIES",
        "FRESH",
        "IMAGE",
        "IMAGE gone",
        "IMAGE gone due",
        "JOB",
        "JOB due",
        "KEY",
        "MEM",
        "MEM gone",
        "REGISTER",
        "RESULT",
        "TEXT",
        "TRUST",
    ];
    assert_eq!(kinds, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn every_record_is_read() {
    let (harness, _, _directory) = opened().await;
    for (number, visibility) in [
        (1, "shared"),
        (2, "shared"),
        (3, "private"),
        (4, "community"),
    ] {
        let path = format!("/v2/images/{}", image(number));
        let found = harness.get(Who::Owner, &path).await.expect(200).json();
        assert_eq!(found["visibility"], visibility);
        assert_eq!(found["name"], format!("image-{number}"));
        let tags = found["tags"].as_array().unwrap().len();
        assert_eq!(tags, if number == 2 { 100 } else { 0 });
    }
    for gone in [7, 8] {
        let path = format!("/v2/images/{}", image(gone));
        harness.get(Who::Owner, &path).await.expect(404);
    }
    let of_first = members(&harness, 1).await;
    for (member, status) in [
        (MEMBER, "accepted"),
        (MEMBER2, "rejected"),
        ("another", "pending"),
        ("batch", "pending"),
        (ADMIN, "accepted"),
    ] {
        assert_eq!(of_first[member], status);
    }
    assert!(!members(&harness, 2).await.contains_key(MEMBER2));
    let path = format!("/v1/{ADMIN}/cloudimages/trusted-owners");
    let rules = harness.get(Who::Admin, &path).await.expect(200).json();
    assert_eq!(rules["rules"], json!([{"owner": OWNER, "mode": "accept"}]));
    // The jobs, and the key of the first of them.
    let path = format!("/v1/{OWNER}/jobs?status=FAIL");
    let failed = harness.get(Who::Owner, &path).await.expect(200).json();
    let failed = failed["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    let failed = harness.ended(Who::Owner, &failed).await;
    assert_eq!(failed["error_code"], "IMG.0027");
    // In the very bytes of the request, to which the key is bound.
    let body = format!(
        r#"{{"images": ["{}", "{}"], "projects": ["{MEMBER}", "batch"]}}"#,
        image(1),
        image(2)
    );
    let key = [("idempotency-key", "key-1")];
    let path = "/v1/cloudimages/members";
    let body = body.into_bytes();
    let before = harness.send_with(Who::Owner, "POST", path, &key, Some(body));
    let before = before.await.expect(200).text("/job_id");
    let before = harness.ended(Who::Owner, &before).await;
    assert_eq!(before["entities"]["succeeded"], 4);
}

#[tokio::test]
async fn what_was_due_is_done() {
    let (harness, clock, _directory) = opened().await;
    let path = format!("/v1/{OWNER}/jobs");
    let jobs = harness.get(Who::Owner, &path).await.expect(200).json();
    let latest = jobs["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    let job = harness.ended(Who::Owner, &latest).await;
    assert_eq!(
        (&job["status"], &job["entities"]["succeeded"]),
        (&json!("SUCCESS"), &json!(99))
    );
    let present = async |number: u32| {
        let pk = AttributeValue::S(format!("IMAGE#{}", image(number)));
        let items = items(&harness).await.into_iter();
        let of_image = items.filter(|item| item[at::PK] == pk && !item.contains_key(at::GONE));
        of_image.count()
    };
    clock.forward(60);
    let app = harness.server.app.clone();
    let until = Timestamp::from_micros(i64::MAX);
    sweep::handle(app, until).await.unwrap();
    assert_eq!(present(8).await, 0);
    let due = items(&harness).await;
    assert!(due.iter().all(|item| !item.contains_key(at::DPK)));
}

/// Every record is changed, and says from then on who did it.
#[tokio::test]
async fn what_was_written_can_be_changed() {
    let (harness, _, _directory) = opened().await;
    harness
        .answer(Who::Member, &image(1), MEMBER, "rejected")
        .await
        .expect(200);
    let row = format!("/v2/images/{}/members/{MEMBER2}", image(1));
    harness.delete(Who::Owner, &row).await.expect(204);
    harness.share(&image(2), MEMBER2).await.expect(200);
    let change = json!([{"op": "replace", "path": "/name", "value": "renamed"}]);
    let path = format!("/v2/images/{}", image(2));
    harness.patch(Who::Owner, &path, change).await.expect(200);
    let path = format!("/v1/{OWNER}/cloudimages/{}/members", image(6));
    let declared = harness.put(Who::Owner, &path, json!({"projects": ["d2", "d3"]}));
    let job = declared.await.expect(200).text("/job_id");
    harness.ended(Who::Owner, &job).await;
    let of_sixth: Vec<_> = members(&harness, 6).await.into_keys().collect();
    assert!(
        of_sixth.ends_with(&["d2".to_owned(), "d3".to_owned()]),
        "{of_sixth:?}"
    );
    assert!(!of_sixth.contains(&"d1".to_owned()));
    let path = format!("/v1/{ADMIN}/cloudimages/trusted-owners");
    harness
        .put(Who::Admin, &path, json!({"rules": []}))
        .await
        .expect(200);
    let items = items(&harness).await;
    let by = |key: at::Item| {
        let item = items
            .iter()
            .find(|item| key.iter().all(|(name, value)| item[name] == *value));
        item.unwrap()[at::BY].as_s().unwrap().clone()
    };
    let id = |number| ImageId::canonical(&image(number)).unwrap();
    let project = |id: &str| ProjectId::parse(id).unwrap();
    let (owner, member) = (format!("u-owner\n{OWNER}"), format!("u-member\n{MEMBER}"));
    assert_eq!(by(at::member_key(id(1), &project(MEMBER))), member);
    assert_eq!(by(at::member_key(id(1), &project(MEMBER2))), owner);
    assert_eq!(by(at::member_key(id(2), &project(MEMBER2))), owner);
    assert_eq!(by(at::image_key(id(2))), owner);
    assert_eq!(
        by(at::trust_key(&project(ADMIN))),
        format!("u-admin\n{ADMIN}")
    );
}

/// A deployed function reads the mark that one of the release before has left: the list reads the table.
#[tokio::test]
async fn a_freshness_mark_is_read() {
    let (harness, clock, _directory) = opened().await;
    let engine = harness.server.engine.clone().unwrap();
    let config = Config {
        table: "imshare".to_owned(),
        queue_url: local::queue::BATCHES.to_owned(),
        indexes: Indexes::Eventual,
        ..Config::default()
    };
    let queue = Queue::in_memory(Settings::default(), shared::domain::time::Clock::System).unwrap();
    let app = App::new(
        config,
        Clients::dynamodb_in_process(engine),
        Clients::sqs_in_process(queue),
        shared::auth::Authentication::default(),
        clock.clock(),
    );
    let list = async || {
        let before = harness.store_requests().get("BatchGetItem").copied();
        let mut request = Request::default();
        *request.uri_mut() = "/v2/images?visibility=shared&limit=1".parse().unwrap();
        request
            .extensions_mut()
            .insert(shared::auth::principal::Principal {
                user: "u-owner".to_owned(),
                project: ProjectId::parse(OWNER).unwrap(),
                role: shared::domain::policy::Role::Member,
                expires_at: None,
                access_rules: None,
            });
        let found = answer(app.clone(), request, images::handle).await;
        assert_eq!(found.status(), 200);
        let after = harness.store_requests().get("BatchGetItem").copied();
        after.unwrap_or(0) - before.unwrap_or(0)
    };
    // The image is read beside the marks, until its owner's is over.
    let marked = list().await;
    clock.forward(3600);
    assert_eq!((marked, list().await), (2, 1));
}

/// Every kind of message, handled by this release's worker.
#[tokio::test]
async fn every_message_is_read() {
    let text = std::fs::read_to_string(kept("messages.jsonl")).unwrap();
    let messages: Vec<Message> = text
        .lines()
        .map(|body| Message::of_body(body).unwrap_or_else(|why| panic!("{body}: {why:?}")))
        .collect();
    let mut kinds = BTreeSet::new();
    for message in &messages {
        kinds.insert(match message {
            Message::Chunk(chunk) => chunk.task.kind().job_type(),
            Message::Memberships { .. } => "memberships",
        });
    }
    let mut expected: BTreeSet<&str> = JobKind::ALL.map(JobKind::job_type).into();
    expected.insert("memberships");
    assert_eq!(kinds, expected);

    let clock = ManualClock::at(Timestamp::parse(WRITTEN).unwrap());
    let harness = Harness::with(Options {
        clock: clock.clock(),
        ..options()
    })
    .await;
    harness.image(json!({"id": image(1)})).await;
    // In the order of their requests.
    let mut bodies: Vec<&str> = text.lines().collect();
    bodies.sort_by_key(|body| body.split("\"job\":").nth(1));
    let mut states = Vec::new();
    for body in bodies {
        let record = SqsRecord {
            message_id: "m".to_owned(),
            receipt_handle: String::new(),
            body: body.to_owned(),
            attributes: SqsAttributes {
                approximate_receive_count: "1".to_owned(),
                message_group_id: None,
            },
            message_attributes: BTreeMap::new(),
        };
        let until = Timestamp::from_micros(i64::MAX);
        let handled = run_batch::handle(harness.server.app.clone(), record, until);
        let handled = handled.await;
        assert_eq!(handled.unwrap(), Handled::Done, "{body}");
        let members = members(&harness, 1).await.into_iter();
        let members: Vec<String> = members
            .map(|(member, status)| format!("{} {status}", member.replace(MEMBER, "member")))
            .collect();
        states.push(members.join(", "));
    }
    let expected = [
        "",
        "member pending",
        "member accepted",
        "d1 pending",
        "d1 pending",
    ];
    assert_eq!(states, expected);
}
