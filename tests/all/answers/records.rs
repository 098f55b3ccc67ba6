//! Image records: creation, patches, tags and actions, and who may do them.

use serde_json::{Value, json};

use crate::harness::{Harness, HttpResponse, MEMBER, OWNER, THIRD, Who};

const JSON: [(&str, &str); 1] = [("accept", "application/json")];

async fn send(harness: &Harness, who: Who, method: &str, path: &str) -> HttpResponse {
    harness.send_with(who, method, path, &JSON, None).await
}

async fn patch(harness: &Harness, who: Who, image: &str, changes: Value) -> (u16, String) {
    let headers = [
        JSON[0],
        (
            "content-type",
            "application/openstack-images-v2.1-json-patch",
        ),
    ];
    let body = changes.to_string().into_bytes();
    let path = format!("/v2/images/{image}");
    let answer = harness.send_with(who, "PATCH", &path, &headers, Some(body));
    outcome(&answer.await)
}

async fn create(harness: &Harness, who: Who, body: Value) -> (u16, String) {
    let body = body.to_string().into_bytes();
    let answer = harness.send_with(who, "POST", "/v2/images", &JSON, Some(body));
    outcome(&answer.await)
}

/// The status, and the message of an error.
fn outcome(answer: &HttpResponse) -> (u16, String) {
    match answer.status {
        200..300 => (answer.status, String::new()),
        status => (status, answer.text("/message")),
    }
}

fn said(status: u16, words: &str) -> (u16, String) {
    (status, words.to_owned())
}

/// Creates an active image of the owner that is shared with the member.
async fn active(harness: &Harness) -> String {
    let body = json!({"owner": OWNER, "status": "active", "disk_format": "raw", "tags": ["x"]});
    let created = harness.post(Who::Admin, "/v2/images", body).await;
    let image = created.expect(201).text("/id");
    harness.share(&image, MEMBER).await.expect(200);
    image
}

#[tokio::test]
async fn a_tag_is_put_and_taken_off() {
    let harness = Harness::new().await;
    let image = active(&harness).await;
    let tag = |name: &str| format!("/v2/images/{image}/tags/{name}");
    for (who, method, name, status) in [
        (Who::Owner, "PUT", "new", 204),
        (Who::Owner, "PUT", "new", 204),
        (Who::Admin, "PUT", "%C3%A9", 204),
        (Who::Owner, "DELETE", "x", 204),
        (Who::Owner, "DELETE", "x", 404),
        (Who::Member, "PUT", "m", 403),
        (Who::Member, "DELETE", "new", 403),
        (Who::OwnerReader, "PUT", "m", 403),
        (Who::Third, "PUT", "m", 404),
        (Who::NoToken, "PUT", "m", 401),
        (Who::Owner, "GET", "new", 405),
        (Who::Owner, "PUT", "", 404),
    ] {
        let answer = send(&harness, who, method, &tag(name)).await;
        assert_eq!(answer.status, status, "{who:?} {method} {name}");
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("PUT, DELETE"));
        }
    }
    let shown = send(&harness, Who::Owner, "GET", &format!("/v2/images/{image}")).await;
    assert_eq!(shown.json()["tags"], json!(["new", "é"]));
    let hidden = send(&harness, Who::Third, "PUT", &tag("m")).await;
    assert_eq!(hidden.text("/message"), format!("Image {image} not found."));
    let body = Some(b"x".to_vec());
    let path = tag("m");
    let with_body = harness.send_with(Who::Third, "PUT", &path, &JSON, body);
    with_body.await.expect(400);
    // The length of a tag is checked before the image is looked up.
    let long = tag(&"x".repeat(256));
    send(&harness, Who::Third, "PUT", &long).await.expect(400);
    send(&harness, Who::Owner, "DELETE", &long)
        .await
        .expect(404);
    for number in 2..128 {
        let path = tag(&format!("t{number}"));
        send(&harness, Who::Owner, "PUT", &path).await.expect(204);
    }
    let full = send(&harness, Who::Owner, "PUT", &tag("more"))
        .await
        .expect(413);
    assert_eq!(
        full.text("/message"),
        format!(
            "Image tag limit exceeded for image {image}: The limit has been exceeded on the number \
             of allowed image tags. Attempted: 129, Maximum: 128:"
        )
    );
}

