//! What a request asks for that no route has.

use super::path::Path;
use crate::domain::json_schema;

/// The paths of images' data, which is kept elsewhere.
const DATA: [&str; 5] = ["file", "stage", "import", "locations", "data"];

/// A request without a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// `/versions`: the list of the API's versions.
    Versions,
    /// `/healthcheck`: whether the service is up.
    Health,
    /// A browser's preflight.
    Preflight,
    /// A path outside of the API: the list of versions to choose from.
    Choices,
    /// `/v2`: the versions are at `/v2/`.
    Root,
    /// A path that has other methods, as `Allow` lists them.
    OtherMethod(String),
    /// A part of the Image API that this service leaves to others.
    NotServed(NotServed),
    /// Nothing.
    Nothing,
}

/// The parts of the Image API that this service leaves to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// Images' data.
    Data,
    /// Metadata definitions.
    Metadefs,
    /// The cache of images' data.
    Cache,
}

impl Unrouted {
    /// What a request asks for that has no route: its method and its path.
    pub fn of(path: &Path, method: &str) -> Self {
        match path.segments()[..] {
            ["versions", ..] => return Self::Versions,
            ["healthcheck", ..] => return Self::Health,
            _ => {}
        }
        if method == "OPTIONS" {
            return Self::Preflight;
        }
        if path.is_open(method) {
            return Self::Choices;
        }
        if let Some(allow) = path.allowed() {
            // Where Glance answers 404 and not 405, so do we.
            return match path.segments()[..] {
                ["v2", "schemas", name] if json_schema::document(name).is_none() => Self::Nothing,
                ["v2", "info", "usage"] | ["v2", "images", _, "tasks"] => Self::Nothing,
                _ => Self::OtherMethod(allow),
            };
        }
        match path.segments()[..] {
            ["v2"] => Self::Root,
            ["v2", "images", _, data, ..] if DATA.contains(&data) => {
                Self::NotServed(NotServed::Data)
            }
            ["v2", "stores", _, _] => Self::NotServed(NotServed::Data),
            ["v2", "metadefs", ..] | ["v2", "schemas", "metadefs", ..] => {
                Self::NotServed(NotServed::Metadefs)
            }
            ["v2", "cache", ..] => Self::NotServed(NotServed::Cache),
            _ => Self::Nothing,
        }
    }
}
