//! The log of changes, as the real binary writes it: one line for each change of every operation that changes
//! something, in the form that the queries of `docs/operations.md` read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use shared::http::routes::{BatchKind, OnImages, OnTrustedOwners, Operation, ROUTES};

use super::logged::Logged;
use crate::harness::{ADMIN, MEMBER, MEMBER2, OWNER, Who};

/// The callers of the demo identities, as the log names them.
fn user(who: Who) -> (&'static str, &'static str) {
    match who {
        Who::Owner => ("u-owner", OWNER),
        Who::Member => ("u-member", MEMBER),
        Who::Admin => ("u-admin", ADMIN),
        other => panic!("{other:?}"),
    }
}

/// A line of the log.
fn line(who: Who, what: &str, image: &str, from: &str, to: &str, more: Value) -> Value {
    let (user, project) = user(who);
    let mut line = json!({
        "what": what, "image": image, "from": from, "to": to, "user": user, "project": project,
    });
    if image.is_empty() {
        line.as_object_mut().unwrap().remove("image");
    }
    for (name, value) in more.as_object().unwrap() {
        line[name] = value.clone();
    }
    line
}

/// A request, and the lines that it causes.
struct Case {
    who: Who,
    path: String,
    body: Value,
    lines: Vec<Value>,
    /// The name of the job's id in the lines, if the request starts one.
    starts_job: bool,
}

impl Case {
    fn new(who: Who, path: &str, body: Value, lines: Vec<Value>) -> Self {
        Self {
            who,
            path: path.to_owned(),
            body,
            lines,
            starts_job: false,
        }
    }
}

/// What each operation that changes something logs; `None` for those that read.
///
/// Every operation is here by its name, so a new one does not compile until its line is known.
async fn case(server: &Logged, operation: Operation) -> Option<Case> {
    let removed = |who, image: &str, member: &str| {
        let more = json!({"member": member});
        line(who, "member.remove", image, "member", "none", more)
    };
    Some(match operation {
        Operation::AddMember => {
            let image = server.image().await;
            let path = format!("/v2/images/{image}/members");
            let more = json!({"member": MEMBER});
            let expected = line(Who::Owner, "member.add", &image, "none", "pending", more);
            Case::new(Who::Owner, &path, json!({"member": MEMBER}), vec![expected])
        }
        Operation::UpdateMember => {
            let image = server.shared().await;
            let path = format!("/v2/images/{image}/members/{MEMBER}");
            let more = json!({"member": MEMBER});
            let expected = line(
                Who::Member,
                "member.answer",
                &image,
                "pending",
                "accepted",
                more,
            );
            Case::new(
                Who::Member,
                &path,
                json!({"status": "accepted"}),
                vec![expected],
            )
        }
        // By an admin, who is not of the image's project: the log says who it was.
        Operation::RemoveMember => {
            let image = server.shared().await;
            let path = format!("/v2/images/{image}/members/{MEMBER}");
            let expected = removed(Who::Admin, &image, MEMBER);
            Case::new(Who::Admin, &path, Value::Null, vec![expected])
        }
        Operation::Batch(kind) => batch(server, kind).await,
        Operation::Images(operation) => return image_case(server, operation).await,
        Operation::TrustedOwners(OnTrustedOwners::Replace) => {
            let path = format!("/v1/{MEMBER}/cloudimages/trusted-owners");
            let rules = json!({"rules": [{"owner": "somebody", "mode": "accept"}]});
            let more = json!({"member": MEMBER});
            let what = "trusted-owners.replace";
            let expected = line(Who::Member, what, "", "rules", "1 rules", more);
            Case::new(Who::Member, &path, rules, vec![expected])
        }
        Operation::TrustedOwners(OnTrustedOwners::Show)
        | Operation::Members(_)
        | Operation::Jobs(_)
        | Operation::Discovery(_) => return None,
    })
}

