//! Trusted owners: rules by which a project answers in advance.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::domain::id::ProjectId;
use shared::domain::trust::{REMEMBERED_SECONDS, TrustMode, TrustRule, TrustedOwners};
use shared::runtime::clients::Clients;
use shared::store::{Indexes, Store};

use crate::budget::requests;
use crate::harness::{Harness, HttpResponse, MEMBER, MEMBER2, OWNER, THIRD, Who};

fn path(project: &str) -> String {
    format!("/v1/{project}/cloudimages/trusted-owners")
}

fn rules(rules: &[(&str, &str)]) -> Value {
    let rules = rules.iter();
    let rules: Vec<_> = rules
        .map(|(owner, mode)| json!({"owner": owner, "mode": mode}))
        .collect();
    json!({"rules": rules})
}

async fn set(harness: &Harness, who: Who, project: &str, of: &[(&str, &str)]) {
    let answer = harness.put(who, &path(project), rules(of)).await;
    assert_eq!(answer.expect(200).json(), rules(of));
}

async fn set_if(harness: &Harness, tag: &str, of: &[(&str, &str)]) -> HttpResponse {
    let body = rules(of).to_string().into_bytes();
    let headers = [("if-match", tag)];
    harness
        .send_with(Who::Member, "PUT", &path(MEMBER), &headers, Some(body))
        .await
}

#[tokio::test]
async fn a_share_by_a_trusted_owner_is_answered_from_the_beginning() {
    let harness = Harness::new().await;
    set(&harness, Who::Member, MEMBER, &[(OWNER, "accept")]).await;
    set(&harness, Who::Third, THIRD, &[(OWNER, "reject")]).await;
    set(&harness, Who::Member2, MEMBER2, &[(THIRD, "accept")]).await;
    let image = harness.image(json!({"name": "n"})).await;
    for (member, status) in [
        (MEMBER, "accepted"),
        (THIRD, "rejected"),
        (MEMBER2, "pending"),
        ("x", "pending"),
    ] {
        let added = harness.share(&image, member).await.expect(200).json();
        assert_eq!(added["status"], status, "{member}");
        assert_eq!(added["created_at"], added["updated_at"]);
        let row = format!("/v2/images/{image}/members/{member}");
        let stored = harness.get(Who::Owner, &row).await.expect(200);
        assert_eq!(stored.json(), added);
    }
    assert_eq!(harness.listed(Who::Member, "").await, [image.clone()]);
    assert!(harness.listed(Who::Third, "").await.is_empty());
    harness
        .get(Who::Third, &format!("/v2/images/{image}"))
        .await
        .expect(200);
    // The member may change its mind, and what it says holds.
    harness
        .answer(Who::Member, &image, MEMBER, "rejected")
        .await
        .expect(200);
    assert!(harness.listed(Who::Member, "").await.is_empty());
    // Sharing anew is a new share.
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    harness.delete(Who::Owner, &row).await.expect(204);
    let again = harness.share(&image, MEMBER).await.expect(200);
    assert_eq!(again.text("/status"), "accepted");
}

#[tokio::test]
async fn shares_that_exist_stay_as_they_are() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    set(&harness, Who::Member, MEMBER, &[(OWNER, "accept")]).await;
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    let found = harness.get(Who::Member, &row).await.text("/status");
    assert_eq!(found, "pending");
    harness.share(&image, MEMBER).await.expect(409);
    let found = harness.get(Who::Member, &row).await.text("/status");
    assert_eq!(found, "pending");
    // A rule that is taken back does not take back what it has accepted.
    let accepted = harness.image(json!({})).await;
    harness.share(&accepted, MEMBER).await.expect(200);
    set(&harness, Who::Member, MEMBER, &[]).await;
    assert_eq!(harness.listed(Who::Member, "").await, [accepted]);
}

