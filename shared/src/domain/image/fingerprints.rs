//! Fingerprints of an image's tags and properties, for lists that filter by them.

use sha2::{Digest as _, Sha256};

use super::Image;

/// The size of a fingerprint, in bytes. With 256 fingerprints an image, one image in 65,000 is a false
/// positive for a given tag.
const FINGERPRINT: usize = 3;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::image;
    use super::*;

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
}
