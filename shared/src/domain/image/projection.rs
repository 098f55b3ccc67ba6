//! The projection of an image: what an index and a membership hold of it, so that a list does not have
//! to read the table.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BACKUP_PROPERTY, Image};
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// The largest tags and properties, in bytes, that a projection holds. Longer ones have an item of
/// their own, so that reading a hidden image costs a stranger no more than reading an absent one.
pub const INLINE_TEXT: usize = 4096;

/// The values of an image, apart from its id, its creation time and its count of members, under short
/// names. It is stored as JSON behind the image's last operation: `<operation id>{…}`.
#[derive(Serialize, Deserialize)]
struct Values<'a> {
    #[serde(rename = "o")]
    owner: Cow<'a, ProjectId>,
    #[serde(rename = "v")]
    visibility: Visibility,
    #[serde(rename = "s")]
    status: Cow<'a, str>,
    /// Microseconds since 1970.
    #[serde(rename = "u")]
    updated_at: i64,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    protected: bool,
    #[serde(rename = "h", default, skip_serializing_if = "is_default")]
    os_hidden: bool,
    #[serde(rename = "r", default, skip_serializing_if = "is_default")]
    min_ram: u64,
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    min_disk: u64,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    container_format: Option<Cow<'a, str>>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    disk_format: Option<Cow<'a, str>>,
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    virtual_size: Option<u64>,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    checksum: Option<Cow<'a, str>>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    os_hash_algo: Option<Cow<'a, str>>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    os_hash_value: Option<Cow<'a, str>>,
    #[serde(rename = "t", default, skip_serializing_if = "is_empty")]
    tags: Cow<'a, [String]>,
    #[serde(rename = "q", default, skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Whether the tags and properties are in an item of their own.
    #[serde(rename = "i", default, skip_serializing_if = "is_default")]
    incomplete: bool,
}