/// Whoever shares, the rule is about the image's owner at that moment.
#[tokio::test]
async fn the_rule_is_about_the_images_owner() {
    let harness = Harness::new().await;
    set(&harness, Who::Member, MEMBER, &[(THIRD, "accept")]).await;
    let image = harness.image(json!({})).await;
    let members = format!("/v2/images/{image}/members");
    let by_admin = async |member: &str| {
        let add = harness.post(Who::Admin, &members, json!({"member": member}));
        add.await.expect(200).text("/status")
    };
    assert_eq!(by_admin(MEMBER2).await, "pending");
    // This instance had cached the owner.
    let change = json!([{"op": "replace", "path": "/owner", "value": THIRD}]);
    let path = format!("/v2/images/{image}");
    harness.patch(Who::Admin, &path, change).await.expect(200);
    assert_eq!(by_admin(MEMBER).await, "accepted");
}

#[tokio::test]
async fn entries_of_a_batch_are_answered_too() {
    let harness = Harness::with(local::options::Options {
        member_quota: -1,
        ..crate::harness::options()
    })
    .await;
    set(&harness, Who::Member, MEMBER, &[(OWNER, "accept")]).await;
    set(&harness, Who::Third, THIRD, &[(OWNER, "reject")]).await;
    let mut images = Vec::new();
    for _ in 0..40 {
        images.push(harness.image(json!({})).await);
    }
    harness.share(&images[0], MEMBER2).await.expect(200);
    let projects = [MEMBER, THIRD, MEMBER2, "x"];
    let body = json!({"images": images, "projects": projects});
    let answer = harness.post(Who::Owner, "/v1/cloudimages/members", body);
    let job = answer.await.expect(200).text("/job_id");
    let job = harness.ended(Who::Owner, &job).await;
    assert_eq!(job["status"], "SUCCESS");
    let rows = job["entities"]["results"].as_array().unwrap();
    assert_eq!(rows.len(), 160);
    for (at, row) in rows.iter().enumerate() {
        let (image, project) = (&images[at / 4], projects[at % 4]);
        let status = match project {
            MEMBER => Some("accepted"),
            THIRD => Some("rejected"),
            _ => None,
        };
        assert_eq!(row["member_status"].as_str(), status, "{row}");
        assert_eq!(
            row["changed"],
            !(at / 4 == 0 && project == MEMBER2),
            "{row}"
        );
        let path = format!("/v2/images/{image}/members/{project}");
        let stored = harness.get(Who::Owner, &path).await.text("/status");
        assert_eq!(stored, status.unwrap_or("pending"));
    }
    assert_eq!(harness.listed(Who::Member, "?limit=100").await.len(), 40);
}

#[tokio::test]
async fn rules_are_set_all_at_once_and_by_what_was_seen() {
    let harness = Harness::new().await;
    let tag = |answer: &HttpResponse| answer.header("etag").unwrap().to_owned();
    let none = harness.get(Who::Member, &path(MEMBER)).await.expect(200);
    assert_eq!(none.json(), rules(&[]));
    let first = set_if(&harness, &tag(&none), &[(OWNER, "accept"), ("a", "reject")]).await;
    let first = first.expect(200);
    assert_ne!(tag(&none), tag(&first));
    // Somebody else has seen no rules.
    set_if(&harness, &tag(&none), &[]).await.expect(412);
    let shown = harness.get(Who::MemberReader, &path(MEMBER)).await;
    let shown = shown.expect(200);
    assert_eq!(shown.json(), rules(&[(OWNER, "accept"), ("a", "reject")]));
    assert_eq!(tag(&shown), tag(&first));
    let weak = format!("W/{}", tag(&first));
    set_if(&harness, &weak, &[]).await.expect(412);
    let several = format!("\"x\", {}", tag(&first));
    let second = set_if(&harness, &several, &[("b", "accept")]).await;
    let second = second.expect(200);
    set_if(&harness, "*", &[]).await.expect(200);
    set_if(&harness, &tag(&second), &[]).await.expect(412);
    for malformed in ["0", "\"", "\"a\" \"b\"", "", "\"a\","] {
        let answer = set_if(&harness, malformed, &[("c", "accept")]).await;
        assert_eq!(answer.status, 400, "{malformed}: {}", answer.body);
    }
    let shown = harness.get(Who::Member, &path(MEMBER)).await;
    assert_eq!(shown.json(), rules(&[]));
}

