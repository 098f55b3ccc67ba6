//! The declared members of an image.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::domain::batch::Batch;
use shared::domain::id::{ImageId, JobId, ProjectId};
use shared::domain::policy::{Caller, Role};
use shared::domain::task::Task;
use shared::runtime::messages::SqsRecord;
use shared::store::jobs::Created;

use super::{deliver, error_of, held, records, shown, status};
use crate::budget::requests;
use crate::harness::{self, Harness, HttpResponse, MEMBER, MEMBER2, OWNER, THIRD, Who};

fn path(image: &str) -> String {
    format!("/v1/{OWNER}/cloudimages/{image}/members")
}

async fn sent(
    harness: &Harness,
    image: &str,
    headers: &[(&str, &str)],
    projects: &[&str],
) -> HttpResponse {
    let body = json!({"projects": projects}).to_string().into_bytes();
    harness
        .send_with(Who::Owner, "PUT", &path(image), headers, Some(body))
        .await
}

/// Declares the members, and waits for the job.
async fn declare(harness: &Harness, image: &str, projects: &[&str]) -> Value {
    let answer = sent(harness, image, &[], projects).await.expect(200);
    harness.ended(Who::Owner, &answer.text("/job_id")).await
}

/// The project and the result of each entry.
fn told(job: &Value) -> Vec<(String, String)> {
    let rows = job["entities"]["results"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| {
        let result = match row["error_code"].as_str() {
            Some(code) => code.to_owned(),
            None => text(&row["result"]),
        };
        (text(&row["project_id"]), result)
    })
    .collect()
}

fn rows(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let rows = expected.iter();
    rows.map(|(project, result)| ((*project).to_owned(), (*result).to_owned()))
        .collect()
}

/// The members of an image, and the ETag of their list.
async fn members(harness: &Harness, image: &str) -> (BTreeSet<String>, String) {
    let list = harness.get(Who::Owner, &path(image)).await.expect(200);
    let v2 = format!("/v2/images/{image}/members");
    let v2 = harness.get(Who::Owner, &v2).await.expect(200);
    assert_eq!(list.header("etag"), v2.header("etag"));
    let ids = |answer: &HttpResponse| -> BTreeSet<String> {
        let found = answer.json()["members"].as_array().unwrap().clone();
        let ids = found.iter().map(|row| row["member_id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    };
    assert_eq!(ids(&list), ids(&v2));
    (ids(&list), list.header("etag").unwrap().to_owned())
}

#[tokio::test]
async fn who_is_missing_is_added_and_who_is_too_many_removed() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for member in [MEMBER, "b", "a"] {
        harness.share(&image, member).await.expect(200);
    }
    harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    let job = declare(&harness, &image, &["d", MEMBER, "c", "d"]).await;
    assert_eq!(job["status"], "SUCCESS");
    assert_eq!(job["job_type"], "imsReplaceImageMembersJob");
    let expected = [
        ("a", "removed"),
        ("b", "removed"),
        ("d", "added"),
        (MEMBER, "unchanged"),
        ("c", "added"),
    ];
    assert_eq!(told(&job), rows(&expected));
    let (found, _) = members(&harness, &image).await;
    assert_eq!(found, BTreeSet::from(["c", "d", MEMBER].map(str::to_owned)));
    // Who stays keeps its answer.
    let kept = status(&harness, &image, MEMBER).await;
    assert_eq!(kept.as_deref(), Some("accepted"));
    assert_eq!(harness.member_count(&image).await, 3);
    // The same again changes nothing.
    let job = declare(&harness, &image, &[MEMBER, "c", "d"]).await;
    let unchanged = [
        (MEMBER, "unchanged"),
        ("c", "unchanged"),
        ("d", "unchanged"),
    ];
    assert_eq!(told(&job), rows(&unchanged));
    // Nobody, said explicitly.
    let job = declare(&harness, &image, &[]).await;
    assert_eq!(told(&job).len(), 3);
    assert_eq!(harness.member_count(&image).await, 0);
    let job = declare(&harness, &image, &[]).await;
    assert_eq!((&job["status"], told(&job).len()), (&json!("SUCCESS"), 0));
}

/// Read, compare, put, poll, read again: no difference. And a change by another hand is found.
#[tokio::test]
async fn a_declarative_client_converges_and_notices_drift() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let wanted = BTreeSet::from([MEMBER, MEMBER2].map(str::to_owned));
    let apply = async || {
        let (found, tag) = members(&harness, &image).await;
        if found == wanted {
            return false;
        }
        let projects: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let answer = sent(&harness, &image, &[("if-match", &tag)], &projects).await;
        let job = answer.expect(200).text("/job_id");
        assert_eq!(harness.ended(Who::Owner, &job).await["status"], "SUCCESS");
        true
    };
    assert!(apply().await && !apply().await);
    let (_, tag) = members(&harness, &image).await;
    assert_eq!(members(&harness, &image).await.1, tag);
    // An answer is no change of the set.
    harness
        .answer(Who::Member, &image, MEMBER, "rejected")
        .await
        .expect(200);
    assert!(!apply().await);
    assert_eq!(members(&harness, &image).await.1, tag);
    // Somebody else adds one project and removes another.
    harness.share(&image, "drift").await.expect(200);
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    harness.delete(Who::Owner, &row).await.expect(204);
    let stale = sent(&harness, &image, &[("if-match", &tag)], &["x"]).await;
    assert_eq!(error_of(&stale.expect(412)), "IMG.0001");
    assert!(apply().await && !apply().await);
    // Back and forth is a change too.
    let (_, tag) = members(&harness, &image).await;
    harness.share(&image, "drift").await.expect(200);
    let row = format!("/v2/images/{image}/members/drift");
    harness.delete(Who::Owner, &row).await.expect(204);
    let (found, other) = members(&harness, &image).await;
    assert!(found == wanted && other != tag);
}

/// Of two declarations on top of the same state, one is accepted.
#[tokio::test]
async fn of_parallel_declarations_one_wins() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let (_, tag) = members(&harness, &image).await;
    let names: Vec<String> = (0..6).map(|i| format!("p{i}")).collect();
    let all = names.iter().map(async |name| {
        let answer = sent(&harness, &image, &[("if-match", &tag)], &[name]).await;
        (answer.status, name.clone())
    });
    let all = futures::future::join_all(all).await;
    let won: Vec<_> = all.iter().filter(|(status, _)| *status == 200).collect();
    let lost = all.iter().filter(|(status, _)| *status == 412).count();
    assert_eq!((won.len(), lost), (1, 5), "{all:?}");
}

