//! The projection of an image: what an index and a membership hold of it, so that a list does not have
//! to read the table.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

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

/// The size of a fingerprint, in bytes. With 256 fingerprints an image, one image in 65,000 is a false
/// positive for a given tag.
const FINGERPRINT: usize = 3;
/// The size of an image in an answer without its texts, in bytes: names of fields, times, links.
const FRAME: usize = 900;

/// A fingerprint of each tag and each property of an image whose tags and properties are not in its
/// projection. They rule out for certain that an image has a value; they cannot confirm it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints(Vec<u8>);

/// A value that has a fingerprint.
#[derive(Clone, Copy, Debug)]
pub enum Feature<'a> {
    /// A tag.
    Tag(&'a str),
    /// A custom property and its value.
    Property(&'a str, &'a str),
}

impl Feature<'_> {
    fn fingerprint(self) -> [u8; FINGERPRINT] {
        let mut digest = Sha256::new();
        match self {
            Self::Tag(tag) => {
                digest.update(b"t");
                digest.update(tag);
            }
            Self::Property(name, value) => {
                digest.update(b"p");
                digest.update(name);
                digest.update(b"\0");
                digest.update(value);
            }
        }
        let mut bytes = [0; FINGERPRINT];
        bytes.copy_from_slice(digest.finalize().split_at(FINGERPRINT).0);
        bytes
    }
}

impl Fingerprints {
    /// The fingerprints of an image.
    pub fn of(image: &Image) -> Self {
        let properties = image.properties.iter();
        let properties = properties.map(|(name, value)| Feature::Property(name, value));
        let tags = image.tags.iter().map(|tag| Feature::Tag(tag));
        let mut all: Vec<_> = properties.chain(tags).map(Feature::fingerprint).collect();
        all.sort_unstable();
        all.dedup();
        Self(all.concat())
    }

    /// Parses the stored form; `None` if it is malformed.
    pub fn of_bytes(bytes: Vec<u8>) -> Option<Self> {
        bytes
            .len()
            .is_multiple_of(FINGERPRINT)
            .then_some(Self(bytes))
    }

    /// The stored form.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// `false` if the image certainly does not have this.
    pub fn may_have(&self, wanted: Feature<'_>) -> bool {
        let wanted = wanted.fingerprint();
        self.0
            .chunks_exact(FINGERPRINT)
            .any(|found| found == wanted)
    }
}

impl Image {
    /// About how many bytes the image takes in an answer, and not fewer.
    pub fn weight(&self) -> usize {
        let texts = [
            &self.name,
            &self.container_format,
            &self.disk_format,
            &self.checksum,
            &self.os_hash_algo,
            &self.os_hash_value,
        ];
        let texts = texts.into_iter().flatten().map(|text| escaped(text));
        let tags = self.tags.iter().map(|tag| escaped(tag) + 3);
        let properties = self.properties.iter();
        let properties = properties.map(|(name, value)| escaped(name) + escaped(value) + 6);
        FRAME + escaped(self.owner.as_str()) + texts.chain(tags).chain(properties).sum::<usize>()
    }
}

/// Bytes of a text within a JSON string, at most.
fn escaped(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::OperationId;
    use crate::domain::policy::{Caller, Policy, Role};
    use serde_json::json;

    fn image(body: serde_json::Value) -> Image {
        let caller = Caller {
            user: "u".to_owned(),
            project: ProjectId::parse("p").unwrap(),
            role: Role::Admin,
        };
        let now = Timestamp::from_micros(0);
        Image::from_request(body, Policy::default(), &caller, OperationId::at(0), now).unwrap()
    }

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

    #[test]
    fn fingerprints_know_what_an_image_has() {
        let image = image(json!({"tags": ["a", "b"], "os_distro": "debian"}));
        let fingerprints = Fingerprints::of(&image);
        for (wanted, has) in [
            (Feature::Tag("a"), true),
            (Feature::Tag("c"), false),
            (Feature::Property("os_distro", "debian"), true),
            (Feature::Property("os_distro", "fedora"), false),
            (Feature::Property("tag", "a"), false),
        ] {
            assert_eq!(fingerprints.may_have(wanted), has, "{wanted:?}");
        }
        assert_eq!(
            Fingerprints::of_bytes(fingerprints.bytes().to_vec()),
            Some(fingerprints)
        );
        assert_eq!(Fingerprints::of_bytes(vec![1, 2]), None);
    }

    #[test]
    fn a_weight_is_not_less_than_the_answer() {
        for body in [
            json!({}),
            json!({"name": "\u{1}\"\\é😀".repeat(40), "tags": ["\n\n", "x"], "p": "\u{0}".repeat(300)}),
        ] {
            let image = image(body);
            let bytes = serde_json::to_string(&image.view()).unwrap().len();
            assert!(
                image.weight() >= bytes && image.weight() < bytes + 600,
                "{bytes}"
            );
        }
    }

    #[test]
    fn a_weight_counts_every_text_as_it_is_escaped() {
        assert_eq!(image(json!({})).weight(), FRAME + 1);
        let texts = json!({
            "name": "1", "container_format": "bare", "disk_format": "raw", "checksum": "4444",
            "os_hash_algo": "55555", "os_hash_value": "666666",
        });
        assert_eq!(image(texts).weight(), FRAME + 1 + 1 + 4 + 3 + 4 + 5 + 6);
        // Quotes and a comma around each tag; of a property, around its name and its value.
        let tags = image(json!({"tags": ["abcd", "c"]}));
        assert_eq!(tags.weight(), FRAME + 1 + (4 + 3) + (1 + 3));
        let properties = image(json!({"name1": "value", "n": "v"}));
        assert_eq!(properties.weight(), FRAME + 1 + (5 + 5 + 6) + (1 + 1 + 6));
        for (text, bytes) in [
            ("a", 1),
            ("\"", 2),
            ("\\", 2),
            ("\n", 6),
            ("\u{1f}", 6),
            (" ", 1),
            ("é", 2),
        ] {
            assert_eq!(escaped(text), bytes, "{text:?}");
        }
    }
}
