//! Images by name and by id, and what memberships hold of their images.

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use local::engine::Engine;
use local::transport;
use serde_json::{Value, json};
use shared::runtime::api::answer;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;

use crate::budget::requests;
use crate::harness::{Harness, MEMBER, OWNER, Who};
use crate::lag::request;

fn renamed(name: &str) -> Value {
    json!([{"op": "replace", "path": "/name", "value": name}])
}

async fn accepted(harness: &Harness, body: Value) -> String {
    let image = harness.image(body).await;
    harness.share_accepted(&image, Who::Member).await;
    image
}

/// An engine that does not take statements.
#[derive(Clone, Debug)]
struct Refusing(Engine, &'static str);

impl HttpConnector for Refusing {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self(engine, code) = self.clone();
        HttpConnectorFuture::new(async move {
            let (operation, body) = transport::parts(&request).unwrap();
            transport::response(match operation {
                "ExecuteStatement" => {
                    let error = json!({"__type": code, "message": "by a test"});
                    (400, error.to_string())
                }
                _ => engine.perform(operation, body).await,
            })
        })
    }
}

/// Where statements are refused, names are found by queries; other errors are errors.
#[tokio::test]
async fn names_are_found_without_statements() {
    let (harness, clock) = Harness::with_clock().await;
    let image = accepted(&harness, json!({"name": "x"})).await;
    for (code, expected) in [
        ("ValidationException", 200),
        ("AccessDeniedException", 200),
        ("UnknownOperationException", 200),
        ("ResourceNotFoundException", 500),
    ] {
        let good = &harness.server.app;
        let engine = harness.server.engine.clone().unwrap();
        let app = App::new(
            good.config().clone(),
            Clients::dynamodb_through(Refusing(engine, code)),
            Clients::sqs_in_process(harness.server.queue.clone().unwrap()),
            shared::auth::Authentication::default(),
            clock.clock(),
        );
        let request = request(MEMBER, "GET", "/v2/images?name=x", None);
        let answer = answer(app, request, images::handle).await;
        assert_eq!(answer.status(), expected, "{code}");
        let lambda_http::Body::Text(body) = answer.into_body() else {
            panic!("{code}")
        };
        assert_eq!(body.contains(&image), expected == 200, "{code}: {body}");
    }
}

/// More images of a name than one statement reads are read by queries, and no image is missing or comes twice.
#[tokio::test]
async fn a_name_that_many_images_have_is_found_page_by_page() {
    let harness = Harness::new().await;
    let mut all = Vec::new();
    for i in 0..24 {
        let body = json!({"name": "x"});
        let id = match i % 3 {
            0 => harness
                .post(Who::Member, "/v2/images", body)
                .await
                .text("/id"),
            1 => accepted(&harness, body).await,
            _ => {
                let body = json!({"name": "x", "visibility": "public"});
                harness
                    .post(Who::Admin, "/v2/images", body)
                    .await
                    .text("/id")
            }
        };
        all.push(id);
    }
    for (direction, limit) in [("asc", 2), ("desc", 3), ("asc", 25), ("desc", 24)] {
        let mut expected = all.clone();
        if direction == "desc" {
            expected.reverse();
        }
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let query = format!("?name=x&sort=created_at:{direction}&limit={limit}{marker}");
            let page = harness.listed(Who::Member, &query).await;
            let Some(last) = page.last() else { break };
            marker = format!("&marker={last}");
            found.extend(page);
        }
        assert_eq!(found, expected, "{direction} {limit}");
    }
}

