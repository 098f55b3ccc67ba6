//! The JSON schemas that Glance 33 serves. Clients validate answers against them, and an image's
//! properties are checked against them.
//!
//! The sentences about a mismatch are Glance's: clients print them.

mod check;
pub(crate) mod python;

use std::sync::LazyLock;

use serde_json::{Value, json};

pub use check::{check_image, check_image_property, check_object};

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

static IMAGE: LazyLock<Value> = LazyLock::new(|| parse(include_str!("documents/image.json")));
static MEMBER: LazyLock<Value> = LazyLock::new(|| parse(include_str!("documents/member.json")));
static TASK: LazyLock<Value> = LazyLock::new(|| parse(include_str!("documents/task.json")));

/// A task as it is in a list.
static LISTED_TASK: LazyLock<Value> = LazyLock::new(|| {
    let mut task = TASK.clone();
    let properties = task.get_mut("properties").and_then(Value::as_object_mut);
    if let Some(properties) = properties {
        properties.retain(|name, _| !matches!(name.as_str(), "input" | "message" | "result"));
    }
    task
});

/// The schema document of that name: `image`, `member`, `task` or the plural of one of them.
pub fn document(name: &str) -> Option<Value> {
    match name {
        "image" => Some(IMAGE.clone()),
        "member" => Some(MEMBER.clone()),
        "task" => Some(TASK.clone()),
        "images" => Some(paged("images", &IMAGE)),
        "members" => Some(collection("members", &MEMBER)),
        "tasks" => Some(collection("tasks", &LISTED_TASK)),
        _ => None,
    }
}

/// The schema of a list.
fn collection(name: &str, item: &Value) -> Value {
    json!({
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "schema": {"type": "string"},
        },
        "links": [{"rel": "describedby", "href": "{schema}"}],
    })
}

/// The schema of a list that comes in pages.
fn paged(name: &str, item: &Value) -> Value {
    json!({
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}
