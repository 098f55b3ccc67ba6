//! The projection of an image: what an index holds of it, to filter and sort lists without reading the
//! table.

use sha2::{Digest as _, Sha256};

use super::Image;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// What an index holds of an image. It is small, whatever the image's size.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// See [`Image::id`].
    pub id: ImageId,
    /// See [`Image::owner`].
    pub owner: ProjectId,
    /// See [`Image::visibility`].
    pub visibility: Visibility,
    /// See [`Image::name`].
    pub name: Option<String>,
    /// See [`Image::status`].
    pub status: String,
    /// See [`Image::protected`].
    pub protected: bool,
    /// See [`Image::os_hidden`].
    pub os_hidden: bool,
    /// See [`Image::container_format`].
    pub container_format: Option<String>,
    /// See [`Image::disk_format`].
    pub disk_format: Option<String>,
    /// See [`Image::size`].
    pub size: Option<u64>,
    /// See [`Image::created_at`].
    pub created_at: Timestamp,
    /// See [`Image::updated_at`].
    pub updated_at: Timestamp,
    /// Fingerprints of the other values; `None` in rows that releases up to 0.1.0 wrote.
    pub fingerprints: Option<Fingerprints>,
    /// See [`Image::weight`]; `None` likewise.
    pub weight: Option<usize>,
}

/// The size of a fingerprint, in bytes. With 256 fingerprints an image, one image in 65,000 is a false
/// positive for a given tag.
const FINGERPRINT: usize = 3;
/// The size of an image in an answer without its texts, in bytes: names of fields, times, links.
const FRAME: usize = 900;

/// A fingerprint of each tag, each property, and each other value that a list can be filtered by. They
/// rule out for certain that an image has a value; they cannot confirm it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints(Vec<u8>);

/// A value that has a fingerprint.
#[derive(Clone, Copy, Debug)]
pub enum Feature<'a> {
    /// A tag.
    Tag(&'a str),
    /// A custom property, or a base property by its name, and its value.
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
        let numbers = [
            ("min_ram", Some(image.min_ram)),
            ("min_disk", Some(image.min_disk)),
            ("virtual_size", image.virtual_size),
        ];
        let numbers = numbers.map(|(name, number)| (name, number.map(|n| n.to_string())));
        let texts = [
            ("checksum", &image.checksum),
            ("os_hash_algo", &image.os_hash_algo),
            ("os_hash_value", &image.os_hash_value),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_deref()?)));
        let properties = image
            .properties
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let numbers = numbers.iter();
        let numbers = numbers.filter_map(|(name, number)| Some((*name, number.as_deref()?)));
        let mut all: Vec<_> = properties
            .chain(texts)
            .chain(numbers)
            .map(|(name, value)| Feature::Property(name, value).fingerprint())
            .chain(image.tags.iter().map(|tag| Feature::Tag(tag).fingerprint()))
            .collect();
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

impl Projection {
    /// `false` if the image certainly does not have this.
    pub fn may_have(&self, wanted: Feature<'_>) -> bool {
        self.fingerprints
            .as_ref()
            .is_none_or(|fingerprints| fingerprints.may_have(wanted))
    }
}

impl Image {
    /// What an index holds of the image.
    pub fn projection(&self) -> Projection {
        Projection {
            id: self.id,
            owner: self.owner.clone(),
            visibility: self.visibility,
            name: self.name.clone(),
            status: self.status.clone(),
            protected: self.protected,
            os_hidden: self.os_hidden,
            container_format: self.container_format.clone(),
            disk_format: self.disk_format.clone(),
            size: self.size,
            created_at: self.created_at,
            updated_at: self.updated_at,
            fingerprints: Some(Fingerprints::of(self)),
            weight: Some(self.weight()),
        }
    }

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
            project: ProjectId::parse("p").unwrap(),
            role: Role::Admin,
        };
        let now = Timestamp::from_micros(0);
        Image::from_request(body, Policy::default(), &caller, OperationId::at(0), now).unwrap()
    }

    #[test]
    fn a_sketch_knows_what_an_image_has() {
        let image = image(json!({
            "tags": ["a", "b"], "os_distro": "debian", "min_ram": 512, "checksum": "c".repeat(32),
        }));
        let projection = image.projection();
        for (wanted, has) in [
            (Feature::Tag("a"), true),
            (Feature::Tag("c"), false),
            (Feature::Property("os_distro", "debian"), true),
            (Feature::Property("os_distro", "fedora"), false),
            (Feature::Property("tag", "a"), false),
            (Feature::Property("min_ram", "512"), true),
            (Feature::Property("min_disk", "1"), false),
            (Feature::Property("checksum", &"c".repeat(32)), true),
        ] {
            assert_eq!(projection.may_have(wanted), has, "{wanted:?}");
        }
        let stored = projection.fingerprints.clone().unwrap();
        assert_eq!(
            Fingerprints::of_bytes(stored.bytes().to_vec()),
            Some(stored)
        );
        assert_eq!(Fingerprints::of_bytes(vec![1, 2]), None);
        assert!(
            Projection {
                fingerprints: None,
                ..projection
            }
            .may_have(Feature::Tag("c"))
        );
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
