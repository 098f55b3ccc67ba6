//! Answers against JSON schemas: those that the service serves, and any other.

use jsonschema::Draft;
use serde_json::{Value, json};

use crate::harness::{Harness, MEMBER, MEMBER2, Who};

/// What a schema says against an instance; nothing if the instance is valid. A schema that names no
/// draft is one of 2020-12, as in OpenAPI 3.1.
pub fn validate(schema: &Value, instance: &Value) -> Vec<String> {
    violations(jsonschema::validator_for(schema), instance)
}

/// The same, by a schema within a document whose schemas refer to each other, such as
/// `/components/schemas/Image`.
pub fn validate_at(document: &Value, pointer: &str, instance: &Value) -> Vec<String> {
    assert!(document.pointer(pointer).is_some(), "no {pointer}");
    let mut schema = document.clone();
    schema["$ref"] = json!(format!("#{pointer}"));
    validate(&schema, instance)
}

/// The same, by a schema that Glance's clients read: they take it for one of draft 4.
fn validate_as_client(schema: &Value, instance: &Value) -> Vec<String> {
    let draft4 = jsonschema::options().with_draft(Draft::Draft4);
    violations(draft4.build(schema), instance)
}

fn violations(
    validator: Result<jsonschema::Validator, jsonschema::ValidationError<'_>>,
    instance: &Value,
) -> Vec<String> {
    let validator = validator.unwrap_or_else(|error| panic!("no schema: {error}"));
    validator
        .iter_errors(instance)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn violations_are_told_with_their_place() {
    let document = json!({"components": {"schemas": {
        "Name": {"type": "string", "maxLength": 3},
        "Named": {
            "type": "object",
            "properties": {"name": {"$ref": "#/components/schemas/Name"}},
            "required": ["name"],
            "additionalProperties": false,
        },
    }}});
    let check = |instance| validate_at(&document, "/components/schemas/Named", &instance);
    assert_eq!(check(json!({"name": "abc"})), [""; 0]);
    let long = check(json!({"name": "abcd"}));
    assert!(
        long.len() == 1 && long[0].starts_with("/name: "),
        "{long:?}"
    );
    for bad in [json!({}), json!([]), json!({"name": "a", "more": 1})] {
        assert_eq!(check(bad.clone()).len(), 1, "{bad}");
    }
}

async fn schema(harness: &Harness, name: &str) -> Value {
    let path = format!("/v2/schemas/{name}");
    harness.get(Who::Owner, &path).await.expect(200).json()
}

#[tokio::test]
async fn answers_are_valid_by_the_schemas_that_are_served() {
    let harness = Harness::new().await;
    let full = json!({
        "name": "full", "disk_format": "qcow2", "container_format": "bare", "min_disk": 1,
        "min_ram": 2, "protected": false, "tags": ["a", "ü"], "os_hidden": false,
        "visibility": "shared", "os_distro": "debian", "custom": "text",
    });
    let image = harness.image(full).await;
    let bare = harness.image(json!({})).await;
    for member in [MEMBER, MEMBER2] {
        harness.share(&image, member).await.expect(200);
    }
    harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    let members = format!("/v2/images/{image}/members");
    for (name, path) in [
        ("image", format!("/v2/images/{image}")),
        ("image", format!("/v2/images/{bare}")),
        ("images", "/v2/images".to_owned()),
        ("images", "/v2/images?limit=1".to_owned()),
        ("member", format!("{members}/{MEMBER}")),
        ("members", members.clone()),
        ("members", format!("/v2/images/{bare}/members")),
    ] {
        let schema = schema(&harness, name).await;
        let answer = harness.get(Who::Owner, &path).await.expect(200).json();
        assert_eq!(validate_as_client(&schema, &answer), [""; 0], "{path}");
        // By a newer draft it says the same.
        assert_eq!(validate(&schema, &answer), [""; 0], "{path}");
    }
    let tasks = harness
        .get(Who::Admin, "/v2/tasks")
        .await
        .expect(200)
        .json();
    let by = schema(&harness, "tasks").await;
    assert_eq!(validate_as_client(&by, &tasks), [""; 0]);
}

#[tokio::test]
async fn the_schemas_that_are_served_refuse_what_is_no_answer() {
    let harness = Harness::new().await;
    let id = "00000000-0000-4000-8000-000000000000";
    for (name, good, bad) in [
        ("image", json!({"id": id}), json!({"id": "x"})),
        ("image", json!({"a": "text"}), json!({"a": 1})),
        (
            "image",
            json!({"visibility": "public"}),
            json!({"visibility": "x"}),
        ),
        (
            "images",
            json!({"images": [{"id": id}]}),
            json!({"images": [{"id": "x"}]}),
        ),
        (
            "member",
            json!({"status": "pending"}),
            json!({"status": "x"}),
        ),
        (
            "members",
            json!({"members": []}),
            json!({"members": [{"image_id": "x"}]}),
        ),
    ] {
        let schema = schema(&harness, name).await;
        assert_eq!(
            validate_as_client(&schema, &good),
            [""; 0],
            "{name}: {good}"
        );
        assert_eq!(validate_as_client(&schema, &bad).len(), 1, "{name}: {bad}");
    }
}
