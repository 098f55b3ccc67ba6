//! Ids: parsed once at the edge, and valid from then on.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::time::Timestamp;

/// The longest project id that is stored, in characters (the width of Glance's column).
pub const PROJECT_ID_MAX_CHARS: usize = 255;

/// Serializes an id as its text, and parses it on the way back.
macro_rules! written_as_text {
    ($id:ty, $parse:ident, $error:literal) => {
        impl TryFrom<String> for $id {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::$parse(&text).ok_or($error)
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// An image's id: a UUID, always written lower-case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        value_type = String,
        pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    )
)]
pub struct ImageId(Uuid);

written_as_text!(ImageId, canonical, "not an image id");

impl ImageId {
    /// A new random id (UUIDv4, as Glance gives).
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id in a v2 path: only the canonical spelling names an image, as in Glance.
    pub fn canonical(text: &str) -> Option<Self> {
        let id = Self::hyphenated(text)?;
        (id.to_string() == text).then_some(id)
    }

    /// A UUID with hyphens in either case: what the image schema's pattern allows.
    pub fn hyphenated(text: &str) -> Option<Self> {
        (text.len() == 36)
            .then(|| Uuid::try_parse(text).ok())
            .flatten()
            .map(Self)
    }

    /// An id in a batch: a UUID with or without hyphens, in either case.
    pub fn any_spelling(text: &str) -> Option<Self> {
        matches!(text.len(), 32 | 36)
            .then(|| Uuid::try_parse(text).ok())
            .flatten()
            .map(Self)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The error for a text that is not a project id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadProjectId {
    /// It has no characters.
    Empty,
    /// It has more than [`PROJECT_ID_MAX_CHARS`] characters.
    TooLong,
}

/// A project (tenant): 1 to 255 characters of any kind, compared byte by byte.
///
/// Keystone's own are 32 hex digits, but Glance takes any text for a member, and so do we.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        value_type = String,
        description = "A project's id: any text.",
        min_length = 1,
        max_length = 255,
    )
)]
pub struct ProjectId(String);

impl ProjectId {
    /// Parses a project id.
    pub fn parse(text: impl Into<String>) -> Result<Self, BadProjectId> {
        let text = text.into();
        if text.is_empty() {
            return Err(BadProjectId::Empty);
        }
        if text.chars().nth(PROJECT_ID_MAX_CHARS).is_some() {
            return Err(BadProjectId::TooLong);
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProjectId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(text).map_err(|bad| format!("not a project id: {bad:?}"))
    }
}

impl From<ProjectId> for String {
    fn from(id: ProjectId) -> Self {
        id.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The id of one mutation: a UUIDv7 taken when its request was accepted.
///
/// Operation ids order decisions: a membership stores the last one applied to it, and a batch entry
/// applies only if its own is newer. They are written as 32 hex digits, so that the order of the texts,
/// which the store's conditions compare, is the order in time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        as = JobId,
        value_type = String,
        description = "A job's id.",
        pattern = "^[0-9a-f]{32}$",
    )
)]
pub struct OperationId(Uuid);

written_as_text!(OperationId, parse, "not an operation id");

