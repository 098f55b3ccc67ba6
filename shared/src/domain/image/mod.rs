//! Images: their records, without their data.

#[cfg(feature = "openapi")]
pub mod bodies;
mod create;
mod difference;
pub mod fingerprints;
pub mod patch;
pub mod projection;
pub mod view;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::domain::actor::Actor;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// Properties that the service derives. Clients cannot set them.
const DERIVED: [&str; 5] = ["direct_url", "self", "file", "schema", "stores"];
/// Properties that only the cloud's image pipeline (an admin) may set.
const PIPELINE: [&str; 7] = [
    "status",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "created_at",
];
/// Names that Glance reserves, and `properties`: a custom property of that name breaks every list that
/// contains it for Go clients, which put custom properties there.
const RESERVED: [&str; 4] = ["location", "deleted", "deleted_at", "properties"];
const RESERVED_PREFIX: &str = "os_glance";
/// The property that marks an image made from a backup of a whole server.
pub const BACKUP_PROPERTY: &str = "__backup_id";
/// The longest name of a custom property, in characters.
const PROPERTY_NAME_MAX: usize = 255;
/// The largest `min_disk` and `min_ram`, the width of Glance's columns.
const MINIMUM_MAX: u64 = i32::MAX as u64;
/// Most custom properties and most tags of one image, as in Glance.
const PROPERTIES_MAX: usize = 128;
const TAGS_MAX: usize = 128;
/// The limit of an image's tags and properties, in bytes: DynamoDB limits an item to 400 KB.
const TEXT_MAX: usize = 256 * 1024;

/// An image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The project that it belongs to.
    pub owner: ProjectId,
    /// Who can see it.
    pub visibility: Visibility,
    /// Its name.
    pub name: Option<String>,
    /// `queued` until the image pipeline says otherwise; one of the schema's words.
    pub status: String,
    /// Whether it is protected from deletion.
    pub protected: bool,
    /// Whether lists leave it out unless asked.
    pub os_hidden: bool,
    /// Least memory to boot it, in MB.
    pub min_ram: u64,
    /// Least disk to boot it, in GB.
    pub min_disk: u64,
    /// The format of the container.
    pub container_format: Option<String>,
    /// The format of the disk.
    pub disk_format: Option<String>,
    /// Size of the data in bytes.
    pub size: Option<u64>,
    /// Size of the disk in bytes.
    pub virtual_size: Option<u64>,
    /// MD5 of the data.
    pub checksum: Option<String>,
    /// How `os_hash_value` was computed.
    pub os_hash_algo: Option<String>,
    /// Digest of the data.
    pub os_hash_value: Option<String>,
    /// Labels, in the order given, each once.
    pub tags: Vec<String>,
    /// Custom properties.
    pub properties: BTreeMap<String, String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The number of its members, maintained by the transactions that add and remove them.
    pub member_count: u64,
    /// Another number after each addition and removal of a member.
    pub member_version: u64,
    /// The newest request that declared the whole set of its members.
    pub declared: Option<OperationId>,
    /// The last operation applied to it, members apart.
    pub op: OperationId,
    /// Who requested that operation; `None` if an earlier release has written the record, or if it was read
    /// from an index.
    pub by: Option<Actor>,
    /// Whether `tags` and `properties` are still to be read. The store keeps long ones apart, so that a
    /// stranger cannot tell a large hidden image from an absent one. Until then `properties` has at
    /// most [`BACKUP_PROPERTY`].
    pub incomplete: bool,
}

impl Image {
    /// Whether it was made from a backup of a whole server. Accepting it then needs a vault.
    pub fn is_from_backup(&self) -> bool {
        self.properties.contains_key(BACKUP_PROPERTY)
    }

