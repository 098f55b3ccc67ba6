//! Parses the path of a request. Routing, access rules and errors all use the parsed path.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Minor versions of the v2 API that a path may name; `/v2.9/images` is `/v2/images`.
pub const V2_MINORS: std::ops::RangeInclusive<u8> = 0..=18;

/// Which family of clients a path belongs to: it decides the form of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// OpenStack Image v2.
    Glance,
    /// Image Management Service.
    Ims,
}

/// The error for a path that is not UTF-8 after percent-decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8 {
    /// The family that the rest of the path belongs to.
    pub family: Family,
}

/// The path of a request: its decoded segments.
///
/// Spellings that are the same path to Glance are equal here: repeated slashes, percent-encoding of any
/// character, `v2.<minor>` for `v2`. An encoded slash separates segments like a plain one, except in
/// the id of a member, which may contain it, and in paths of the batch API. Dot segments are removed
/// as in RFC 3986, so `/v2/images/.` ends in a slash; a percent-encoded dot is a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub(super) segments: Vec<String>,
}

impl Path {
    /// Parses the path as the client sent it, percent-encoded.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn parse(raw: &str) -> Result<Self, NotUtf8> {
        let utf8 = percent_decode_str(raw).decode_utf8().is_ok();
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let path = Self::of_segments(without_dots(raw).into_iter().map(decode));
        if utf8 {
            Ok(path)
        } else {
            Err(NotUtf8 {
                family: path.family(),
            })
        }
    }

    /// Parses a path that the gateway has decoded already, as an HTTP API does.
    pub fn of_decoded(path: &str) -> Self {
        Self::of_segments(path.split('/').map(str::to_owned))
    }

    fn of_segments(parts: impl Iterator<Item = String>) -> Self {
        let mut segments: Vec<String> = Vec::new();
        // Repeated slashes count once; a path that ends in a slash ends in an empty segment.
        let push = |segments: &mut Vec<String>, segment: String| {
            if segments.last().is_some_and(String::is_empty) {
                segments.pop();
            }
            segments.push(segment);
        };
        for part in parts {
            if !part.contains('/') || keeps_slashes(&segments) {
                push(&mut segments, part);
            } else {
                for segment in part.split('/') {
                    push(&mut segments, segment.to_owned());
                }
            }
        }
        if let Some(first) = segments.first_mut()
            && is_v2(first)
        {
            "v2".clone_into(first);
        }
        Self { segments }
    }

    /// Adds the version of an `Accept` header to a path without one. As in Glance,
    /// `application/vnd.openstack.images-v2` makes `/images` mean `/v2/images`.
    #[must_use]
    pub fn with_version_of(mut self, accept: Option<&str>) -> Self {
        let named = accept.and_then(|accept| accept.strip_prefix(VERSION_TYPE));
        let has_version = self.segments.first().is_some_and(|first| {
            matches!(first.as_str(), "versions" | "healthcheck")
                || first
                    .strip_prefix('v')
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        });
        if named.is_some_and(is_v2) && !has_version {
            self.segments.insert(0, "v2".to_owned());
        }
        self
    }

    /// The decoded segments. A path that ends in a slash has an empty one at its end.
    pub fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The family of the path.
    pub fn family(&self) -> Family {
        match self.segments()[..] {
            ["v1", _, ..] | ["v2", "cloudimages"] => Family::Ims,
            _ => Family::Glance,
        }
    }
}

/// Whether slashes in the part after these segments belong to it.
fn keeps_slashes(segments: &[String]) -> bool {
    match segments {
        [version, ..] if version == "v1" => true,
        [version, images, _, members] => {
            images == "images" && members == "members" && is_v2(version)
        }
        _ => false,
    }
}

/// Writes the path in its one canonical spelling, percent-encoded.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "/{}", utf8_percent_encode(segment, SEGMENT))?;
        }
        Ok(())
    }
}

/// Removes the dot segments of a path. One at the end leaves an empty segment, like a slash at the end.
fn without_dots(raw: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut ends_in_dots = false;
    for part in raw.split('/') {
        ends_in_dots = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    if ends_in_dots {
        segments.push("");
    }
    segments
}

/// The characters that a segment percent-encodes: all but the unreserved ones of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The media type by which `Accept` names a version of the API.
const VERSION_TYPE: &str = "application/vnd.openstack.images-";

/// Whether a segment names the v2 API or one of its minor versions.
pub fn is_v2(segment: &str) -> bool {
    segment == "v2"
        || segment.strip_prefix("v2.").is_some_and(|minor| {
            minor
                .parse()
                .is_ok_and(|minor: u8| V2_MINORS.contains(&minor))
                && minor.starts_with(|c: char| c.is_ascii_digit())
                && (minor == "0" || !minor.starts_with('0'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Path {
        Path::parse(raw).unwrap()
    }

    /// Each spelling that Glance takes for a path is that path.
    #[test]
    fn a_path_has_many_spellings_and_one_canonical_form() {
        for (sent, canonical) in [
            ("/v2//images", "/v2/images"),
            ("//v2.9///images", "/v2/images"),
            ("/v2/%69mages", "/v2/images"),
            ("/%762/images", "/v2/images"),
            ("/v2%2Fimages", "/v2/images"),
            ("/v2/images//members", "/v2/images/members"),
            ("/v2/images/x//%6Dembers", "/v2/images/x/members"),
            ("/v2/images/x/members/a%2fb", "/v2/images/x/members/a%2Fb"),
            ("/v2/images/x/members/%C3%A9", "/v2/images/x/members/%C3%A9"),
            ("/v2/images/", "/v2/images/"),
            ("/v2/images/%2E%2E", "/v2/images/.."),
            ("/v2/images/..", "/v2/"),
            ("/v2/images/.", "/v2/images/"),
            ("/v2/./images", "/v2/images"),
            ("/v2/images/x/../y", "/v2/images/y"),
            ("/../../v2/images", "/v2/images"),
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
        ] {
            assert_eq!(path(sent).to_string(), canonical, "{sent}");
        }
    }

    #[test]
    fn a_path_that_is_not_utf8_has_a_family_all_the_same() {
        for (raw, family) in [
            ("/v2/images/%FF", Family::Glance),
            ("/%FF", Family::Glance),
            ("/v1/cloudimages/job/%FF", Family::Ims),
            ("/v1/%C3%28/jobs", Family::Ims),
        ] {
            assert_eq!(Path::parse(raw), Err(NotUtf8 { family }), "{raw}");
        }
    }

    #[test]
    fn the_accept_header_names_the_version_of_a_path_without_one() {
        for (raw, accept, canonical) in [
            (
                "/images",
                "application/vnd.openstack.images-v2",
                "/v2/images",
            ),
            (
                "/images",
                "application/vnd.openstack.images-v2.3",
                "/v2/images",
            ),
            ("/images", "application/vnd.openstack.images-v1", "/images"),
            ("/images", "application/json", "/images"),
            (
                "/v2/images",
                "application/vnd.openstack.images-v2",
                "/v2/images",
            ),
            (
                "/v2/images",
                "application/vnd.openstack.images-v1",
                "/v2/images",
            ),
            (
                "/v3/images",
                "application/vnd.openstack.images-v2",
                "/v3/images",
            ),
            (
                "/versions",
                "application/vnd.openstack.images-v2",
                "/versions",
            ),
        ] {
            let found = path(raw).with_version_of(Some(accept)).to_string();
            assert_eq!(found, canonical, "{raw} {accept}");
        }
    }
}