#[tokio::test]
async fn a_repeated_request_is_the_same_job() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let (_, tag) = members(&harness, &image).await;
    let headers = [("idempotency-key", "key"), ("if-match", tag.as_str())];
    let job = sent(&harness, &image, &headers, &["a"]).await.expect(200);
    let job = job.text("/job_id");
    harness.ended(Who::Owner, &job).await;
    // Its own job has changed the ETag meanwhile.
    let again = sent(&harness, &image, &headers, &["a"]).await.expect(200);
    assert_eq!(again.text("/job_id"), job);
    let without = sent(&harness, &image, &headers[..1], &["a"]).await;
    assert_eq!(without.expect(200).text("/job_id"), job);
    let other = sent(&harness, &image, &headers[..1], &["b"]).await;
    other.expect(422);
    // The key stands for the image too.
    let image = harness.image(json!({})).await;
    let other = sent(&harness, &image, &headers[..1], &["a"]).await;
    other.expect(422);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let many: Vec<String> = (0..10_001).map(|i| format!("p{i}")).collect();
    for (body, code, word) in [
        (json!({"projects": many}), "IMG.0060", "10001"),
        (json!({}), "IMG.0001", "projects"),
        (json!({"projects": null}), "IMG.0001", "projects"),
        (json!({"projects": "a"}), "IMG.0001", "projects"),
        (json!({"projects": [1]}), "IMG.0001", "projects"),
        (json!({"projects": ["a\u{1}"]}), "IMG.0067", "control"),
        (json!({"projects": [""]}), "IMG.0067", "empty"),
        (
            json!({"projects": ["a"], "images": []}),
            "IMG.0001",
            "images",
        ),
        (json!(["a"]), "IMG.0001", "object"),
    ] {
        let answer = harness.put(Who::Owner, &path(&image), body.clone()).await;
        let answer = answer.expect(400);
        let message = answer.text("/error/message");
        assert_eq!(error_of(&answer), code, "{message}");
        assert!(message.contains(word), "{message}");
    }
    let empty = harness.send(Who::Owner, "PUT", &path(&image), None).await;
    assert_eq!(error_of(&empty.expect(400)), "IMG.0007");
    for tag in ["x", "\"", "\"a\",", ""] {
        let answer = sent(&harness, &image, &[("if-match", tag)], &["a"]).await;
        assert_eq!(answer.status, 400, "{tag}: {}", answer.body);
    }
    let (found, _) = members(&harness, &image).await;
    assert_eq!(found, BTreeSet::from([MEMBER.to_owned()]));
    // Who may not, and where there is nothing to declare.
    let body = json!({"projects": []});
    let put = async |who: Who, project: &str, image: &str| {
        let path = format!("/v1/{project}/cloudimages/{image}/members");
        let answer = harness.put(who, &path, body.clone()).await;
        (answer.status, error_of(&answer))
    };
    let told = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(put(Who::Third, THIRD, &image).await, told(404, "IMG.0027"));
    assert_eq!(put(Who::Owner, OWNER, "x").await, told(404, "IMG.0027"));
    assert_eq!(put(Who::Owner, THIRD, &image).await, told(400, "IMG.0030"));
    assert_eq!(
        put(Who::Member, MEMBER, &image).await,
        told(400, "IMG.0047")
    );
    assert_eq!(
        put(Who::OwnerReader, OWNER, &image).await,
        told(403, "IMG.0026")
    );
    harness.set_visibility(Who::Owner, &image, "private").await;
    assert_eq!(put(Who::Owner, OWNER, &image).await, told(400, "IMG.0046"));
}

