//! Refusals of a PATCH: operations, locations and visibilities.

use serde_json::{Value, json};

use crate::harness::{Harness, MEMBER, Who};

/// The expected status and message; the message is empty for an image.
async fn patch(harness: &Harness, who: Who, image: &str, change: Value) -> (u16, String) {
    let headers = [
        ("accept", "application/json"),
        (
            "content-type",
            "application/openstack-images-v2.1-json-patch",
        ),
    ];
    let body = json!([change]).to_string().into_bytes();
    let path = format!("/v2/images/{image}");
    let answer = harness.send_with(who, "PATCH", &path, &headers, Some(body));
    let answer = answer.await;
    let message = answer.json()["message"].as_str().map(str::to_owned);
    (answer.status, message.unwrap_or_default())
}

#[tokio::test]
async fn an_operation_that_is_no_word_is_named() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for (op, shown) in [
        (json!("move"), "move"),
        (json!(""), ""),
        (json!(5), "5"),
        (json!(true), "True"),
        (json!(1.5), "1.5"),
        (json!(["x"]), "['x']"),
        (json!({"a": "b'c", "d": null}), "{'a': \"b'c\", 'd': None}"),
    ] {
        let change = json!({"op": op, "path": "/name", "value": "x"});
        let words = format!(
            "Invalid operation: `{shown}`. It must be one of the following: add, remove, replace."
        );
        let refused = patch(&harness, Who::Owner, &image, change).await;
        assert_eq!(refused, (400, words));
    }
}

const SET: &str = "You are not authorized to complete set_image_location action.";
const DELETE: &str = "You are not authorized to complete delete_image_location action.";
const EMPTY: &str = "Access was denied to this resource. Cannot set locations to empty list.";

/// Locations are neither shown nor changed, and the refusal is Glance's.
#[tokio::test]
async fn locations_are_refused_as_where_glance_does_not_show_them() {
    let harness = Harness::new().await;
    let image = harness.image(json!({"visibility": "community"})).await;
    let absent = "00000000-0000-4000-8000-00000000abcd";
    let one = json!({"url": "http://x/", "metadata": {}});
    let replace = json!({"op": "replace", "path": "/locations", "value": [one]});
    let clear = json!({"op": "replace", "path": "/locations", "value": []});
    let add = json!({"op": "add", "path": "/locations/0", "value": one});
    let remove = json!({"op": "remove", "path": "/locations/-"});
    let invisible =
        |verb: &str| format!("It's not allowed to {verb} locations if locations are invisible.");
    for (who, change, words) in [
        (Who::Owner, &replace, invisible("update")),
        (Who::Owner, &add, invisible("add")),
        (Who::Owner, &remove, DELETE.to_owned()),
        (Who::Owner, &clear, EMPTY.to_owned()),
        (Who::Admin, &replace, invisible("update")),
        (Who::Admin, &add, invisible("add")),
        (Who::Admin, &remove, invisible("remove")),
        (Who::Member, &replace, SET.to_owned()),
        (Who::Member, &add, SET.to_owned()),
        (Who::Member, &remove, DELETE.to_owned()),
        (Who::OwnerReader, &add, SET.to_owned()),
        (Who::Third, &clear, EMPTY.to_owned()),
    ] {
        let refused = patch(&harness, who, &image, change.clone()).await;
        assert_eq!(refused, (403, words), "{who:?} {change}");
    }
    for change in [&replace, &clear, &add, &remove] {
        let refused = patch(&harness, Who::Owner, absent, change.clone()).await;
        let words = format!("No image found with ID {absent}");
        assert_eq!(refused, (404, words), "{change}");
    }
    for (op, path) in [
        ("add", "/locations"),
        ("remove", "/locations"),
        ("replace", "/locations/0"),
        ("add", "/locations/0/x"),
        ("add", "/tags/0"),
    ] {
        let change = json!({"op": op, "path": path, "value": one});
        let words = format!("Invalid JSON pointer for this resource: '{path}'");
        let refused = patch(&harness, Who::Owner, &image, change).await;
        assert_eq!(refused, (400, words));
    }
}

