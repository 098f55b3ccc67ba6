//! The permission policy: its whole matrix against a golden file, and every row over HTTP.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;
use shared::auth::{Action, Decision, Relation, Role, permit};
use shared::image::Visibility;

use crate::world::{MEMBER, MEMBER2, Who, World};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/permissions.txt");

fn matrix() -> String {
    let mut out = String::from("role    relation  visibility  action        decision\n");
    for role in Role::ALL {
        for relation in Relation::ALL {
            for visibility in Visibility::ALL {
                for action in Action::ALL {
                    let decision = permit(role, relation, visibility, action);
                    let (role, relation) = (format!("{role:?}"), format!("{relation:?}"));
                    let (visibility, action) = (visibility.as_str(), format!("{action:?}"));
                    writeln!(
                        out,
                        "{role:<7} {relation:<9} {visibility:<11} {action:<13} {decision:?}"
                    )
                    .unwrap();
                }
            }
        }
    }
    out
}

/// Set `UPDATE_GOLDEN=1` to write the file anew, and read the difference.
#[test]
fn the_matrix_is_the_golden_file() {
    let matrix = matrix();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(Path::new(GOLDEN).parent().unwrap()).unwrap();
        std::fs::write(GOLDEN, &matrix).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert!(
        golden == matrix,
        "the policy differs from tests/golden/permissions.txt"
    );
}

/// The status that a decision becomes for an action.
fn expected(action: Action, decision: Decision, own_row: bool) -> u16 {
    match (decision, action) {
        (Decision::Allow, Action::DeleteImage | Action::RemoveMember) => 204,
        (Decision::Allow, _) => 200,
        (Decision::AllowOwnRow, Action::ListMembers) => 200,
        (Decision::AllowOwnRow, _) if own_row => 200,
        (Decision::AllowOwnRow, _) => 404,
        (Decision::Hidden, _) => 404,
        (Decision::NotShared, Action::ShowMember) => 404,
        (Decision::NotShared | Decision::Forbidden, _) => 403,
    }
}

#[tokio::test]
async fn every_row_holds_over_http() {
    let world = World::new().await;
    let callers = [
        (Who::Owner, Role::Member, Relation::Owner),
        (Who::OwnerReader, Role::Reader, Relation::Owner),
        (Who::OwnerNoRole, Role::None, Relation::Owner),
        (Who::Member, Role::Member, Relation::Member),
        (Who::MemberReader, Role::Reader, Relation::Member),
        (Who::Third, Role::Member, Relation::Stranger),
        (Who::Admin, Role::Admin, Relation::Stranger),
    ];
    let mut rows = 0;
    for visibility in Visibility::ALL {
        for (who, role, relation) in callers {
            for action in Action::ALL {
                // Each on an image of its own, with the member and one more.
                let image = world.image(json!({"name": "n"})).await;
                world.share(&image, MEMBER).await.expect(200);
                world.share(&image, MEMBER2).await.expect(200);
                if visibility != Visibility::Shared {
                    world
                        .set_visibility(Who::Admin, &image, visibility.as_str())
                        .await;
                }
                let path = format!("/v2/images/{image}");
                let row = format!("{path}/members/{MEMBER}");
                let accept = json!({"status": "accepted"});
                let answer = match action {
                    Action::ShowImage => world.get(who, &path).await,
                    Action::ModifyImage => {
                        let change = json!([{"op": "replace", "path": "/name", "value": "m"}]);
                        world.patch(who, &path, change).await
                    }
                    Action::DeleteImage => world.delete(who, &path).await,
                    Action::ListMembers => world.get(who, &format!("{path}/members")).await,
                    Action::ShowMember => world.get(who, &row).await,
                    Action::AddMember => {
                        world
                            .post(who, &format!("{path}/members"), json!({"member": "new"}))
                            .await
                    }
                    Action::UpdateMember => world.put(who, &row, accept).await,
                    Action::RemoveMember => world.delete(who, &row).await,
                };
                let decision = permit(role, relation, visibility, action);
                let own_row = relation == Relation::Member;
                // That an image has no members is told before the role is looked at.
                let decision = match (role, visibility, action) {
                    (Role::None, Visibility::Shared, _) => decision,
                    (
                        Role::None,
                        _,
                        Action::ListMembers
                        | Action::ShowMember
                        | Action::AddMember
                        | Action::UpdateMember
                        | Action::RemoveMember,
                    ) => Decision::NotShared,
                    _ => decision,
                };
                assert_eq!(
                    answer.status,
                    expected(action, decision, own_row),
                    "{who:?} {action:?} {visibility:?}: {decision:?}\n{}",
                    answer.body
                );
                rows += 1;
            }
        }
    }
    assert_eq!(rows, 4 * 7 * 8);
}

#[tokio::test]
async fn a_member_sees_only_its_own_row() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    world.share(&image, MEMBER).await.expect(200);
    world.share(&image, MEMBER2).await.expect(200);
    let list = world
        .get(Who::Member, &format!("/v2/images/{image}/members"))
        .await
        .json();
    assert_eq!(list["members"].as_array().unwrap().len(), 1);
    assert_eq!(list["members"][0]["member_id"], MEMBER);
    let other = format!("/v2/images/{image}/members/{MEMBER2}");
    for method in ["GET", "PUT", "DELETE"] {
        let body = (method == "PUT").then_some(r#"{"status": "accepted"}"#);
        world
            .send(Who::Member, method, &other, body)
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn nobody_comes_in_without_a_token_and_headers_say_nothing() {
    let world = World::new().await;
    let forged = [
        ("x-project-id", crate::world::OWNER),
        ("x-roles", "admin"),
        ("x-user-id", "u"),
    ];
    for route in shared::routes::ROUTES {
        let path = route.path.replace(['{', '}'], "");
        for who in [Who::NoToken, Who::BadToken] {
            let answer = world
                .send_with(who, route.method, &path, &forged, None)
                .await;
            assert_eq!(answer.status, 401, "{} {}", route.method, route.path);
            let ask = answer.header("www-authenticate").unwrap();
            assert!(ask.starts_with("Keystone uri=\""), "{ask}");
            assert!(answer.header("x-openstack-request-id").is_some());
        }
    }
}
