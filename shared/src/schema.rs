//! The JSON schemas that clients validate answers against, and the check of an image's properties
//! against them.
//!
//! The documents are the ones that Glance 33 serves. So are the sentences about a property that
//! does not match: clients print them, so they have the form that Glance's users know.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

static IMAGE: LazyLock<Value> = LazyLock::new(|| parse(include_str!("schemas/image.json")));
static MEMBER: LazyLock<Value> = LazyLock::new(|| parse(include_str!("schemas/member.json")));
static TASK: LazyLock<Value> = LazyLock::new(|| parse(include_str!("schemas/task.json")));

/// The schema document of that name: `image`, `member`, `task` or the plural of one of them.
pub fn document(name: &str) -> Option<Value> {
    match name {
        "image" => Some(IMAGE.clone()),
        "member" => Some(MEMBER.clone()),
        "task" => Some(TASK.clone()),
        "images" => Some(paged("images", &IMAGE)),
        "members" => Some(collection("members", &MEMBER)),
        "tasks" => Some(collection("tasks", &TASK)),
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

/// Checks one property of an image against the image schema; properties that the schema does not
/// name must be strings.
///
/// # Errors
/// The sentence to show: what does not match, and the part of the schema that says so.
pub fn check_image_property(name: &str, value: &Value) -> Result<(), String> {
    mismatch(name, value).map_err(|mismatch| mismatch.sentence)
}

/// Checks all properties of an image against the image schema.
///
/// # Errors
/// As for one property. Of several mismatches, the one that Glance shows: the least deep of them, and
/// of those the one with the greatest name.
pub fn check_image(image: &Map<String, Value>) -> Result<(), String> {
    let mismatches = image
        .iter()
        .filter_map(|(name, value)| Some((name, mismatch(name, value).err()?)));
    match mismatches.max_by_key(|(name, mismatch)| (Reverse(mismatch.depth), *name)) {
        Some((_, mismatch)) => Err(mismatch.sentence),
        None => Ok(()),
    }
}

/// What does not match.
struct Mismatch {
    /// How deep in the image it is.
    depth: usize,
    sentence: String,
}

fn mismatch(name: &str, value: &Value) -> Result<(), Mismatch> {
    let named = IMAGE
        .pointer("/properties")
        .and_then(|properties| properties.get(name));
    let any = json!({"type": "string"});
    let (schema, at) = match named {
        Some(schema) => (schema, format!("['properties'][{}]", repr_str(name))),
        None => (&any, "['additionalProperties']".to_owned()),
    };
    check(schema, value, &at, &format!("[{}]", repr_str(name)))
}

/// Checks that a body is an object; the schemas describe nothing else.
pub fn check_object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(format!(
            "Provided object does not match schema 'image': {} is not of type 'object'",
            repr(&other)
        )),
    }
}

fn check(schema: &Value, value: &Value, at: &str, instance: &str) -> Result<(), Mismatch> {
    let fail = |keyword: &str, message: String| {
        let sentence = format!(
            "Provided object does not match schema 'image': {message}\n\nFailed validating \
             '{keyword}' in schema{at}:\n    {}\n\nOn instance{instance}:\n    {}",
            pretty(schema, 4, 0),
            repr(value)
        );
        Err(Mismatch { depth: 1, sentence })
    };
    if let Some(expected) = schema.get("type") {
        let types: Vec<&str> = match expected {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        if !types.iter().any(|name| is_type(name, value)) {
            let names: Vec<_> = types.iter().map(|name| repr_str(name)).collect();
            return fail(
                "type",
                format!("{} is not of type {}", repr(value), names.join(", ")),
            );
        }
    }
    if let Some(Value::Array(allowed)) = schema.get("enum")
        && !allowed.contains(value)
    {
        let allowed = repr(&Value::Array(allowed.clone()));
        return fail("enum", format!("{} is not one of {allowed}", repr(value)));
    }
    if let (Some(max), Value::String(text)) =
        (schema.get("maxLength").and_then(Value::as_u64), value)
        && text.chars().count() as u64 > max
    {
        return fail("maxLength", format!("{} is too long", repr(value)));
    }
    if let (Some(pattern), Value::String(text)) = (schema.get("pattern"), value)
        && crate::id::ImageId::hyphenated(text).is_none()
    {
        return fail(
            "pattern",
            format!("{} does not match {}", repr(value), repr(pattern)),
        );
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        // Of several items that do not match, Glance shows the last.
        for (index, item) in values.iter().enumerate().rev() {
            check(
                items,
                item,
                &format!("{at}['items']"),
                &format!("{instance}[{index}]"),
            )
            .map_err(|mismatch| Mismatch {
                depth: mismatch.depth + 1,
                ..mismatch
            })?;
        }
    }
    Ok(())
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        _ => false,
    }
}