#[tokio::test]
async fn of_parallel_changes_of_what_was_seen_one_wins() {
    let harness = Harness::new().await;
    let none = harness.get(Who::Member, &path(MEMBER)).await;
    let seen = none.header("etag").unwrap();
    let owners: Vec<String> = (0..8).map(|i| format!("owner-{i}")).collect();
    let sent = owners.iter().map(async |owner| {
        let of = [(owner.as_str(), "accept")];
        set_if(&harness, seen, &of).await.status
    });
    let mut statuses = futures::future::join_all(sent).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test]
async fn wrong_rules_are_named_and_change_nothing() {
    let harness = Harness::new().await;
    set(&harness, Who::Member, MEMBER, &[(OWNER, "accept")]).await;
    let rule = json!({"owner": OWNER, "mode": "accept"});
    let many: Vec<_> = (0..101)
        .map(|i| json!({"owner": format!("o{i}"), "mode": "accept"}))
        .collect();
    for (body, code, word) in [
        (json!({"rules": many}), "IMG.0060", "101"),
        (rules(&[(MEMBER, "accept")]), "IMG.0076", "itself"),
        (
            rules(&[(OWNER, "accept"), (OWNER, "reject")]),
            "IMG.0001",
            OWNER,
        ),
        (rules(&[(OWNER, "Accept")]), "IMG.0001", "mode"),
        (rules(&[("a\u{1}b", "accept")]), "IMG.0067", "control"),
        (rules(&[("", "accept")]), "IMG.0067", "empty"),
        (rules(&[(&"x".repeat(256), "accept")]), "IMG.0067", "255"),
        (json!({"rules": [{"owner": OWNER}]}), "IMG.0001", "mode"),
        (json!({"rules": [{"mode": "accept"}]}), "IMG.0001", "owner"),
        (
            json!({"rules": [{"owner": 1, "mode": "accept"}]}),
            "IMG.0001",
            "owner",
        ),
        (json!({"rules": ["x"]}), "IMG.0001", "rule"),
        (json!({"rules": {}}), "IMG.0001", "rules"),
        (json!({}), "IMG.0001", "rules"),
        (json!({"rules": [], "until": 1}), "IMG.0001", "until"),
        (
            json!({"rules": [{"owner": OWNER, "mode": "accept", "name": ""}]}),
            "IMG.0001",
            "name",
        ),
        (json!([rule]), "IMG.0001", "object"),
    ] {
        let answer = harness.put(Who::Member, &path(MEMBER), body.clone()).await;
        let answer = answer.expect(400);
        assert_eq!(answer.text("/error/code"), code, "{body}");
        let message = answer.text("/error/message");
        assert!(message.contains(word), "{message}");
    }
    let empty = harness
        .send(Who::Member, "PUT", &path(MEMBER), Some(""))
        .await;
    assert_eq!(empty.expect(400).text("/error/code"), "IMG.0007");
    let shown = harness.get(Who::Member, &path(MEMBER)).await;
    assert_eq!(shown.json(), rules(&[(OWNER, "accept")]));
    // A hundred are allowed.
    let body = json!({"rules": &many[..100]});
    let answer = harness.put(Who::Member, &path(MEMBER), body.clone()).await;
    assert_eq!(answer.expect(200).json(), body);
}

#[tokio::test]
async fn only_who_acts_for_a_project_knows_and_sets_its_rules() {
    let harness = Harness::new().await;
    for (who, project, read, write) in [
        (Who::Member, MEMBER, 200, 200),
        (Who::MemberReader, MEMBER, 200, 403),
        (Who::Admin, MEMBER, 200, 200),
        (Who::Owner, MEMBER, 400, 400),
        (Who::OwnerNoRole, OWNER, 403, 403),
        (Who::NoToken, MEMBER, 401, 401),
    ] {
        harness.get(who, &path(project)).await.expect(read);
        let wanted = rules(&[(THIRD, "reject")]);
        harness.put(who, &path(project), wanted).await.expect(write);
    }
}

