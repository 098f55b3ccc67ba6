//! The schemas of the bodies that create and change an image.
//!
//! Such a body is checked against Glance's own schema and read property by property, in the order in
//! which it names them, so it never is one of these types: they describe it.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::id::ProjectId;
use crate::domain::openapi;
use crate::domain::visibility::Visibility;

/// A new image. Any other key is a custom property: a text, at most 128 of them. Only an admin may
/// set what is read-only here.
#[derive(Debug, ToSchema)]
pub struct NewImage {
    /// An id to give to the image; a new one if it is left out.
    #[schema(
        nullable = false,
        pattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
    )]
    pub id: Option<String>,
    /// The project that the image belongs to. Only an admin may name another one than its own.
    #[schema(value_type = ProjectId, required = false)]
    pub owner: Option<ProjectId>,
    /// What it is called.
    #[schema(max_length = 255)]
    pub name: Option<String>,
    /// Who can see it: its owner and its members unless said otherwise.
    #[schema(value_type = Visibility, required = false)]
    pub visibility: Option<Visibility>,
    /// Whether it is safe from deletion.
    #[serde(default)]
    pub protected: bool,
    /// Whether lists leave it out unless asked.
    #[serde(default)]
    pub os_hidden: bool,
    /// The least memory to boot it, in MB.
    #[serde(default)]
    #[schema(maximum = 2147483647)]
    pub min_ram: u64,
    /// The least disk to boot it, in GB.
    #[serde(default)]
    #[schema(maximum = 2147483647)]
    pub min_disk: u64,
    /// The form of its container.
    #[schema(schema_with = openapi::container_format)]
    pub container_format: Option<String>,
    /// The form of its disk.
    #[schema(schema_with = openapi::disk_format)]
    pub disk_format: Option<String>,
    /// Its labels.
    #[serde(default)]
    #[schema(schema_with = openapi::given_tags)]
    pub tags: Vec<String>,
    /// Where it stands in the image pipeline.
    #[schema(schema_with = openapi::new_image_status)]
    pub status: Option<String>,
    /// The size of its data in bytes.
    #[schema(read_only, maximum = 9223372036854775807isize)]
    pub size: Option<u64>,
    /// The size of its disk in bytes.
    #[schema(read_only, maximum = 9223372036854775807isize)]
    pub virtual_size: Option<u64>,
    /// The MD5 digest of its data.
    #[schema(read_only, max_length = 32)]
    pub checksum: Option<String>,
    /// The algorithm of `os_hash_value`.
    #[schema(read_only, max_length = 64)]
    pub os_hash_algo: Option<String>,
    /// A digest of its data.
    #[schema(read_only, max_length = 128)]
    pub os_hash_value: Option<String>,
    /// When it was registered.
    #[schema(read_only, nullable = false, format = DateTime)]
    pub created_at: Option<String>,
    /// A custom property.
    #[serde(flatten)]
    pub properties: BTreeMap<String, String>,
}

/// A change of an image: operations that are all done, or none of them. `replace` and `remove` need
/// the property to be there.
#[derive(Debug, ToSchema)]
pub struct Patch(pub Vec<PatchOperation>);

/// One operation of a patch.
#[derive(Debug, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum PatchOperation {
    /// Sets a property.
    Add {
        /// Which property.
        path: Pointer,
        /// What it becomes.
        value: Value,
    },
    /// Sets a property that the image has.
    Replace {
        /// Which property.
        path: Pointer,
        /// What it becomes.
        value: Value,
    },
    /// Removes a property that the image has.
    Remove {
        /// Which property.
        path: Pointer,
    },
}

/// A change of an image in the form before v2.1, where the name of the operation is a key.
#[derive(Debug, ToSchema)]
pub struct OldPatch(pub Vec<OldPatchOperation>);

/// One operation of a patch in the older form.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum OldPatchOperation {
    /// Sets a property that the image does not have.
    Add {
        /// Which property.
        add: Pointer,
        /// What it becomes.
        value: Value,
    },
    /// Sets a property that the image has.
    Replace {
        /// Which property.
        replace: Pointer,
        /// What it becomes.
        value: Value,
    },
    /// Removes a property that the image has.
    Remove {
        /// Which property.
        remove: Pointer,
    },
}

/// A JSON pointer to one property: `/name`.
#[derive(Debug, ToSchema)]
#[schema(pattern = r"^/([^/~]|~[01])*([^/~\s]|~[01])([^/~]|~[01])*$")]
pub struct Pointer(pub String);