impl OperationId {
    /// An id for an operation accepted now. The ids of one process are increasing.
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }

    /// An id for an operation accepted at the given time, for tests that move the clock.
    pub fn at(unix_micros: i64) -> Self {
        let micros = u64::try_from(unix_micros).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let context = uuid::ContextV7::new();
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(
            context,
            micros / 1_000_000,
            nanos,
        )))
    }

    /// Parses the 32 hex digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let id = (text.len() == 32)
            .then(|| Uuid::try_parse(text).ok())
            .flatten()?;
        (id.as_simple().to_string() == text).then_some(Self(id))
    }

    /// When the operation was accepted, to the millisecond.
    pub fn time(self) -> Timestamp {
        let millis = self.0.as_u64_pair().0 >> 16;
        Timestamp::from_micros(
            i64::try_from(millis)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000),
        )
    }

    /// This id, or one just after `stored` if that is not older. So a direct call always applies,
    /// although the clocks of two hosts differ by milliseconds.
    ///
    /// The moved id is still unique: two operations that move past the same stored id at once get
    /// different ids, so neither takes the other's write for its own.
    pub fn not_before(self, stored: Self) -> Self {
        if stored < self {
            return self;
        }
        // A UUIDv7 is ordered by 48 bits of milliseconds and, after the version, 12 bits of fractions.
        // The lower half distinguishes operations of the same instant.
        let (upper, own) = (stored.0.as_u64_pair().0, self.0.as_u64_pair().1);
        let instant = (upper >> 16 << 12 | upper & 0xfff).saturating_add(1);
        let upper = instant >> 12 << 16 | 0x7000 | instant & 0xfff;
        Self(Uuid::from_u64_pair(upper, own))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

/// A job's id. It is the operation id of every entry of the job, and sorts by age.
pub type JobId = OperationId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_names_an_image_in_a_path() {
        let text = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        assert_eq!(ImageId::canonical(text).unwrap().to_string(), text);
        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            String::new(),
        ] {
            assert_eq!(ImageId::canonical(&other), None, "{other}");
        }
        assert_eq!(
            ImageId::any_spelling(&text.to_uppercase().replace('-', "")),
            ImageId::canonical(text)
        );
    }

    #[test]
    fn a_project_id_has_1_to_255_characters_of_any_kind() {
        assert_eq!(ProjectId::parse(""), Err(BadProjectId::Empty));
        assert!(ProjectId::parse("😀".repeat(255)).is_ok());
        assert_eq!(
            ProjectId::parse("😀".repeat(256)),
            Err(BadProjectId::TooLong)
        );
        assert!(ProjectId::parse(" \n/%2F").is_ok());
    }

    #[test]
    fn operation_ids_order_as_their_text() {
        let ids: Vec<_> = (0..1000).map(|_| OperationId::now()).collect();
        for pair in ids.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].to_string() < pair[1].to_string());
        }
        let id = ids[0];
        assert_eq!(OperationId::parse(&id.to_string()), Some(id));
        assert!(OperationId::at(1_000) < OperationId::at(2_000));
        assert_eq!(
            OperationId::at(1_999_999).time(),
            Timestamp::from_micros(1_999_000)
        );
    }

    #[test]
    fn a_direct_call_is_newer_than_what_it_changes_and_has_an_id_of_its_own() {
        let earlier: Vec<_> = (0..100).map(|_| OperationId::now()).collect();
        let stored = OperationId::now();
        let later = OperationId::now();
        assert_eq!(later.not_before(stored), later);
        assert!(later.not_before(later) > later);
        let stepped: Vec<_> = earlier.iter().map(|op| op.not_before(stored)).collect();
        for id in &stepped {
            assert!(*id > stored && id.to_string() > stored.to_string());
            assert_eq!(id.0.get_version_num(), 7);
        }
        let different: std::collections::HashSet<_> = stepped.iter().collect();
        assert_eq!(different.len(), stepped.len());
        // Over the end of a millisecond, and over its own earlier step.
        let end = OperationId(Uuid::from_u128(0x0f90_0000_0000_7fff_bfff_ffff_ffff_ffff));
        let next = earlier[0].not_before(end);
        assert!(next > end && next.to_string().starts_with("0f90000000017000"));
        assert!(earlier[0].not_before(next) > next);
    }

    #[test]
    fn ids_are_written_as_they_are_read() {
        let text = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        let image = ImageId::canonical(text).unwrap();
        assert_eq!(format!("{image} {image:?}"), format!("{text} {text}"));
        let simple = text.replace('-', "");
        let op = OperationId::parse(&simple).unwrap();
        assert_eq!(format!("{op} {op:?}"), format!("{simple} {simple}"));
        let project = ProjectId::parse("p\n").unwrap();
        assert_eq!(format!("{project} {project:?}"), "p\n \"p\\n\"");
        assert_eq!(project.as_str(), "p\n");

        let written = serde_json::to_string(&(image, op, &project)).unwrap();
        assert_eq!(written, format!(r#"["{text}","{simple}","p\n"]"#));
        let read: (ImageId, OperationId, ProjectId) = serde_json::from_str(&written).unwrap();
        assert_eq!(read, (image, op, project));
        let upper = format!("\"{}\"", text.to_uppercase());
        assert!(serde_json::from_str::<ImageId>(&upper).is_err());
        assert!(serde_json::from_str::<OperationId>(&upper).is_err());
        assert!(serde_json::from_str::<ProjectId>("\"\"").is_err());
        assert_ne!(ImageId::random(), ImageId::random());
    }

    #[test]
    fn a_hyphenated_id_is_of_36_characters() {
        let text = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        let image = ImageId::canonical(text);
        let upper = text.to_uppercase();
        assert_eq!(ImageId::hyphenated(&upper), image);
        assert_eq!(ImageId::any_spelling(&upper), image);
        let simple = text.replace('-', "");
        assert_eq!(ImageId::any_spelling(&simple), image);
        for (other, braced) in [(&simple, false), (&format!("{{{text}}}"), true)] {
            assert_eq!(ImageId::hyphenated(other), None, "{other}");
            assert_eq!(ImageId::any_spelling(other).is_none(), braced, "{other}");
        }
        assert_eq!(ImageId::any_spelling(&"x".repeat(36)), None);
    }
}