/// Entries fail, and the rest goes on.
#[tokio::test]
async fn a_declaration_over_the_quota_fails_where_it_is_full() {
    let harness = Harness::with(local::options::Options {
        member_quota: 2,
        ..harness::options()
    })
    .await;
    let image = harness.image(json!({})).await;
    for member in ["a", "b"] {
        harness.share(&image, member).await.expect(200);
    }
    // What is removed makes room.
    let job = declare(&harness, &image, &["c", "d"]).await;
    assert_eq!(job["status"], "SUCCESS", "{job}");
    let job = declare(&harness, &image, &["c", "x", OWNER, "y"]).await;
    let expected = [
        ("d", "removed"),
        ("c", "unchanged"),
        ("x", "added"),
        (OWNER, "IMG.0076"),
        ("y", "IMG.0088"),
    ];
    assert_eq!(told(&job), rows(&expected));
    assert_eq!(
        (&job["status"], &job["error_code"]),
        (&json!("FAIL"), &json!("IMG.0076"))
    );
    assert_eq!(harness.member_count(&image).await, 2);
}

/// Removals in one message make room for additions in another, whichever comes first.
#[tokio::test]
async fn a_large_image_is_exchanged_within_its_quota() {
    let harness = Harness::with(local::options::Options {
        member_quota: 1_200,
        ..harness::options()
    })
    .await;
    let image = harness.image(json!({})).await;
    let names =
        |prefix: &str| -> Vec<String> { (0..1_200).map(|i| format!("{prefix}{i}")).collect() };
    let (old, new) = (names("old"), names("new"));
    let texts = |names: &[String]| -> Vec<&'static str> {
        names.iter().map(|name| &*name.clone().leak()).collect()
    };
    let job = declare(&harness, &image, &texts(&old)).await;
    assert_eq!(job["entities"]["succeeded"], 1_200);
    let (id, messages) = held_replacement(&harness, &image, &texts(&new)).await;
    assert_eq!(messages.len(), 3);
    for record in messages.iter().rev() {
        deliver(&harness, record).await;
    }
    let job = shown(&harness, Who::Owner, id).await;
    assert_eq!(job["status"], "SUCCESS", "{}", job["fail_reason"]);
    let succeeded = &job["entities"]["succeeded"];
    assert_eq!(
        (succeeded, harness.member_count(&image).await),
        (&json!(2_400), 1_200)
    );
    let first = told(&job)[0].clone();
    assert_eq!(first.1, "removed");
}

#[tokio::test]
async fn rules_answer_for_declared_members_too() {
    let harness = Harness::new().await;
    let rules = json!({"rules": [{"owner": OWNER, "mode": "accept"}]});
    let path = format!("/v1/{MEMBER}/cloudimages/trusted-owners");
    harness.put(Who::Member, &path, rules).await.expect(200);
    let image = harness.image(json!({})).await;
    let job = declare(&harness, &image, &[MEMBER, MEMBER2]).await;
    let row = &job["entities"]["results"][0];
    assert_eq!(
        (&row["result"], &row["member_status"]),
        (&json!("added"), &json!("accepted"))
    );
    assert_eq!(harness.listed(Who::Member, "").await, [image]);
}