/// A value that a projection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held<'a> {
    /// See [`Image::owner`].
    Owner(&'a ProjectId),
    /// See [`Image::visibility`].
    Visibility(Visibility),
    /// See [`Image::name`].
    Name(&'a str),
    /// See [`Image::status`].
    Status(&'a str),
    /// See [`Image::container_format`].
    ContainerFormat(&'a str),
    /// See [`Image::disk_format`].
    DiskFormat(&'a str),
    /// See [`Image::checksum`].
    Checksum(&'a str),
    /// See [`Image::os_hash_algo`].
    OsHashAlgo(&'a str),
    /// See [`Image::os_hash_value`].
    OsHashValue(&'a str),
    /// One of the tags, unless they are apart.
    Tag(&'a str),
    /// A custom property and its value, unless they are apart.
    Property(&'a str, &'a str),
}

impl Held<'_> {
    /// A text that every projection with this value contains. Others may contain it too, in a property
    /// of a short name.
    pub fn text(self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let pair = |name: &str, value: &str| format!("{}:{}", quoted(name), quoted(value));
        match self {
            Self::Owner(owner) => pair("o", owner.as_str()),
            Self::Visibility(visibility) => pair("v", visibility.as_str()),
            Self::Name(value) => pair("n", value),
            Self::Status(value) => pair("s", value),
            Self::ContainerFormat(value) => pair("c", value),
            Self::DiskFormat(value) => pair("d", value),
            Self::Checksum(value) => pair("k", value),
            Self::OsHashAlgo(value) => pair("a", value),
            Self::OsHashValue(value) => pair("x", value),
            Self::Tag(tag) => quoted(tag),
            Self::Property(name, value) => pair(name, value),
        }
    }
}

/// A text that every projection contains of an image whose tags and properties are apart.
pub const TEXTS_APART: &str = "\"i\":true";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_empty(tags: &[String]) -> bool {
    tags.is_empty()
}

impl Image {
    /// Whether the tags and properties are too long for a projection and have an item of their own.
    pub fn has_texts_apart(&self) -> bool {
        self.incomplete || self.text_bytes() > INLINE_TEXT
    }

    /// The projection of the image. Of tags and properties that have an item of their own it holds only
    /// the property that batches need.
    pub fn projection(&self) -> String {
        let apart = self.has_texts_apart();
        let properties = self.properties.iter();
        let properties = properties.filter(|(name, _)| !apart || *name == BACKUP_PROPERTY);
        let text = |text: &'_ Option<String>| text.clone().map(Cow::Owned);
        let values = Values {
            owner: Cow::Borrowed(&self.owner),
            visibility: self.visibility,
            status: Cow::Borrowed(&self.status),
            updated_at: self.updated_at.micros(),
            name: text(&self.name),
            protected: self.protected,
            os_hidden: self.os_hidden,
            min_ram: self.min_ram,
            min_disk: self.min_disk,
            container_format: text(&self.container_format),
            disk_format: text(&self.disk_format),
            size: self.size,
            virtual_size: self.virtual_size,
            checksum: text(&self.checksum),
            os_hash_algo: text(&self.os_hash_algo),
            os_hash_value: text(&self.os_hash_value),
            tags: Cow::Borrowed(if apart { &[] } else { &self.tags }),
            properties: properties
                .map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value)))
                .collect(),
            incomplete: apart,
        };
        let mut projection = self.op.to_string();
        // Values of these types always have a form as JSON.
        projection.push_str(&serde_json::to_string(&values).unwrap_or_default());
        projection
    }

    /// Parses a projection; `None` if it is malformed or holds the operation alone. What
    /// changes with its members is not in it.
    pub fn of_projection(text: &str, id: ImageId, created_at: Timestamp) -> Option<Self> {
        let (op, json) = text.split_at_checked(text.find('{')?)?;
        let values: Values<'_> = serde_json::from_str(json).ok()?;
        let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let properties = values.properties.into_iter();
        Some(Self {
            id,
            owner: values.owner.into_owned(),
            visibility: values.visibility,
            name: text(values.name),
            status: values.status.into_owned(),
            protected: values.protected,
            os_hidden: values.os_hidden,
            min_ram: values.min_ram,
            min_disk: values.min_disk,
            container_format: text(values.container_format),
            disk_format: text(values.disk_format),
            size: values.size,
            virtual_size: values.virtual_size,
            checksum: text(values.checksum),
            os_hash_algo: text(values.os_hash_algo),
            os_hash_value: text(values.os_hash_value),
            tags: values.tags.into_owned(),
            properties: properties
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            created_at,
            updated_at: Timestamp::from_micros(values.updated_at),
            member_count: 0,
            member_version: 0,
            declared: None,
            op: OperationId::parse(op)?,
            by: None,
            incomplete: values.incomplete,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::image;
    use super::*;

    #[test]
    fn a_projection_is_the_image() {
        for body in [
            json!({}),
            json!({
                "name": "n\u{e9}\"", "tags": ["a", "b"], "os_distro": "debian", "": "empty", "\u{0}": "{",
                "min_ram": 512, "min_disk": 3, "checksum": "c".repeat(32), "size": 7, "virtual_size": 9,
                "os_hash_algo": "sha512", "os_hash_value": "d".repeat(128), "protected": true,
                "os_hidden": true, "visibility": "community", "disk_format": "raw",
                "container_format": "bare", "status": "active",
            }),
        ] {
            // Who wrote it is in the item alone.
            let image = Image {
                by: None,
                ..image(body)
            };
            let text = image.projection();
            let found = Image::of_projection(&text, image.id, image.created_at);
            assert_eq!(found.as_ref(), Some(&image));
            // A list reads the operation from it.
            assert!(text.starts_with(&image.op.to_string()));
        }
        let image = image(json!({}));
        for malformed in ["", "{}", "x{}", &image.op.to_string(), "{\"o\":\"p\"}"] {
            let found = Image::of_projection(malformed, image.id, image.created_at);
            assert_eq!(found, None, "{malformed}");
        }
    }

    #[test]
    fn a_projection_contains_the_text_of_each_value() {
        let full = image(json!({
            "name": "n\"\u{1}\u{e9}", "tags": ["a\\", "b"], "os_distro": "de\nbian", "min_ram": 512,
            "checksum": "c", "os_hash_algo": "sha512", "os_hash_value": "h", "status": "active",
            "visibility": "public", "disk_format": "raw", "container_format": "bare",
        }));
        assert!(full.projection().contains(&Held::Owner(&full.owner).text()));
        for held in [
            Held::Visibility(Visibility::Public),
            Held::Name("n\"\u{1}\u{e9}"),
            Held::Status("active"),
            Held::ContainerFormat("bare"),
            Held::DiskFormat("raw"),
            Held::Checksum("c"),
            Held::OsHashAlgo("sha512"),
            Held::OsHashValue("h"),
            Held::Tag("a\\"),
            Held::Tag("b"),
            Held::Property("os_distro", "de\nbian"),
        ] {
            assert!(full.projection().contains(&held.text()), "{held:?}");
            let bare = image(json!({"visibility": "private"})).projection();
            assert!(!bare.contains(&held.text()), "{held:?}");
        }
        let apart = image(json!({"p": "x".repeat(INLINE_TEXT)})).projection();
        assert!(apart.contains(TEXTS_APART) && !full.projection().contains(TEXTS_APART));
    }

    #[test]
    fn long_texts_are_not_in_a_projection() {
        let long = |bytes: usize| image(json!({"__backup_id": "b", "p": "x".repeat(bytes)}));
        let inline = long(INLINE_TEXT - "__backup_idbp".len());
        assert!(!inline.has_texts_apart());
        let apart = long(INLINE_TEXT - "__backup_idbp".len() + 1);
        assert!(apart.has_texts_apart());
        let found = Image::of_projection(&apart.projection(), apart.id, apart.created_at).unwrap();
        assert!(found.incomplete && found.is_from_backup() && found.properties.len() == 1);
        // Its own projection is the same, although its texts are not known.
        assert_eq!(found.projection(), apart.projection());
    }
}
