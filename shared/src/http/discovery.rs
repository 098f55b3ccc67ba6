//! The bodies of answers about the API as a whole, and about images' data, which this service does not
//! keep: their lists are always empty.

use serde::Serialize;

use super::routes::V2_MINORS;

/// The versions of the API, newest first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Versions {
    /// The versions.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub versions: Vec<Version>,
}

/// A version of the API.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Version {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(pattern = r"^v2\.[0-9]+$"))]
    pub id: String,
    /// Whether it is the newest.
    pub status: VersionStatus,
    /// Where it is.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<VersionLink>, min_items = 1))]
    pub links: [VersionLink; 1],
}

/// Whether a version is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum VersionStatus {
    /// The newest.
    Current,
    /// An older one.
    Supported,
}

/// Where a version is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionLink {
    /// Always `self`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^self$"))]
    pub rel: &'static str,
    /// The URL of the version.
    #[cfg_attr(feature = "openapi", schema(pattern = "^https?://.+/v2/$"))]
    pub href: String,
}

impl Versions {
    /// The versions of the API at the address by which the caller knows it.
    pub fn at(base_url: &str) -> Self {
        let newest = *V2_MINORS.end();
        let version = |minor| Version {
            id: format!("v2.{minor}"),
            status: match minor == newest {
                true => VersionStatus::Current,
                false => VersionStatus::Supported,
            },
            links: [VersionLink {
                rel: "self",
                href: format!("{base_url}/v2/"),
            }],
        };
        Self {
            versions: V2_MINORS.rev().map(version).collect(),
        }
    }
}

/// Whether the service is up.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// Always false: there are no details.
    pub detailed: bool,
    /// `OK`, or why it is not.
    pub reasons: [&'static str; 1],
}

impl Health {
    /// The service is up.
    pub const OK: Self = Self {
        detailed: false,
        reasons: ["OK"],
    };
}

/// The ways to bring an image's data in.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportMethods {
    /// The methods.
    #[serde(rename = "import-methods")]
    pub import_methods: MethodList,
}

/// A list of import methods, described as in a schema.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MethodList {
    /// What it is.
    pub description: &'static str,
    /// The type of `value`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^array$"))]
    pub value_type: &'static str,
    /// The methods: none.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, max_items = 0))]
    pub value: [&'static str; 0],
}

impl ImportMethods {
    /// There is no way to bring an image's data in.
    pub const NONE: Self = Self {
        import_methods: MethodList {
            description: "Import methods available.",
            value_type: "array",
            value: [],
        },
    };
}

/// The stores of images' data.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stores {
    /// The stores: none.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>, max_items = 0))]
    pub stores: [NoRecord; 0],
}

/// What is used of the limits that Keystone keeps.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// What is used, by the limit's name: nothing, since this service keeps no limit in Keystone.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub usage: NoRecord,
}

/// The tasks of an image.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageTasks {
    /// The tasks: none.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>, max_items = 0))]
    pub tasks: [NoRecord; 0],
}

/// The tasks of all images.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tasks {
    /// The tasks: none.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>, max_items = 0))]
    pub tasks: [NoRecord; 0],
    /// The path of the first page.
    pub first: String,
    /// The path of the schema of this answer.
    #[cfg_attr(feature = "openapi", schema(pattern = "^/v2/schemas/tasks$"))]
    pub schema: &'static str,
}

/// An object without keys: the record of something that this service does not keep.
#[derive(Debug, Default, Serialize)]
pub struct NoRecord {}