/// A replacement whose record exists and whose messages the test holds instead of the queue.
async fn held_replacement(
    harness: &Harness,
    image: &str,
    declared: &[&str],
) -> (JobId, Vec<SqsRecord>) {
    let app = &harness.server.app;
    let store = app.store();
    let caller = Caller {
        user: "u-owner".to_owned(),
        project: ProjectId::parse(OWNER).unwrap(),
        role: Role::Member,
    };
    let id = ImageId::canonical(image).unwrap();
    let image = store.image(id).await.unwrap().unwrap();
    let members = store.members_at(&image, 10_000).await.unwrap().unwrap();
    let declared = declared.iter().map(|id| ProjectId::parse(*id).unwrap());
    let declared: Vec<_> = declared.collect();
    let accepted = (app.operation(), app.now());
    let of = (&image, &members[..]);
    let (batch, changes) = Batch::replacing(&caller, of, &declared, accepted, "req".to_owned());
    let created = store
        .create_replacement(&batch, None, &image, changes)
        .await;
    assert_eq!(created.unwrap(), Created::New);
    store.messages_sent(batch.job.id).await.unwrap();
    (batch.job.id, records(&batch))
}

/// What counts is what was accepted when, in whatever order it is carried out.
#[tokio::test]
async fn a_declaration_is_right_among_other_requests() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let images = [image.clone()];
    harness.share(&image, "kept").await.expect(200);
    let (_, older_share) = held(&harness, OWNER, Task::Share, &images, &["late", "kept"]).await;
    let (_, older_removal) = held(&harness, OWNER, Task::Unshare, &images, &["kept"]).await;
    let (job, declared) = held_replacement(&harness, &image, &["kept", "new"]).await;
    let (_, newer_share) = held(&harness, OWNER, Task::Share, &images, &["newer"]).await;
    let (_, newer_removal) = held(&harness, OWNER, Task::Unshare, &images, &["new"]).await;
    for record in [
        &newer_removal,
        &newer_share,
        &declared,
        &older_removal,
        &older_share,
    ] {
        deliver(&harness, &record[0]).await;
    }
    let (found, _) = members(&harness, &image).await;
    assert_eq!(found, BTreeSet::from(["kept", "newer"].map(str::to_owned)));
    // Redelivered, nothing changes, and the results stay.
    let end = shown(&harness, Who::Owner, job).await;
    assert_eq!(
        told(&end),
        rows(&[("kept", "unchanged"), ("new", "unchanged")])
    );
    for record in [&older_share, &declared, &older_removal] {
        deliver(&harness, &record[0]).await;
    }
    assert_eq!(members(&harness, &image).await.0, found);
    assert_eq!(shown(&harness, Who::Owner, job).await, end);
    // A direct call has the last word over what was declared before.
    harness.share(&image, "late").await.expect(200);
    assert_eq!(harness.member_count(&image).await, 3);
}

#[tokio::test]
async fn a_dead_letter_ends_the_job() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, "old").await.expect(200);
    let (job, messages) = held_replacement(&harness, &image, &["new"]).await;
    let until = shared::domain::time::Timestamp::from_micros(i64::MAX);
    let app = harness.server.app.clone();
    let settled = settle_batch::handle(app, messages[0].clone(), until);
    settled.await.unwrap();
    let end = shown(&harness, Who::Owner, job).await;
    assert_eq!(
        told(&end),
        rows(&[("old", "IMG.0113"), ("new", "IMG.0112")])
    );
    assert_eq!(end["status"], "FAIL");
}

#[tokio::test]
async fn a_declaration_keeps_its_budget() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for member in ["a", "b"] {
        harness.share(&image, member).await.expect(200);
    }
    let accepted = requests(&harness, async {
        let answer = sent(&harness, &image, &[], &["b", "c"]).await.expect(200);
        let queue = harness.server.queue.as_ref().unwrap();
        while queue.len(local::queue::BATCHES).unwrap() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        answer
    });
    let spent = accepted.await;
    // The image, its members, the job; then the chunk: the image, one transaction of removals, one of
    // additions that finds "b" there, one write that confirms it and one transaction for the rest, and the
    // results.
    let expected = [
        ("BatchGetItem", 2),
        ("Query", 1),
        ("TransactWriteItems", 5),
        ("UpdateItem", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(spent, expected.into());
}