/// Own images, images of all, and images that are shared are found by their name, wherever they stand in
/// the list, and by no other.
#[tokio::test]
async fn every_image_that_a_list_has_is_found_by_its_name() {
    let harness = Harness::new().await;
    let own = harness
        .post(Who::Member, "/v2/images", json!({"name": "x"}))
        .await
        .text("/id");
    let mut open = Vec::new();
    for visibility in ["public", "community"] {
        let body = json!({"name": "x", "visibility": visibility});
        open.push(
            harness
                .post(Who::Admin, "/v2/images", body)
                .await
                .text("/id"),
        );
    }
    let shared = accepted(&harness, json!({"name": "x"})).await;
    for i in 0..40 {
        accepted(&harness, json!({"name": format!("other-{i}")})).await;
    }
    let by = |query: &'static str| harness.listed(Who::Member, query);
    let [public, community] = open.try_into().unwrap();
    assert_eq!(by("?name=x").await, [&*shared, &public, &own]);
    assert_eq!(
        by("?name=x&visibility=all").await,
        [&*shared, &community, &public, &own]
    );
    assert_eq!(by("?name=x&visibility=community").await, [&*community]);
    assert_eq!(by("?name=x&visibility=public").await, [&*public]);
    assert_eq!(by("?name=x&visibility=shared").await, [&*shared, &own]);
    assert_eq!(by("?name=x&owner=nobody").await.len(), 0);
    assert_eq!(
        by("?name=in:other-3,x&sort=name:asc&limit=2").await.len(),
        2
    );
    assert_eq!(by("?name=in:other-3,none").await.len(), 1);
    assert_eq!(by("?name=in:other-3,other-3").await.len(), 1);
    assert!(by("?name=X").await.is_empty() && by("?name=").await.is_empty());
    // Pages of one name.
    assert_eq!(by("?name=x&limit=2").await, [&*shared, &public]);
    let next = format!("?name=x&limit=2&marker={public}");
    assert_eq!(harness.listed(Who::Member, &next).await, [&*own]);
    // An admin finds images of any project.
    let found = harness.listed(Who::Admin, "?name=other-7").await;
    assert_eq!(found.len(), 1);

    let by_id = format!("?id={shared}");
    assert_eq!(harness.listed(Who::Member, &by_id).await, [&*shared]);
    assert!(harness.listed(Who::Third, &by_id).await.is_empty());
    let several = format!("?id=in:{own},{community},{shared},{public},nothing");
    assert_eq!(
        harness.listed(Who::Member, &several).await,
        [&*shared, &public, &own]
    );
    assert_eq!(
        harness
            .listed(Who::Member, &format!("{several}&visibility=all&limit=2"))
            .await,
        [&*shared, &community]
    );
}

/// Only an accepted image is found by its name, unless other statuses are asked for; and a rename
/// holds for the owner and for every member at once.
#[tokio::test]
async fn a_name_leads_to_what_is_accepted_and_follows_renames() {
    let harness = Harness::new().await;
    let image = harness.image(json!({"name": "old"})).await;
    let path = format!("/v2/images/{image}");
    harness.share(&image, MEMBER).await.expect(200);
    let by = |query: &'static str| harness.listed(Who::Member, query);
    assert!(by("?name=old").await.is_empty());
    assert_eq!(by("?name=old&member_status=pending").await, [&*image]);
    for status in ["accepted", "rejected", "pending", "accepted"] {
        harness
            .answer(Who::Member, &image, MEMBER, status)
            .await
            .expect(200);
        assert_eq!(
            by("?name=old").await.len(),
            usize::from(status == "accepted")
        );
        assert_eq!(by("?name=old&member_status=all").await, [&*image]);
    }
    harness
        .patch(Who::Owner, &path, renamed("new"))
        .await
        .expect(200);
    assert!(by("?name=old").await.is_empty());
    assert_eq!(by("?name=new").await, [&*image]);
    assert_eq!(harness.listed(Who::Owner, "?name=new").await, [&*image]);
    assert!(harness.listed(Who::Owner, "?name=old").await.is_empty());
    // A share and an answer after the rename, on what an instance knew before.
    harness.share(&image, "another").await.expect(200);
    harness.set_visibility(Who::Owner, &image, "private").await;
    assert!(by("?name=new").await.is_empty());
    // While it is not shared, the member cannot see it, but a new name and the answer stay.
    harness
        .patch(Who::Owner, &path, renamed("newer"))
        .await
        .expect(200);
    harness.set_visibility(Who::Owner, &image, "shared").await;
    assert_eq!(by("?name=newer").await, [&*image]);
    let row = format!("{path}/members/{MEMBER}");
    harness.delete(Who::Owner, &row).await.expect(204);
    assert!(by("?name=newer").await.is_empty());
    harness.delete(Who::Owner, &path).await.expect(204);
    assert!(harness.listed(Who::Owner, "?name=newer").await.is_empty());
}

