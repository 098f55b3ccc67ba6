//! The permission policy over HTTP. Its decisions and messages are a golden file that the unit
//! tests of `shared::domain::policy` check; here the API is compared with the policy.

use std::collections::HashMap;

use serde_json::json;
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::member::{Member, Membership, Memberships};
use shared::domain::policy::{
    Action, Caller, ImageAction, Policy, RecordAction, Role, Row, RowAction, Subject, Target,
};
use shared::domain::time::Timestamp;
use shared::domain::visibility::Visibility;
use shared::http::status_of;

use crate::harness::{Harness, MEMBER, MEMBER2, OWNER, THIRD, Who};

fn project(text: &str) -> ProjectId {
    ProjectId::parse(text).unwrap()
}

/// The memberships of every image in the test.
fn memberships() -> Memberships {
    let (op, now) = (OperationId::at(0), Timestamp::from_micros(0));
    let member = |text: &str| Member::new(ImageId::random(), project(text), op, now);
    let present = |text: &str| (project(text), Membership::Present(member(text)));
    HashMap::from([present(MEMBER), present(MEMBER2)])
}

/// The status that the policy implies.
fn expected(caller: &Caller, action: ImageAction<'_>, visibility: Visibility) -> u16 {
    let (owner, memberships) = (project(OWNER), memberships());
    let target = Target {
        id: "of no matter",
        subject: Some(Subject {
            owner: &owner,
            visibility,
            memberships: &memberships,
        }),
    };
    match Policy::default().decide(caller, Action::Image(action, target)) {
        Err(denied) => status_of(&denied.glance()),
        Ok(()) => match action {
            ImageAction::Record(RecordAction::Delete)
            | ImageAction::Row(RowAction::Remove, _)
            | ImageAction::Record(RecordAction::Tag) => 204,
            _ => 200,
        },
    }
}

#[tokio::test]
async fn every_decision_holds_over_http() {
    let harness = Harness::new().await;
    let callers = [
        (Who::Owner, OWNER, Role::Member),
        (Who::OwnerReader, OWNER, Role::Reader),
        (Who::OwnerNoRole, OWNER, Role::None),
        (Who::Member, MEMBER, Role::Member),
        (Who::MemberReader, MEMBER, Role::Reader),
        (Who::Third, THIRD, Role::Member),
        (Who::Admin, "admin", Role::Admin),
    ];
    let (member, other) = (project(MEMBER), project(MEMBER2));
    let row = |text, member| Row {
        text,
        member: Some(member),
    };
    let rows = [row(MEMBER, &member), row(MEMBER2, &other)];
    let mut actions = vec![
        ImageAction::Record(RecordAction::Show),
        ImageAction::Record(RecordAction::ListTasks),
        ImageAction::Record(RecordAction::Modify),
        ImageAction::Record(RecordAction::Tag),
        ImageAction::Record(RecordAction::Delete),
        ImageAction::ListMembers,
        ImageAction::AddMember,
    ];
    for action in [RowAction::Show, RowAction::Update, RowAction::Remove] {
        actions.extend(rows.map(|row| ImageAction::Row(action, row)));
    }
    let mut answers = 0;
    for visibility in Visibility::ALL {
        for (who, project_id, role) in callers {
            let caller = Caller {
                user: "u".to_owned(),
                project: project(project_id),
                role,
            };
            for action in &actions {
                // Each on its own image with two members.
                let image = harness.image(json!({"name": "n"})).await;
                harness.share(&image, MEMBER).await.expect(200);
                harness.share(&image, MEMBER2).await.expect(200);
                if visibility != Visibility::Shared {
                    let to = visibility.as_str();
                    harness.set_visibility(Who::Admin, &image, to).await;
                }
                let path = format!("/v2/images/{image}");
                let members = format!("{path}/members");
                let row = |row: &Row<'_>| format!("{members}/{}", row.text);
                let answer = match action {
                    ImageAction::Record(RecordAction::Show) => harness.get(who, &path).await,
                    ImageAction::Record(RecordAction::ListTasks) => {
                        harness.get(who, &format!("{path}/tasks")).await
                    }
                    ImageAction::Record(RecordAction::Modify) => {
                        let change = json!([{"op": "replace", "path": "/name", "value": "m"}]);
                        harness.patch(who, &path, change).await
                    }
                    ImageAction::Record(RecordAction::Tag) => {
                        let path = format!("{path}/tags/t");
                        harness.send(who, "PUT", &path, None).await
                    }
                    ImageAction::Record(RecordAction::Delete) => harness.delete(who, &path).await,
                    ImageAction::ListMembers => harness.get(who, &members).await,
                    ImageAction::AddMember => {
                        let body = json!({"member": "new"});
                        harness.post(who, &members, body).await
                    }
                    ImageAction::Row(RowAction::Show, member) => {
                        harness.get(who, &row(member)).await
                    }
                    ImageAction::Row(RowAction::Update, member) => {
                        let body = json!({"status": "accepted"});
                        harness.put(who, &row(member), body).await
                    }
                    ImageAction::Row(RowAction::Remove, member) => {
                        harness.delete(who, &row(member)).await
                    }
                    other => panic!("{other:?} has no path here"),
                };
                assert_eq!(
                    answer.status,
                    expected(&caller, *action, visibility),
                    "{who:?} {action:?} {visibility:?}\n{}",
                    answer.body
                );
                answers += 1;
            }
        }
    }
    assert_eq!(answers, 4 * 7 * 13);
}

#[tokio::test]
async fn a_member_sees_only_its_own_row() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    harness.share(&image, MEMBER2).await.expect(200);
    let list = harness
        .get(Who::Member, &format!("/v2/images/{image}/members"))
        .await
        .json();
    assert_eq!(list["members"].as_array().unwrap().len(), 1);
    assert_eq!(list["members"][0]["member_id"], MEMBER);
    let other = format!("/v2/images/{image}/members/{MEMBER2}");
    for method in ["GET", "PUT", "DELETE"] {
        let body = (method == "PUT").then_some(r#"{"status": "accepted"}"#);
        harness
            .send(Who::Member, method, &other, body)
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn nobody_comes_in_without_a_token_and_headers_say_nothing() {
    let harness = Harness::new().await;
    let forged = [
        ("x-project-id", crate::harness::OWNER),
        ("x-roles", "admin"),
        ("x-user-id", "u"),
    ];
    for route in shared::http::routes::ROUTES {
        let path = route.path.replace(['{', '}'], "");
        for who in [Who::NoToken, Who::BadToken] {
            let answer = harness
                .send_with(who, route.method, &path, &forged, None)
                .await;
            assert_eq!(answer.status, 401, "{} {}", route.method, route.path);
            let ask = answer.header("www-authenticate").unwrap();
            assert!(ask.starts_with("Keystone uri=\""), "{ask}");
            assert!(answer.header("x-openstack-request-id").is_some());
        }
    }
}