/// A value as Python writes it.
fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => repr_str(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(object) => {
            let entries: Vec<_> = object
                .iter()
                .map(|(key, value)| format!("{}: {}", repr_str(key), repr(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Columns of a pretty-printed schema, its margin of four included.
const COLUMNS: usize = 76;

/// A schema as Python pretty-prints it, with room for what follows it on its last line.
fn pretty(value: &Value, indent: usize, room: usize) -> String {
    let line = repr(value);
    if line.chars().count() + indent + room <= COLUMNS {
        return line;
    }
    let last_of = |place: usize, count: usize| if place + 1 == count { room + 1 } else { 1 };
    let (parts, open, close): (Vec<String>, _, _) = match value {
        Value::Object(object) => (
            object
                .iter()
                .enumerate()
                .map(|(place, (key, value))| {
                    let key = repr_str(key);
                    let indent = indent + key.chars().count() + 3;
                    let inner = pretty(value, indent, last_of(place, object.len()));
                    format!("{key}: {inner}")
                })
                .collect(),
            '{',
            '}',
        ),
        Value::Array(items) => (
            items
                .iter()
                .enumerate()
                .map(|(place, item)| pretty(item, indent + 1, last_of(place, items.len())))
                .collect(),
            '[',
            ']',
        ),
        Value::String(text) => return wrapped(text, indent, room),
        Value::Null | Value::Bool(_) | Value::Number(_) => return line,
    };
    let separator = format!(",\n{}", " ".repeat(indent + 1));
    format!("{open}{}{close}", parts.join(&separator))
}

/// A text that is too long for a line, cut behind words.
fn wrapped(text: &str, indent: usize, room: usize) -> String {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let mut chunks: Vec<String> = Vec::new();
    let mut current = String::new();
    for (place, word) in words.iter().enumerate() {
        let candidate = format!("{current}{word}");
        let room = if place + 1 == words.len() { room } else { 0 };
        if repr_str(&candidate).chars().count() + indent + room > COLUMNS && !current.is_empty() {
            chunks.push(repr_str(&current));
            (*word).clone_into(&mut current);
        } else {
            current = candidate;
        }
    }
    chunks.push(repr_str(&current));
    chunks.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_are_the_observed_ones() {
        assert_eq!(
            check_image_property("visibility", &json!("bogus")).unwrap_err(),
            "Provided object does not match schema 'image': 'bogus' is not one of ['community', \
             'public', 'private', 'shared']\n\nFailed validating 'enum' in \
             schema['properties']['visibility']:\n    {'type': 'string',\n     'description': 'Scope \
             of image accessibility',\n     'enum': ['community', 'public', 'private', \
             'shared']}\n\nOn instance['visibility']:\n    'bogus'"
        );
        assert_eq!(
            check_image_property("foo", &json!(5)).unwrap_err(),
            "Provided object does not match schema 'image': 5 is not of type 'string'\n\nFailed \
             validating 'type' in schema['additionalProperties']:\n    {'type': 'string'}\n\nOn \
             instance['foo']:\n    5"
        );
        assert_eq!(
            check_image_property("os_hidden", &json!("x")).unwrap_err(),
            "Provided object does not match schema 'image': 'x' is not of type 'boolean'\n\nFailed \
             validating 'type' in schema['properties']['os_hidden']:\n    {'type': 'boolean',\n     \
             'description': 'If true, image will not appear in default image list '\n                    \
             'response.'}\n\nOn instance['os_hidden']:\n    'x'"
        );
        for (image, shown) in [
            (json!({"name": 5, "foo": 6}), "['name']"),
            (json!({"id": "zz", "name": 6}), "['name']"),
            (json!({"bar": 7, "foo": 6}), "['foo']"),
            (json!({"tags": [1, "a", 2]}), "['tags'][2]"),
            (json!({"tags": [1], "name": 1}), "['name']"),
        ] {
            let sentence = check_image(image.as_object().unwrap()).unwrap_err();
            assert!(
                sentence.contains(&format!("On instance{shown}:")),
                "{sentence}"
            );
        }
        assert!(check_image_property("tags", &json!(["a", 1])).is_err());
        assert!(check_image_property("name", &Value::Null).is_ok());
        assert!(check_image_property("min_ram", &json!(1.5)).is_err());
    }
}