/// A member's list shows an image as it is after every kind of change, without reading it.
#[tokio::test]
async fn a_members_list_shows_the_image_as_it_is() {
    let harness = Harness::new().await;
    let image = accepted(&harness, json!({"name": "n", "tags": ["a"]})).await;
    let path = format!("/v2/images/{image}");
    let shown = async || {
        let list = harness.get(Who::Member, "/v2/images").await.expect(200);
        let list = list.json()["images"][0].clone();
        let image = harness.get(Who::Member, &path).await.expect(200).json();
        assert_eq!(list, image);
        image
    };
    shown().await;
    let change = json!([
        {"op": "replace", "path": "/min_ram", "value": 7},
        {"op": "add", "path": "/os_distro", "value": "debian"},
    ]);
    harness.patch(Who::Owner, &path, change).await.expect(200);
    assert_eq!(shown().await["os_distro"], "debian");
    let tag = format!("{path}/tags/b");
    harness
        .send(Who::Owner, "PUT", &tag, None)
        .await
        .expect(204);
    assert_eq!(shown().await["tags"], json!(["a", "b"]));
    assert_eq!(harness.listed(Who::Member, "?tag=b").await, [&*image]);
    // One that is too large for a membership is read from the table.
    let long = json!([{"op": "add", "path": "/long", "value": "x".repeat(900)}]);
    harness.patch(Who::Owner, &path, long).await.expect(200);
    assert_eq!(shown().await["long"].as_str().unwrap().len(), 900);
    let list = async { harness.get(Who::Member, "/v2/images").await.expect(200) };
    let spent = requests(&harness, list).await;
    assert_eq!(spent.get("BatchGetItem"), Some(&1));
    // And so is one whose texts have an item of their own.
    let longer = json!([{"op": "add", "path": "/long", "value": "x".repeat(9000)}]);
    harness.patch(Who::Owner, &path, longer).await.expect(200);
    assert_eq!(shown().await["long"].as_str().unwrap().len(), 9000);
    let short = json!([{"op": "remove", "path": "/long"}]);
    harness.patch(Who::Owner, &path, short).await.expect(200);
    shown().await;
    let list = async { harness.get(Who::Member, "/v2/images").await.expect(200) };
    assert_eq!(requests(&harness, list).await.get("BatchGetItem"), None);
}

/// Thousands of images of one name that others offer do not make a member's search slow.
#[tokio::test]
async fn images_that_others_offer_under_a_name_are_in_nobodys_way() {
    let harness = Harness::new().await;
    let image = accepted(&harness, json!({"name": "debian"})).await;
    let search = async || {
        let search = async {
            let found = harness.listed(Who::Member, "?name=debian").await;
            assert_eq!(found, [&*image]);
        };
        requests(&harness, search).await
    };
    let before = search().await;
    for _ in 0..60 {
        let body = json!({"name": "debian"});
        let offered = harness
            .post(Who::Third, "/v2/images", body)
            .await
            .text("/id");
        let members = format!("/v2/images/{offered}/members");
        let body = json!({"member": MEMBER});
        harness.post(Who::Third, &members, body).await.expect(200);
    }
    assert_eq!(search().await, before);
    // Nor do the images of that name which their owner has.
    assert_eq!(
        harness
            .listed(Who::Third, "?name=debian&limit=1000")
            .await
            .len(),
        60
    );
    let path = format!("/v2/images?name=debian&owner={OWNER}");
    harness.get(Who::Member, &path).await.expect(200);
}