/// Tags that several clients add at once are all kept.
#[tokio::test]
async fn no_tag_is_lost_to_another() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let paths: Vec<String> = (0..8)
        .map(|number| format!("/v2/images/{image}/tags/t{number}"))
        .collect();
    let puts = paths
        .iter()
        .map(|path| send(&harness, Who::Owner, "PUT", path));
    for answer in futures::future::join_all(puts).await {
        answer.expect(204);
    }
    let shown = send(&harness, Who::Owner, "GET", &format!("/v2/images/{image}")).await;
    assert_eq!(shown.json()["tags"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn an_active_image_is_deactivated_and_reactivated() {
    let harness = Harness::new().await;
    let image = active(&harness).await;
    let queued = harness.image(json!({})).await;
    for (who, action, status, then) in [
        (Who::Member, "deactivate", 403, "active"),
        (Who::OwnerReader, "deactivate", 403, "active"),
        (Who::Third, "deactivate", 404, "active"),
        (Who::Owner, "reactivate", 204, "active"),
        (Who::Owner, "deactivate", 204, "deactivated"),
        (Who::Owner, "deactivate", 204, "deactivated"),
        (Who::Member, "reactivate", 403, "deactivated"),
        (Who::Admin, "reactivate", 204, "active"),
        (Who::Owner, "bogus", 404, "active"),
    ] {
        let path = format!("/v2/images/{image}/actions/{action}");
        let answer = send(&harness, who, "POST", &path).await;
        assert_eq!(answer.status, status, "{who:?} {action}: {}", answer.body);
        let shown = send(&harness, Who::Owner, "GET", &format!("/v2/images/{image}")).await;
        assert_eq!(shown.text("/status"), then, "{who:?} {action}");
    }
    for action in ["deactivate", "reactivate"] {
        let path = format!("/v2/images/{queued}/actions/{action}");
        let refused = send(&harness, Who::Owner, "POST", &path).await;
        let words = format!("Not allowed to {action} image in status 'queued'");
        assert_eq!(outcome(&refused), (403, words));
        let refused = send(&harness, Who::Owner, "GET", &path).await.expect(405);
        assert_eq!(refused.header("allow"), Some("POST"));
        let path = format!("/v2/images/{image}/actions/{action}");
        let refused = send(&harness, Who::Member, "POST", &path).await;
        let words = format!("You are not authorized to complete {action} action.");
        assert_eq!(outcome(&refused), (403, words));
    }
}

#[tokio::test]
async fn formats_change_while_an_image_is_queued_only() {
    let harness = Harness::new().await;
    let image = active(&harness).await;
    for who in [Who::Owner, Who::Admin] {
        for name in ["disk_format", "container_format"] {
            for op in ["replace", "add"] {
                let value = if name == "disk_format" { "raw" } else { "bare" };
                let change = json!([{"op": op, "path": format!("/{name}"), "value": value}]);
                let words = format!("Attribute {name} can be only replaced for a queued image.");
                assert_eq!(patch(&harness, who, &image, change).await, (403, words));
            }
        }
    }
    let queued = harness.image(json!({})).await;
    let both = json!([
        {"op": "replace", "path": "/disk_format", "value": "qcow2"},
        {"op": "replace", "path": "/status", "value": "active"},
    ]);
    assert_eq!(
        patch(&harness, Who::Admin, &queued, both.clone()).await.0,
        200
    );
    assert_eq!(patch(&harness, Who::Admin, &queued, both).await.0, 403);
}

#[tokio::test]
async fn names_that_are_kept_are_refused_in_the_words_of_each_call() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for name in [
        "properties",
        "location",
        "deleted",
        "deleted_at",
        "os_glance_x",
    ] {
        let reserved = format!("Attribute '{name}' is reserved.");
        let denied = format!("Access was denied to this resource. {reserved}");
        for who in [Who::Owner, Who::Admin] {
            assert_eq!(
                create(&harness, who, json!({name: "v"})).await,
                (403, denied.clone())
            );
            for op in ["add", "replace", "remove"] {
                let change = json!([{"op": op, "path": format!("/{name}"), "value": "v"}]);
                assert_eq!(
                    patch(&harness, who, &image, change).await,
                    (403, reserved.clone())
                );
            }
        }
    }
    assert_eq!(
        create(&harness, Who::Owner, json!({"locations": []})).await,
        said(403, "Attribute 'locations' is reserved.")
    );
    // The creation time is part of index keys, so nobody may change it.
    let change = json!([{"op": "replace", "path": "/created_at", "value": "2020-01-01T00:00:00Z"}]);
    for who in [Who::Owner, Who::Admin] {
        assert_eq!(
            patch(&harness, who, &image, change.clone()).await,
            said(403, "Attribute 'created_at' is read-only.")
        );
    }
    let made = json!({"created_at": "2020-01-01T00:00:00Z"});
    assert_eq!(create(&harness, Who::Admin, made.clone()).await.0, 201);
    assert_eq!(
        create(&harness, Who::Owner, made).await,
        said(403, "Attribute 'created_at' is read-only.")
    );
    for unreadable in ["0000-01-01T00:00:00+23:00", "9999-12-31T23:59:59-01:00"] {
        let made = json!({"created_at": unreadable});
        assert_eq!(
            create(&harness, Who::Admin, made).await.0,
            400,
            "{unreadable}"
        );
    }
}

#[tokio::test]
async fn what_others_may_not_say_of_a_new_image_is_refused_or_ignored_as_in_glance() {
    let harness = Harness::new().await;
    let hashed = json!({"os_hash_algo": "sha512", "os_hash_value": "abc"});
    let mine = harness.post(Who::Owner, "/v2/images", hashed.clone()).await;
    assert_eq!(mine.expect(201).json()["os_hash_algo"], Value::Null);
    let theirs = harness.post(Who::Admin, "/v2/images", hashed).await;
    assert_eq!(theirs.expect(201).text("/os_hash_value"), "abc");
    let foreign = |owner: &str| {
        format!(
            "Access was denied to this resource. You are not permitted to create images owned by \
             '{owner}'"
        )
    };
    let add = "You are not authorized to complete add_image action.";
    let publish = "You are not authorized to complete publicize_image action.";
    for (who, body, expected) in [
        (Who::Owner, json!({"owner": THIRD}), (403, foreign(THIRD))),
        (Who::Owner, json!({"owner": ""}), (403, foreign(""))),
        (Who::Owner, json!({"owner": null}), (403, foreign("None"))),
        (
            Who::OwnerReader,
            json!({"owner": THIRD}),
            (403, foreign(THIRD)),
        ),
        (
            Who::OwnerReader,
            json!({"status": "active"}),
            said(403, add),
        ),
        (Who::OwnerNoRole, json!({}), said(403, add)),
        (
            Who::Owner,
            json!({"owner": THIRD, "visibility": "public", "status": "active"}),
            (403, foreign(THIRD)),
        ),
        (
            Who::Owner,
            json!({"visibility": "public", "status": "active"}),
            said(403, publish),
        ),
        (
            Who::Owner,
            json!({"status": "active", "location": "x"}),
            said(
                403,
                "Access was denied to this resource. Attribute 'location' is reserved.",
            ),
        ),
        (
            Who::Owner,
            json!({"min_disk": -1}),
            said(
                400,
                "Invalid value '-1' for parameter 'min_disk': Cannot be a negative value",
            ),
        ),
        (
            Who::Owner,
            json!({"min_ram": 2_147_483_648_u64}),
            said(
                400,
                "'min_ram' value out of range, must not exceed 2147483647.",
            ),
        ),
        (Who::Owner, json!({"min_disk": 10.0}), said(201, "")),
        (
            Who::Owner,
            json!({"image_id": "v", "": "v", " ": "w"}),
            said(201, ""),
        ),
    ] {
        assert_eq!(
            create(&harness, who, body.clone()).await,
            expected,
            "{who:?} {body}"
        );
    }
}

#[tokio::test]
async fn a_pointer_names_what_it_names_in_glance() {
    let harness = Harness::new().await;
    let image = harness.image(json!({"": "empty"})).await;
    let conflict = |name: &str| {
        (
            409,
            format!(
                "There was a conflict when trying to complete your request. Property {name} does \
                 not exist."
            ),
        )
    };
    for (op, path, expected) in [
        ("replace", "/", said(200, "")),
        ("remove", "/ ", said(200, "")),
        ("remove", "/", conflict("")),
        ("add", "//x", said(200, "")),
        ("remove", "/ x ", said(200, "")),
        ("remove", "/x", conflict("x")),
        ("add", "/stores", said(200, "")),
        ("replace", "/stores", said(200, "")),
        ("remove", "/stores", said(200, "")),
        ("replace", "/stores", conflict("stores")),
        ("add", "/image_id", said(404, "No image found with ID v")),
        (
            "replace",
            "/image_id",
            said(404, "No image found with ID v"),
        ),
        (
            "remove",
            "/image_id",
            said(
                403,
                "Access was denied to this resource. Property image_id may not be removed.",
            ),
        ),
        (
            "remove",
            &format!("/{}", "x".repeat(256)),
            conflict(&"x".repeat(256)),
        ),
        ("add", "//", said(400, "Pointer `//` end with \"/\".")),
        (
            "add",
            "/x//y",
            said(400, "Pointer `/x//y` contains adjacent \"/\"."),
        ),
        (
            "add",
            "///x",
            said(400, "Pointer `///x` contains adjacent \"/\"."),
        ),
        (
            "add",
            "/  /x",
            said(400, "Invalid JSON pointer for this resource: '//x'"),
        ),
        (
            "add",
            "/tags/-",
            said(400, "Invalid JSON pointer for this resource: '/tags/-'"),
        ),
        (
            "remove",
            "/locations",
            said(400, "Invalid JSON pointer for this resource: '/locations'"),
        ),
        (
            "add",
            "x",
            said(400, "Pointer `x` does not start with \"/\"."),
        ),
        (
            "add",
            "/~2",
            said(
                400,
                "Pointer `/~2` contains \"~\" not part of a recognized escape sequence.",
            ),
        ),
    ] {
        let change = json!([{"op": op, "path": path, "value": "v"}]);
        let found = patch(&harness, Who::Owner, &image, change).await;
        let expected = (expected.0, expected.1.replace("  ", " "));
        assert_eq!(
            (found.0, found.1.replace("  ", " ")),
            expected,
            "{op} {path}"
        );
    }
    // Changes are checked in their order.
    let first = json!([
        {"op": "replace", "path": "/nothing", "value": "v"},
        {"op": "replace", "path": "/visibility", "value": "public"},
    ]);
    assert_eq!(patch(&harness, Who::Owner, &image, first).await.0, 409);
    let same = json!([{"op": "add", "path": "/owner", "value": OWNER}]);
    assert_eq!(patch(&harness, Who::Owner, &image, same).await.0, 200);
    let other = json!([{"op": "add", "path": "/owner", "value": THIRD}]);
    assert_eq!(patch(&harness, Who::Owner, &image, other).await.0, 403);
}

/// A token without a role is refused before the image is looked up, in general terms; only the
/// refusal of members of an image that cannot have any comes first.
#[tokio::test]
async fn without_a_role_words_are_glances() {
    let harness = Harness::new().await;
    let general = said(404, "The resource could not be found.");
    for visibility in ["shared", "private", "community"] {
        let image = harness.image(json!({"visibility": visibility})).await;
        let path = format!("/v2/images/{image}");
        for (method, path) in [
            ("GET", path.clone()),
            ("DELETE", path.clone()),
            ("PUT", format!("{path}/tags/x")),
            ("POST", format!("{path}/actions/deactivate")),
            ("GET", format!("{path}/tasks")),
        ] {
            let answer = send(&harness, Who::OwnerNoRole, method, &path).await;
            assert_eq!(outcome(&answer), general, "{visibility} {method} {path}");
        }
        let members = format!("{path}/members");
        let answer = send(&harness, Who::OwnerNoRole, "GET", &members).await;
        let words = format!(
            "Not allowed to list members for image {image}: Only shared images have members."
        );
        let expected = match visibility {
            "shared" => general.clone(),
            _ => (403, words),
        };
        assert_eq!(outcome(&answer), expected, "{visibility}");
        let absent = "/v2/images/00000000-0000-4000-8000-000000000000";
        let answer = send(&harness, Who::OwnerNoRole, "GET", absent).await;
        let words = "No image found with ID 00000000-0000-4000-8000-000000000000";
        assert_eq!(outcome(&answer), said(404, words));
    }
}
