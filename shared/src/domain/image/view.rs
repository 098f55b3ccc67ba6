//! An image's record, as Glance shows it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Image, is_base};
use crate::domain::id::{ImageId, ProjectId};
#[cfg(feature = "openapi")]
use crate::domain::openapi;
use crate::domain::time::Seconds;
use crate::domain::visibility::Visibility;

/// What a view shows beside an image's own properties.
const DERIVED: [&str; 3] = ["self", "file", "schema"];
/// The size of an image in an answer without its texts, in bytes: names of fields, times, links.
const FRAME: usize = 900;

/// An image's record. Its custom properties stand beside its own, each a text.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Image))]
pub struct ImageView<'a> {
    /// A custom property.
    // None has the name of a field below.
    #[serde(flatten)]
    pub properties: BTreeMap<&'a str, &'a str>,
    /// What it is called.
    #[cfg_attr(feature = "openapi", schema(required, max_length = 255))]
    pub name: Option<&'a str>,
    /// The form of its disk.
    #[cfg_attr(feature = "openapi", schema(required, schema_with = openapi::disk_format))]
    pub disk_format: Option<&'a str>,
    /// The form of its container.
    #[cfg_attr(feature = "openapi", schema(required, schema_with = openapi::container_format))]
    pub container_format: Option<&'a str>,
    /// Who can see it.
    pub visibility: Visibility,
    /// The size of its data in bytes.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub size: Option<u64>,
    /// The size of its disk in bytes.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub virtual_size: Option<u64>,
    /// Where it stands in the image pipeline: `queued` at first.
    #[cfg_attr(feature = "openapi", schema(schema_with = openapi::image_status))]
    pub status: &'a str,
    /// The MD5 digest of its data.
    #[cfg_attr(feature = "openapi", schema(required, max_length = 32))]
    pub checksum: Option<&'a str>,
    /// Whether it is safe from deletion.
    pub protected: bool,
    /// The least memory to boot it, in MB.
    pub min_ram: u64,
    /// The least disk to boot it, in GB.
    pub min_disk: u64,
    /// The project that it belongs to.
    pub owner: &'a ProjectId,
    /// Whether lists leave it out unless asked.
    pub os_hidden: bool,
    /// The algorithm of `os_hash_value`.
    #[cfg_attr(feature = "openapi", schema(required, max_length = 64))]
    pub os_hash_algo: Option<&'a str>,
    /// A digest of its data.
    #[cfg_attr(feature = "openapi", schema(required, max_length = 128))]
    pub os_hash_value: Option<&'a str>,
    /// Its id.
    pub id: ImageId,
    /// When it was registered.
    pub created_at: Seconds,
    /// When it last changed.
    pub updated_at: Seconds,
    /// Its labels, in the order in which they were given, each once.
    #[cfg_attr(feature = "openapi", schema(schema_with = openapi::tags))]
    pub tags: &'a [String],
    /// Its path.
    #[serde(rename = "self")]
    pub path: String,
    /// The path of its data, which another service keeps.
    pub file: String,
    /// The path of the schema of this answer.
    #[cfg_attr(feature = "openapi", schema(pattern = "^/v2/schemas/image$"))]
    pub schema: &'static str,
}

impl Image {
    /// The image as Glance shows it.
    pub fn view(&self) -> ImageView<'_> {
        let path = format!("/v2/images/{}", self.id);
        let properties = self.properties.iter();
        let properties = properties.map(|(name, value)| (name.as_str(), value.as_str()));
        ImageView {
            properties: properties
                .filter(|(name, _)| !is_base(name) && !DERIVED.contains(name))
                .collect(),
            name: self.name.as_deref(),
            disk_format: self.disk_format.as_deref(),
            container_format: self.container_format.as_deref(),
            visibility: self.visibility,
            size: self.size,
            virtual_size: self.virtual_size,
            status: &self.status,
            checksum: self.checksum.as_deref(),
            protected: self.protected,
            min_ram: self.min_ram,
            min_disk: self.min_disk,
            owner: &self.owner,
            os_hidden: self.os_hidden,
            os_hash_algo: self.os_hash_algo.as_deref(),
            os_hash_value: self.os_hash_value.as_deref(),
            id: self.id,
            created_at: Seconds(self.created_at),
            updated_at: Seconds(self.updated_at),
            tags: &self.tags,
            file: format!("{path}/file"),
            path,
            schema: "/v2/schemas/image",
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
    use serde_json::json;

    use super::super::tests::image;
    use super::*;

    /// The owner's id, which the weight counts.
    const OWN: usize = "own".len();

    /// A record with a custom property of such a name would be an object with one key twice.
    #[test]
    fn no_custom_property_hides_one_of_the_images_own() {
        let image = image(json!({"name": "n", "custom": "c"}));
        let shown = serde_json::to_value(image.view()).unwrap();
        let mut odd = image.clone();
        for name in shown.as_object().unwrap().keys() {
            odd.properties.insert(name.clone(), "c".to_owned());
        }
        let text = |image: &Image| serde_json::to_string(&image.view()).unwrap();
        assert_eq!(text(&odd), text(&image));
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
        assert_eq!(image(json!({})).weight(), FRAME + OWN);
        let texts = json!({
            "name": "1", "container_format": "bare", "disk_format": "raw", "checksum": "4444",
            "os_hash_algo": "55555", "os_hash_value": "666666",
        });
        assert_eq!(image(texts).weight(), FRAME + OWN + 1 + 4 + 3 + 4 + 5 + 6);
        // Quotes and a comma around each tag; of a property, around its name and its value.
        let tags = image(json!({"tags": ["abcd", "c"]}));
        assert_eq!(tags.weight(), FRAME + OWN + (4 + 3) + (1 + 3));
        let properties = image(json!({"name1": "value", "n": "v"}));
        assert_eq!(properties.weight(), FRAME + OWN + (5 + 5 + 6) + (1 + 1 + 6));
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