/// Locations are checked against the schema before the image is looked up.
#[tokio::test]
async fn locations_that_do_not_match_the_schema_are_named() {
    let harness = Harness::new().await;
    let absent = "00000000-0000-4000-8000-00000000abcd";
    let with = |name: &str, value: Value| {
        let mut one = json!({"url": "u", "metadata": {}});
        one[name] = value;
        json!([one])
    };
    let hash = json!({"os_hash_algo": "a", "os_hash_value": "b"});
    let mut more = hash.clone();
    more["x"] = json!(1);
    let mut short = hash.clone();
    short["checksum"] = json!("short");
    let checks = "['locations'][0]['validation_data']";
    for (value, problem, on) in [
        (json!("x"), "'x' is not of type 'array'", "['locations']"),
        (
            json!(["x"]),
            "'x' is not of type 'object'",
            "['locations'][0]",
        ),
        (
            json!([{}, {"a": 1}]),
            "'url' is a required property",
            "['locations'][1]",
        ),
        (
            json!([{"url": "u"}]),
            "'metadata' is a required property",
            "['locations'][0]",
        ),
        (
            with("url", json!(5)),
            "5 is not of type 'string'",
            "['locations'][0]['url']",
        ),
        (
            with("validation_data", json!({})),
            "'os_hash_algo' is a required property",
            checks,
        ),
        (
            with("validation_data", more),
            "Additional properties are not allowed ('x' was unexpected)",
            checks,
        ),
        (
            with("validation_data", short),
            "'short' is too short",
            "['locations'][0]['validation_data']['checksum']",
        ),
    ] {
        let change = json!({"op": "replace", "path": "/locations", "value": value});
        let (status, words) = patch(&harness, Who::Owner, absent, change).await;
        let start = format!("Provided object does not match schema 'image': {problem}\n\nFailed");
        assert_eq!(status, 400, "{value}");
        assert!(words.starts_with(&start), "{value}: {words}");
        assert!(words.contains(&format!("On instance{on}:\n")), "{words}");
    }
    let change = json!({"op": "add", "path": "/locations/0", "value": 5});
    let (status, words) = patch(&harness, Who::Owner, absent, change).await;
    assert_eq!(status, 400);
    assert!(words.contains("On instance['locations'][0]:\n"), "{words}");
    let good =
        json!({"op": "replace", "path": "/locations", "value": with("validation_data", hash)});
    assert_eq!(patch(&harness, Who::Owner, absent, good).await.0, 404);
}

/// The visibility has a policy of its own, which is checked before that of other changes.
#[tokio::test]
async fn who_may_not_give_a_visibility_is_told_the_policy_of_it() {
    let harness = Harness::new().await;
    let community = harness.image(json!({"visibility": "community"})).await;
    let shared = harness.image(json!({})).await;
    harness.share(&shared, MEMBER).await.expect(200);
    for (who, image, visibility, policy) in [
        (Who::Member, &community, "community", "communitize_image"),
        (Who::Member, &community, "public", "publicize_image"),
        (Who::Member, &community, "private", "modify_image"),
        (Who::Member, &shared, "community", "communitize_image"),
        (Who::Third, &community, "community", "communitize_image"),
        (
            Who::OwnerReader,
            &community,
            "community",
            "communitize_image",
        ),
        (Who::Owner, &community, "public", "publicize_image"),
    ] {
        let change = json!({"op": "replace", "path": "/visibility", "value": visibility});
        let refused = patch(&harness, who, image, change).await;
        let words = format!("You are not authorized to complete {policy} action.");
        assert_eq!(refused, (403, words), "{who:?} {visibility}");
    }
    let change = json!({"op": "replace", "path": "/visibility", "value": "community"});
    assert_eq!(patch(&harness, Who::Owner, &shared, change).await.0, 200);
}
