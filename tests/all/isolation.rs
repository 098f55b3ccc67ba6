//! Tenant isolation: a project learns nothing of images that it may not see, not even from the cost
//! of a request.

use local::options::Options;
use serde_json::{Value, json};
use shared::http::routes::ROUTES;

use crate::budget::requests;
use crate::harness::{Harness, MEMBER, OWNER, THIRD, Who, options};

const ABSENT: &str = "77777777-7777-4777-8777-777777777777";
const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// Creates a large shared image of the owner with a member, which a stranger may not see.
async fn hidden(harness: &Harness) -> String {
    let image = harness
        .image(json!({"__backup_id": "b", "text": "x".repeat(200_000), "name": "hidden"}))
        .await;
    harness.share(&image, MEMBER).await.expect(200);
    image
}

fn body(method: &str, path: &str) -> Option<&'static str> {
    match (method, path.rsplit('/').next()) {
        ("POST", Some("members")) => Some(r#"{"member": "m"}"#),
        ("PUT", Some("members")) => Some(r#"{"projects": ["m"]}"#),
        ("PUT", Some("{member_id}")) => Some(r#"{"status": "accepted"}"#),
        ("PATCH", _) => Some(r#"[{"op": "replace", "path": "/name", "value": "n"}]"#),
        _ => None,
    }
}

/// Every route that names an image, and a list that begins after one: for an image that it may not
/// see, a stranger gets the same response as for an absent one, from the same requests to the
/// store. New routes in the table are tested automatically.
#[tokio::test]
async fn a_hidden_image_costs_and_says_what_an_absent_one_does() {
    let harness = Harness::new().await;
    let image = hidden(&harness).await;
    let of_routes = ROUTES
        .iter()
        .filter(|route| route.path.contains("{image_id}"))
        .map(|route| (route.method, route.path));
    let mut tried = 0;
    for (method, path) in of_routes.chain([("GET", "/v2/images?marker={image_id}")]) {
        for member in [MEMBER, THIRD, "other"] {
            let answer = async |id: &str| {
                let path = path
                    .replace("{image_id}", id)
                    .replace("{project_id}", THIRD)
                    .replace("{member_id}", member);
                let path = path.replace("{tag}", "t");
                let headers = [("content-type", PATCH), ("accept", "application/json")];
                let sent = body(method, path_of(&path)).map(|text| text.as_bytes().to_vec());
                let mut found = None;
                let spent = requests(&harness, async {
                    found = Some(
                        harness
                            .send_with(Who::Third, method, &path, &headers, sent)
                            .await,
                    );
                })
                .await;
                let found = found.unwrap();
                (found.status, found.body.replace(id, "ID"), spent)
            };
            // Once before, because an instance caches the owner of an image.
            answer(&image).await;
            let there = answer(&image).await;
            let absent = answer(ABSENT).await;
            assert_eq!(there, absent, "{method} {path} {member}");
            assert!(
                (400..500).contains(&absent.0),
                "{method} {path}: {}",
                absent.0
            );
            tried += 1;
        }
    }
    assert!(tried >= 30, "{tried}");
    let members = harness
        .get(Who::Owner, &format!("/v2/images/{image}/members"))
        .await;
    assert_eq!(members.json()["members"].as_array().unwrap().len(), 1);
}

/// The route's template of a path, for [`body`].
fn path_of(path: &str) -> &str {
    match path.split('/').nth_back(1) {
        Some("members") => "/{member_id}",
        _ => path,
    }
}

/// A transaction holds up the others of an image, even if it is cancelled. Who knows an image's id and is no member of
/// it must not be able to keep its owner from ending memberships.
#[tokio::test]
async fn who_has_nothing_to_leave_starts_no_transaction() {
    let harness = Harness::with(Options {
        member_may_leave: true,
        ..options()
    })
    .await;
    let image = hidden(&harness).await;
    for (id, who, project) in [
        (&*image, Who::Third, THIRD),
        (ABSENT, Who::Third, THIRD),
        (ABSENT, Who::Member, MEMBER),
    ] {
        let path = format!("/v2/images/{id}/members/{project}");
        let leave = async { harness.delete(who, &path).await.expect(404) };
        let spent = requests(&harness, leave).await;
        assert_eq!(spent, [("BatchGetItem".to_owned(), 1)].into(), "{path}");
    }
}

/// Every kind of batch, with and without the vault that an image made from a backup needs.
#[tokio::test]
async fn a_batch_tells_a_stranger_nothing() {
    let harness = Harness::new().await;
    let image = hidden(&harness).await;
    let run = async |method: &str, id: &str, more: Value| {
        let mut body = json!({"images": [id]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let sent = body.to_string();
        let mut end = Value::Null;
        let spent = requests(&harness, async {
            let answer = harness.send(Who::Third, method, "/v1/cloudimages/members", Some(&sent));
            let job = answer.await.expect(200).text("/job_id");
            // Polling the job would cost requests, so the test waits without.
            let queue = harness.server.queue.as_ref().unwrap();
            while queue.len(local::queue::BATCHES).unwrap() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            end = harness
                .get(Who::Third, &format!("/v1/cloudimages/job/{job}"))
                .await
                .json();
        })
        .await;
        let row = &end["entities"]["results"][0];
        (row["error_code"].clone(), row["fail_reason"].clone(), spent)
    };
    let vault = "384a9d5e-8b2f-4d3c-9a57-1b1c6f2d3e4f";
    for (method, more) in [
        ("PUT", json!({"project_id": THIRD, "status": "accepted"})),
        (
            "PUT",
            json!({"project_id": THIRD, "status": "accepted", "vault_id": "bad"}),
        ),
        (
            "PUT",
            json!({"project_id": THIRD, "status": "accepted", "vault_id": vault}),
        ),
        ("PUT", json!({"project_id": THIRD, "status": "rejected"})),
        ("POST", json!({"projects": ["p"]})),
        ("POST", json!({"projects": [THIRD]})),
        ("DELETE", json!({"projects": ["p"]})),
        ("DELETE", json!({"projects": [MEMBER]})),
    ] {
        let there = run(method, &image, more.clone()).await;
        let absent = run(method, ABSENT, more.clone()).await;
        assert_eq!(there, absent, "{method} {more}");
        assert_eq!(absent.0, "IMG.0027", "{method} {more}");
    }
    // Members learn more.
    let body = json!({"images": [image], "project_id": MEMBER, "status": "accepted"});
    let answer = harness
        .put(Who::Member, "/v1/cloudimages/members", body)
        .await;
    let job = harness.ended(Who::Member, &answer.text("/job_id")).await;
    assert_eq!(job["error_code"], "IMG.0184");
}

/// The cost of listing another project's images does not depend on their number.
#[tokio::test]
async fn a_list_of_anothers_images_does_not_walk_them() {
    let harness = Harness::new().await;
    let path = format!("/v2/images?owner={OWNER}");
    let list = async || {
        let mut ids = Vec::new();
        let spent = requests(&harness, async {
            ids = harness
                .listed(Who::Third, path.strip_prefix("/v2/images").unwrap())
                .await;
        })
        .await;
        (ids, spent)
    };
    let before = list().await;
    for _ in 0..120 {
        harness.image(json!({"visibility": "private"})).await;
    }
    assert_eq!(list().await, before);
    // Visible images are found: public ones, and those that are shared with the caller.
    let shared = harness.image(json!({})).await;
    harness.share_accepted(&shared, Who::Third).await;
    let open = harness.image(json!({})).await;
    harness.set_visibility(Who::Admin, &open, "public").await;
    let community = harness.image(json!({"visibility": "community"})).await;
    assert_eq!(list().await.0, [open.clone(), shared.clone()]);
    let all = harness
        .listed(Who::Third, &format!("?owner={OWNER}&visibility=all"))
        .await;
    assert_eq!(all, [community, open, shared]);
}
