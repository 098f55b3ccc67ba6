//! The JSON schemas that clients validate answers against, and the check of an image's properties
//! against them.
//!
//! The documents are the ones that Glance 33 serves. So are the sentences about a property that
//! does not match: clients print them, so they have the form that Glance's users know.

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

fn check(schema: &Value, value: &Value, at: &str, instance: &str) -> Result<(), String> {
    let fail = |keyword: &str, message: String| {
        Err(format!(
            "Provided object does not match schema 'image': {message}  Failed validating \
             '{keyword}' in schema{at}:     {}  On instance{instance}:     {}",
            pretty(schema, 4).replace('\n', " "),
            repr(value)
        ))
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
        for (index, item) in values.iter().enumerate() {
            check(
                items,
                item,
                &format!("{at}['items']"),
                &format!("{instance}[{index}]"),
            )?;
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

/// A schema as Python pretty-prints it, 72 columns wide.
fn pretty(value: &Value, indent: usize) -> String {
    let line = repr(value);
    if line.chars().count() + indent <= 76 {
        return line;
    }
    let (parts, open, close): (Vec<String>, _, _) = match value {
        Value::Object(object) => (
            object
                .iter()
                .map(|(key, value)| {
                    let key = repr_str(key);
                    let inner = pretty(value, indent + key.chars().count() + 3);
                    format!("{key}: {inner}")
                })
                .collect(),
            '{',
            '}',
        ),
        Value::Array(items) => (
            items.iter().map(|item| pretty(item, indent + 1)).collect(),
            '[',
            ']',
        ),
        _ => return line,
    };
    let separator = format!(",\n{}", " ".repeat(indent + 1));
    format!("{open}{}{close}", parts.join(&separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_are_the_observed_ones() {
        assert_eq!(
            check_image_property("visibility", &json!("bogus")).unwrap_err(),
            "Provided object does not match schema 'image': 'bogus' is not one of ['community', \
             'public', 'private', 'shared']  Failed validating 'enum' in \
             schema['properties']['visibility']:     {'type': 'string',      'description': 'Scope \
             of image accessibility',      'enum': ['community', 'public', 'private', 'shared']}  \
             On instance['visibility']:     'bogus'"
        );
        assert_eq!(
            check_image_property("foo", &json!(5)).unwrap_err(),
            "Provided object does not match schema 'image': 5 is not of type 'string'  Failed \
             validating 'type' in schema['additionalProperties']:     {'type': 'string'}  On \
             instance['foo']:     5"
        );
        assert!(check_image_property("tags", &json!(["a", 1])).is_err());
        assert!(check_image_property("name", &Value::Null).is_ok());
        assert!(check_image_property("min_ram", &json!(1.5)).is_err());
    }
}
