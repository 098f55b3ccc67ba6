//! Schemas that no derive can write: texts that are one of a few words, and lists with limits.

use serde_json::Value;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use super::json_schema;

/// The schema of a text that is one of these words.
pub fn words(
    words: impl IntoIterator<Item = &'static str>,
    description: impl Into<String>,
) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .description(Some(description))
        .into()
}

/// The schema of an image's property that is one of the words of Glance's schema.
fn of_glance(property: &str) -> ObjectBuilder {
    let document = json_schema::document("image").unwrap_or_default();
    let found = |keyword: &str| document.pointer(&format!("/properties/{property}/{keyword}"));
    let words = found("enum").and_then(Value::as_array).cloned();
    let words = words.unwrap_or_default();
    let schema_type = match words.contains(&Value::Null) {
        true => SchemaType::from_iter([Type::String, Type::Null]),
        false => Type::String.into(),
    };
    ObjectBuilder::new()
        .schema_type(schema_type)
        .enum_values(Some(words))
        .description(found("description").and_then(Value::as_str))
}

/// The status of an image.
pub fn image_status() -> RefOr<Schema> {
    of_glance("status").into()
}

/// The status of a new image.
pub fn new_image_status() -> RefOr<Schema> {
    of_glance("status").read_only(true).into()
}

/// The form of an image's container, or null.
pub fn container_format() -> RefOr<Schema> {
    of_glance("container_format").into()
}

/// The form of an image's disk, or null.
pub fn disk_format() -> RefOr<Schema> {
    of_glance("disk_format").into()
}

fn tag() -> ObjectBuilder {
    let tag = ObjectBuilder::new().schema_type(Type::String);
    tag.max_length(Some(255))
}

/// The tags that a request gives to an image.
pub fn given_tags() -> Array {
    ArrayBuilder::new()
        .items(tag())
        .description(Some("Labels: 128 different ones at most."))
        .build()
}

/// The tags of an image.
pub fn tags() -> Array {
    ArrayBuilder::new()
        .items(tag())
        .max_items(Some(128))
        .unique_items(true)
        .description(Some("Its labels, in the order in which they were given."))
        .build()
}

/// One id of an image or more.
pub fn image_ids() -> Array {
    ArrayBuilder::new()
        .items(ObjectBuilder::new().schema_type(Type::String))
        .min_items(Some(1))
        .description(Some(
            "Ids of images, with or without hyphens, in either case. An id that is no image's fails \
             its own entries only.",
        ))
        .build()
}

/// A project id of a batch.
pub fn batch_project() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$"))
        .description(Some("A project id without control characters."))
}

/// One project id of a batch or more.
pub fn batch_projects() -> Array {
    ArrayBuilder::new()
        .items(batch_project())
        .min_items(Some(1))
        .build()
}

/// What a batch may answer.
pub fn batch_status() -> RefOr<Schema> {
    words(["accepted", "rejected"], "What the project answers.")
}