/// What the rules cost whoever adds: the register once in [`REMEMBERED_SECONDS`] for an instance, and
/// the rules once in that time for a member that has some.
#[tokio::test]
async fn a_project_without_rules_costs_an_add_nothing() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    let add = async |member: &str| {
        let added = async { harness.share(&image, member).await.expect(200) };
        requests(&harness, added).await
    };
    let spent = |reads: &[(&str, u64)]| {
        let all = reads.iter().chain(&[("TransactWriteItems", 1)]);
        all.map(|(name, count)| ((*name).to_owned(), *count))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(add("first").await, spent(&[("GetItem", 1)]));
    for i in 0..5 {
        assert_eq!(add(&format!("p{i}")).await, spent(&[]));
    }
    // On this instance its own write holds at once; elsewhere after the time, as here.
    set(&harness, Who::Member, MEMBER, &[(OWNER, "accept")]).await;
    clock.forward(REMEMBERED_SECONDS);
    assert_eq!(add("q").await, spent(&[("GetItem", 1)]));
    assert_eq!(add(MEMBER).await, spent(&[("BatchGetItem", 1)]));
    let again = async { harness.image(json!({})).await };
    let other = again.await;
    let added = async { harness.share(&other, MEMBER).await.expect(200) };
    assert_eq!(requests(&harness, added).await, spent(&[]));
    assert_eq!(add("r").await, spent(&[]));
}

/// A rule that another instance sets holds after [`REMEMBERED_SECONDS`] at the latest.
#[tokio::test]
async fn a_changed_rule_holds_everywhere_within_the_stated_time() {
    let (harness, clock) = Harness::with_clock().await;
    // Another instance over the same table, with a cache of its own.
    let engine = harness.server.engine.clone().unwrap();
    let table = harness.server.app.config().table.clone();
    let client = Clients::dynamodb_in_process(engine);
    let other = Store::new(client, table, Indexes::Immediate);
    let set_there = async |rules: Vec<TrustRule>| {
        let app = &harness.server.app;
        let next = TrustedOwners {
            rules,
            op: Some(app.operation()),
            by: None,
        };
        let project = ProjectId::parse(MEMBER).unwrap();
        let set = other.set_trusted_owners(&project, &next, None, app.now());
        assert!(set.await.unwrap());
    };
    let image = harness.image(json!({})).await;
    let share = async |member: &str| harness.share(&image, member).await.expect(200);
    share("warms the register").await;
    set_there(vec![TrustRule {
        owner: ProjectId::parse(OWNER).unwrap(),
        mode: TrustMode::Accept,
    }])
    .await;
    // Not known here yet; the share is pending, and stays so.
    assert_eq!(share(MEMBER).await.text("/status"), "pending");
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    harness.delete(Who::Owner, &row).await.expect(204);
    clock.forward(REMEMBERED_SECONDS);
    assert_eq!(share(MEMBER).await.text("/status"), "accepted");
    harness.delete(Who::Owner, &row).await.expect(204);
    set_there(Vec::new()).await;
    clock.forward(REMEMBERED_SECONDS);
    assert_eq!(share(MEMBER).await.text("/status"), "pending");
}

/// One item has the projects with rules of all. It is written for a project's first rules alone: by each change, a
/// project that changes its rules again and again would conflict with everybody who sets some.
#[tokio::test]
async fn a_change_of_rules_writes_nothing_that_is_everybodys() {
    let harness = Harness::new().await;
    let client = Clients::dynamodb_in_process(harness.server.engine.clone().unwrap());
    let table = harness.server.app.config().table.clone();
    let key = [("pk", "PROJECT#"), ("sk", "REGISTER")];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let key = HashMap::from(key);
    let register = async || {
        let get = client.get_item().table_name(&table);
        let found = get.set_key(Some(key.clone())).send().await;
        found.unwrap().item
    };
    set(&harness, Who::Member, MEMBER, &[(OWNER, "accept")]).await;
    assert!(register().await.is_some());
    // The instance reads it here, and remembers it.
    set(&harness, Who::Member, MEMBER, &[(THIRD, "accept")]).await;
    // If a change wrote it, it would be there again.
    let delete = client.delete_item().table_name(&table);
    delete.set_key(Some(key.clone())).send().await.unwrap();
    set(&harness, Who::Member, MEMBER, &[(THIRD, "reject")]).await;
    assert_eq!(register().await, None);
    set(&harness, Who::Member2, MEMBER2, &[(OWNER, "accept")]).await;
    assert!(register().await.is_some());
}
