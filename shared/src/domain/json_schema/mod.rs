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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_describes_one_thing_or_a_list_of_it() {
        for (name, of) in [("image", "id"), ("member", "member_id"), ("task", "input")] {
            let one = document(name).unwrap();
            assert_eq!(one["name"], name);
            assert!(one["properties"][of].is_object(), "{name}");
            let plural = format!("{name}s");
            let list = document(&plural).unwrap();
            assert_eq!(list["name"], plural);
            let items = &list["properties"][&plural]["items"];
            assert_eq!(items["name"], name);
            // Only images come in pages.
            let paged = name == "image";
            assert_eq!(list["properties"]["next"].is_object(), paged, "{name}");
            assert_eq!(
                list["links"].as_array().map(Vec::len),
                Some(if paged { 3 } else { 1 })
            );
            // A task says less in a list.
            assert_eq!(*items == one, name != "task", "{name}");
        }
        for name in ["", "Image", "metadefs", "imagess"] {
            assert_eq!(document(name), None, "{name}");
        }
        let listed = document("tasks").unwrap();
        let listed = &listed["properties"]["tasks"]["items"]["properties"];
        let names = ["input", "message", "result", "status", "id"];
        let shown = names.map(|name| listed[name].is_object());
        assert_eq!(shown, [false, false, false, true, true]);
    }
}