async fn batch(server: &Logged, kind: BatchKind) -> Case {
    let path = "/v1/cloudimages/members";
    let (who, image) = match kind {
        BatchKind::Add => (Who::Owner, server.image().await),
        BatchKind::Update => (Who::Member, server.shared().await),
        BatchKind::Remove | BatchKind::Replace => (Who::Owner, server.shared().await),
    };
    let accepted = |job_type: &str, entries: usize| {
        let more = json!({"entries": entries, "job": "job"});
        line(who, "job.create", "", "none", job_type, more)
    };
    let entry = |what: &str, member: &str, from: &str, to: &str| {
        let more = json!({"member": member, "job": "job"});
        line(who, what, &image, from, to, more)
    };
    let both = json!({"images": [image], "projects": [MEMBER, MEMBER2]});
    let mut case = match kind {
        BatchKind::Add => {
            let lines = vec![
                accepted("imsAddImageMembersJob", 2),
                entry("member.add", MEMBER, "none", "pending"),
                entry("member.add", MEMBER2, "none", "pending"),
            ];
            Case::new(who, path, both, lines)
        }
        BatchKind::Update => {
            let body = json!({"images": [image], "project_id": MEMBER, "status": "rejected"});
            let lines = vec![
                accepted("imsUpdateImageMembersJob", 1),
                entry("member.answer", MEMBER, "pending", "rejected"),
            ];
            Case::new(who, path, body, lines)
        }
        BatchKind::Remove => {
            let lines = vec![
                accepted("imsDelImageMembersJob", 2),
                entry("member.remove", MEMBER, "member", "none"),
                entry("member.remove", MEMBER2, "member", "none"),
            ];
            Case::new(who, path, both, lines)
        }
        BatchKind::Replace => {
            let path = format!("/v1/{OWNER}/cloudimages/{image}/members");
            let more = json!({"entries": 3, "job": "job"});
            let job_type = "imsReplaceImageMembersJob";
            let lines = vec![
                line(who, "members.declare", &image, "none", job_type, more),
                entry("member.remove", MEMBER, "member", "none"),
                entry("member.add", "third", "none", "pending"),
            ];
            let body = json!({"projects": [MEMBER2, "third"]});
            Case::new(who, &path, body, lines)
        }
    };
    case.starts_job = true;
    case
}

async fn image_case(server: &Logged, operation: OnImages) -> Option<Case> {
    let image = match operation {
        OnImages::Delete => server.shared().await,
        _ => server.image().await,
    };
    let of_image = |rest: &str| format!("/v2/images/{image}{rest}");
    let changed = |fields: &str, from: &str, to: &str| {
        let more = json!({"fields": fields});
        vec![line(Who::Owner, "image.change", &image, from, to, more)]
    };
    // An admin changes an image's status in Glance's own way: by an action.
    let by_admin = |from: &str, to: &str| {
        let more = json!({"fields": "status"});
        vec![line(Who::Admin, "image.change", &image, from, to, more)]
    };
    let status = async |status: &str| {
        let change = json!([{"op": "replace", "path": "/status", "value": status}]);
        server
            .before(Who::Admin, "PATCH", &of_image(""), change)
            .await;
    };
    let nothing = Value::Null;
    Some(match operation {
        OnImages::Create => {
            let id = "00000000-0000-4000-8000-000000000001";
            let expected = line(Who::Owner, "image.create", id, "none", "shared", json!({}));
            Case::new(Who::Owner, "/v2/images", json!({"id": id}), vec![expected])
        }
        OnImages::Change => {
            let change = json!([
                {"op": "replace", "path": "/visibility", "value": "private"},
                {"op": "add", "path": "/secret", "value": "secret"},
            ]);
            let lines = changed("visibility,properties", "shared", "private");
            Case::new(Who::Owner, &of_image(""), change, lines)
        }
        OnImages::Delete => {
            let mut lines = vec![line(
                Who::Owner,
                "image.delete",
                &image,
                "image",
                "none",
                json!({}),
            )];
            for member in [MEMBER2, MEMBER] {
                let more = json!({"member": member, "automatic": "image-deleted"});
                let what = "member.remove";
                lines.push(line(Who::Owner, what, &image, "pending", "none", more));
            }
            Case::new(Who::Owner, &of_image(""), nothing, lines)
        }
        OnImages::AddTag => {
            let lines = changed("tags", "shared", "shared");
            Case::new(Who::Owner, &of_image("/tags/t"), nothing, lines)
        }
        OnImages::RemoveTag => {
            let path = of_image("/tags/t");
            server.before(Who::Owner, "PUT", &path, Value::Null).await;
            let lines = changed("tags", "shared", "shared");
            Case::new(Who::Owner, &path, nothing, lines)
        }
        OnImages::Deactivate => {
            status("active").await;
            let path = of_image("/actions/deactivate");
            Case::new(
                Who::Admin,
                &path,
                nothing,
                by_admin("active", "deactivated"),
            )
        }
        OnImages::Reactivate => {
            status("deactivated").await;
            let path = of_image("/actions/reactivate");
            Case::new(
                Who::Admin,
                &path,
                nothing,
                by_admin("deactivated", "active"),
            )
        }
        OnImages::List
        | OnImages::Show
        | OnImages::ListTasks
        | OnImages::ListCloud
        | OnImages::ShowQuota => return None,
    })
}