    /// Sets one property to a value that matches the schema.
    fn set(&mut self, name: &str, value: Value) -> Result<(), ApiError> {
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            _ => None,
        };
        match name {
            "name" => self.name = text(value),
            "owner" => {
                let owner = text(value).unwrap_or_default();
                self.owner = ProjectId::parse(owner).map_err(|_| {
                    ApiError::bad_request("The owner must be a project id of 1 to 255 characters.")
                })?;
            }
            "visibility" => {
                if let Some(visibility) = value.as_str().and_then(Visibility::parse) {
                    self.visibility = visibility;
                }
            }
            "status" => self.status = text(value).unwrap_or_default(),
            "protected" => self.protected = value.as_bool().unwrap_or_default(),
            "os_hidden" => self.os_hidden = value.as_bool().unwrap_or_default(),
            "min_ram" => self.min_ram = minimum(name, &value)?,
            "min_disk" => self.min_disk = minimum(name, &value)?,
            "container_format" => self.container_format = text(value),
            "disk_format" => self.disk_format = text(value),
            "size" => self.size = whole(name, &value)?,
            "virtual_size" => self.virtual_size = whole(name, &value)?,
            "checksum" => self.checksum = text(value),
            "os_hash_algo" => self.os_hash_algo = text(value),
            "os_hash_value" => self.os_hash_value = text(value),
            "created_at" => {
                let written = text(value).unwrap_or_default();
                self.created_at = Timestamp::parse(&written).ok_or_else(|| {
                    ApiError::bad_request(format!("created_at is not an RFC 3339 time: {written}"))
                })?;
            }
            "tags" => {
                let tags = value.as_array().map_or(&[][..], Vec::as_slice);
                // As they were sent, before the same ones count as one.
                if tags.len() > TAGS_MAX {
                    return Err(too_many_tags(tags.len()));
                }
                let mut seen = HashSet::new();
                let tags = tags.iter().filter_map(Value::as_str);
                let tags = tags.filter(|tag| seen.insert(*tag));
                self.tags = tags.map(str::to_owned).collect();
            }
            custom => {
                let value = text(value).unwrap_or_default();
                self.properties.insert(custom.to_owned(), value);
            }
        }
        Ok(())
    }

    /// Adds a tag.
    ///
    /// # Errors
    /// 413 if it has as many as it may have.
    pub fn tagged(&self, tag: &str) -> Result<Self, ApiError> {
        let mut next = self.clone();
        if !next.tags.iter().any(|have| have == tag) {
            next.tags.push(tag.to_owned());
        }
        match next.check_size() {
            Err(full) if next.tags.len() > TAGS_MAX => Err(ApiError::too_large(format!(
                "Image tag limit exceeded for image {}: {}:",
                self.id,
                full.public_words()
            ))),
            checked => checked.map(|()| next),
        }
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// 404 if it does not have it.
    pub fn untagged(&self, tag: &str) -> Result<Self, ApiError> {
        let mut next = self.clone();
        next.tags.retain(|have| have != tag);
        if next.tags.len() == self.tags.len() {
            return Err(ApiError::no_such_resource());
        }
        Ok(next)
    }

    fn has(&self, name: &str) -> bool {
        is_base(name) || self.properties.contains_key(name)
    }

    /// The size of the tags and properties, in bytes.
    pub fn text_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(String::len).sum();
        let properties = self.properties.iter();
        tags + properties
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
    }

    fn check_size(&self) -> Result<(), ApiError> {
        if self.properties.len() > PROPERTIES_MAX {
            return Err(ApiError::too_large(format!(
                "The limit has been exceeded on the number of allowed image properties. \
                 Attempted: {}, Maximum: {PROPERTIES_MAX}",
                self.properties.len()
            )));
        }
        if self.tags.len() > TAGS_MAX {
            return Err(too_many_tags(self.tags.len()));
        }
        let bytes = self.text_bytes();
        if bytes > TEXT_MAX {
            return Err(ApiError::too_large(format!(
                "The image's tags and properties take {bytes} bytes, Maximum: {TEXT_MAX}"
            )));
        }
        Ok(())
    }
}

fn is_base(name: &str) -> bool {
    matches!(
        name,
        "name"
            | "owner"
            | "visibility"
            | "status"
            | "protected"
            | "os_hidden"
            | "min_ram"
            | "min_disk"
            | "container_format"
            | "disk_format"
            | "size"
            | "virtual_size"
            | "checksum"
            | "os_hash_algo"
            | "os_hash_value"
            | "tags"
            | "created_at"
            | "updated_at"
            | "id"
    )
}

/// Checks that a custom property may have this name, as far as its length goes.
fn check_name(name: &str) -> Result<(), ApiError> {
    if name.chars().count() > PROPERTY_NAME_MAX {
        return Err(ApiError::bad_request(
            "Custom property should not be greater than 255 characters.",
        ));
    }
    Ok(())
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX)
}

fn reserved(name: &str) -> String {
    format!("Attribute '{name}' is reserved.")
}

fn read_only(name: &str) -> ApiError {
    ApiError::forbidden(format!("Attribute '{name}' is read-only."))
}

/// A `min_disk` or `min_ram`.
fn minimum(name: &str, value: &Value) -> Result<u64, ApiError> {
    if value.as_f64().is_some_and(|number| number < 0.0) {
        return Err(ApiError::bad_request(format!(
            "Invalid value '{value}' for parameter '{name}': Cannot be a negative value"
        )));
    }
    match whole(name, value) {
        Ok(number) if number.is_none_or(|number| number <= MINIMUM_MAX) => {
            Ok(number.unwrap_or_default())
        }
        _ => Err(ApiError::bad_request(format!(
            "'{name}' value out of range, must not exceed {MINIMUM_MAX}."
        ))),
    }
}

/// A whole number that the record can hold, or null.
fn whole(name: &str, value: &Value) -> Result<Option<u64>, ApiError> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().or_else(|| {
        // 1.0 is an integer to JSON Schema.
        value
            .as_f64()
            .filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n))
            .map(|n| n as u64)
    });
    match number {
        Some(number) if i64::try_from(number).is_ok() => Ok(Some(number)),
        _ => Err(ApiError::bad_request(format!(
            "Cannot be a negative value or so large: {name}"
        ))),
    }
}

fn too_many_tags(count: usize) -> ApiError {
    ApiError::too_large(format!(
        "The limit has been exceeded on the number of allowed image tags. \
         Attempted: {count}, Maximum: {TAGS_MAX}"
    ))
}

/// Glance's sentence about an id that no image has, where it looks for one by what a request says. Of a text
/// that is longer than any id it leaves a placeholder as it is.
pub fn no_image(id: &str) -> String {
    const LONGEST: usize = 36;
    match id.chars().count() > LONGEST {
        true => "Image with the given id %(image_id)s was not found".to_owned(),
        false => format!("No image found with ID {id}"),
    }
}

#[cfg(test)]
pub(super) mod tests;