/// Sorted, because the entries of a batch are applied at once.
fn sorted(mut lines: Vec<Value>) -> Vec<String> {
    for line in &mut lines {
        line.sort_all_objects();
    }
    let mut lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn every_change_is_one_line_and_nothing_else_is() {
    let server = Logged::start().await;
    let mut expected = BTreeMap::new();
    for route in ROUTES {
        let found = case(&server, route.operation).await;
        let operation = route.operation.id();
        assert_eq!(found.is_some(), route.method != "GET", "{operation}");
        let Some(case) = found else { continue };
        let send = async |request: &str| {
            let caller = (case.who, request);
            let body = case.body.clone();
            server.send(caller, route.method, &case.path, body).await
        };
        let answer = send(operation).await;
        assert!(answer.status < 300, "{operation}: {}", answer.body);
        let mut lines = sorted(case.lines.clone());
        if case.starts_job {
            let job = server.ended(case.who, &answer).await;
            let named =
                |line: &String| line.replace("\"job\":\"job\"", &format!("\"job\":\"{job}\""));
            lines = lines.iter().map(named).collect();
        }
        expected.insert(operation.to_owned(), lines);
        // Once more: refused, or it changes nothing. A new job and a new set of rules are changes, though.
        let again = format!("{operation} again");
        let answer = send(&again).await;
        let mut once_more = Vec::new();
        if case.starts_job {
            let job = server.ended(case.who, &answer).await;
            let mut accepted = case.lines.first().unwrap().clone();
            accepted["job"] = json!(job);
            if operation == "replaceMembers" {
                accepted["entries"] = json!(2);
            }
            once_more.push(accepted);
        } else if operation == "replaceTrustedOwners" {
            once_more.clone_from(&case.lines);
        }
        if !once_more.is_empty() {
            expected.insert(again, sorted(once_more));
        }
    }
    // Four batches and the rules count twice.
    let changing = ROUTES.iter().filter(|route| route.method != "GET").count();
    assert_eq!(expected.len(), changing + 5);
    let mut found = server.stop().await;
    found.remove("before");
    let found: BTreeMap<String, Vec<String>> = found
        .into_iter()
        .map(|(request, lines)| (request, sorted(lines)))
        .collect();
    for (request, lines) in &expected {
        assert_eq!(found.get(request), Some(lines), "{request}");
    }
    let unexpected: Vec<_> = found
        .keys()
        .filter(|it| !expected.contains_key(*it))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// The queries of the runbook name fields that the lines have.
#[tokio::test]
async fn the_queries_of_the_runbook_read_what_is_logged() {
    let server = Logged::start().await;
    let image = server.shared().await;
    let path = format!("/v1/{OWNER}/cloudimages/{image}/members");
    let nobody = json!({"projects": []});
    let declared = server.before(Who::Owner, "PUT", &path, nobody).await;
    server.ended(Who::Owner, &declared).await;
    let image = server.shared().await;
    let path = format!("/v2/images/{image}");
    let change = json!([{"op": "replace", "path": "/name", "value": "other"}]);
    server.before(Who::Owner, "PATCH", &path, change).await;
    server
        .before(Who::Owner, "DELETE", &path, Value::Null)
        .await;
    let lines = server.stop().await.into_values().flatten();
    let mut fields: BTreeSet<String> = ["message", "request"].map(str::to_owned).into();
    for line in lines {
        fields.extend(line.as_object().unwrap().keys().cloned());
    }
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let documents = std::fs::read_to_string(documents).unwrap();
    for query in ["filter target = \"change\"", "select(.target == \"change\""] {
        assert!(documents.contains(query), "no {query}");
    }
    let (_, section) = documents.split_once("\n## Who did it\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut named = BTreeSet::new();
    for after in section.split("fields.").skip(1) {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, _) = after.split_at(end.unwrap_or(after.len()));
        assert!(
            fields.contains(name),
            "fields.{name} is in no line: {fields:?}"
        );
        named.insert(name);
    }
    assert!(named.len() >= 8, "{named:?}");
}
