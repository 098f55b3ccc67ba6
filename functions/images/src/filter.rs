//! The filters of a list: how they are written, and which images pass them. Pure.

use shared::domain::error::ApiError;
use shared::domain::image::Image;
use shared::domain::image::fingerprints::{Feature, Fingerprints};
use shared::domain::image::projection::{Held, TEXTS_APART};
use shared::domain::number;
use shared::domain::time::Timestamp;

/// Most values of a filter that the store evaluates: an expression has at most 4 KB.
const TEXTS_MAX: usize = 20;

/// What an image must be to be in a list.
#[derive(Clone, Debug)]
pub enum Filter {
    /// One of some texts, which are sorted and different.
    Text(TextField, Vec<String>),
    /// This number; `None`, which matches no image, if the filter is not a whole number.
    Number(NumberField, Option<u64>),
    /// At least this number.
    Min(NumberField, i128),
    /// At most this number.
    Max(NumberField, i128),
    /// Whether it is safe from deletion.
    Protected(bool),
    /// Whether lists leave it out.
    Hidden(bool),
    /// One of its tags.
    Tag(String),
    /// A time before, after or at another.
    Time(TimeField, TimeTest, Timestamp),
    /// A custom property and its value.
    Property(String, String),
    /// A custom property and its value, which an image without the property has as well.
    PropertyOrNone(String, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Id,
    Checksum,
    HashAlgo,
    HashValue,
}

#[derive(Clone, Copy, Debug)]
pub enum NumberField {
    MinRam,
    MinDisk,
    Size,
    VirtualSize,
}

#[derive(Clone, Copy, Debug)]
pub enum TimeField {
    Created,
    Updated,
}

#[derive(Clone, Copy, Debug)]
pub enum TimeTest {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

impl NumberField {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "min_ram" => Some(Self::MinRam),
            "min_disk" => Some(Self::MinDisk),
            "size" => Some(Self::Size),
            "virtual_size" => Some(Self::VirtualSize),
            _ => None,
        }
    }

    /// The number of an image, if it has one.
    fn of(self, image: &Image) -> Option<u64> {
        match self {
            Self::MinRam => Some(image.min_ram),
            Self::MinDisk => Some(image.min_disk),
            Self::Size => image.size,
            Self::VirtualSize => image.virtual_size,
        }
    }
}

impl Filter {
    /// The filter that an argument of the query asks for; one that has no name of ours is about a
    /// custom property.
    ///
    /// # Errors
    /// 400 with Glance's sentence for a value that is not as it must be.
    pub fn parse(name: &str, value: &str) -> Result<Self, ApiError> {
        if let Some(field) = NumberField::parse(name) {
            return Ok(Self::Number(field, number::whole(value)));
        }
        if name.ends_with("_min") || name.ends_with("_max") {
            return bound(name, value);
        }
        let one_of = |field| {
            let mut texts = any_of(value)?;
            // There may be thousands, and each image is compared with them.
            texts.sort_unstable();
            texts.dedup();
            Ok::<_, ApiError>(Self::Text(field, texts))
        };
        Ok(match name {
            "name" => one_of(TextField::Name)?,
            "status" => one_of(TextField::Status)?,
            "container_format" => one_of(TextField::ContainerFormat)?,
            "disk_format" => one_of(TextField::DiskFormat)?,
            "id" => one_of(TextField::Id)?,
            "checksum" => Self::Text(TextField::Checksum, vec![value.to_owned()]),
            "os_hash_algo" => Self::Text(TextField::HashAlgo, vec![value.to_owned()]),
            "os_hash_value" => Self::Text(TextField::HashValue, vec![value.to_owned()]),
            "created_at" => time(TimeField::Created, name, value)?,
            "updated_at" => time(TimeField::Updated, name, value)?,
            property => Self::Property(property.to_owned(), value.to_owned()),
        })
    }

    /// `false` if an image certainly does not pass, by what an index holds of it: all, unless its tags and
    /// properties have an item of their own.
    pub fn may_pass(&self, image: &Image, fingerprints: Option<&Fingerprints>) -> bool {
        let may_have = |wanted| fingerprints.is_none_or(|all| all.may_have(wanted));
        match self {
            Self::Tag(tag) if image.incomplete => may_have(Feature::Tag(tag)),
            Self::Property(name, value) if image.incomplete => {
                may_have(Feature::Property(name, value))
            }
            Self::Text(..)
            | Self::Number(..)
            | Self::Min(..)
            | Self::Max(..)
            | Self::Protected(_)
            | Self::Hidden(_)
            | Self::Tag(_)
            | Self::Time(..)
            | Self::Property(..)
            // Of an image without its properties it says yes.
            | Self::PropertyOrNone(..) => self.passes(image),
        }
    }

    /// Whether an image passes.
    pub fn passes(&self, image: &Image) -> bool {
        match self {
            Self::Text(field, wanted) => field.is_one_of(image, wanted),
            Self::Number(field, wanted) => wanted.is_some() && field.of(image) == *wanted,
            Self::Min(field, min) => field.of(image).is_some_and(|n| i128::from(n) >= *min),
            Self::Max(field, max) => field.of(image).is_some_and(|n| i128::from(n) <= *max),
            Self::Protected(wanted) => image.protected == *wanted,
            Self::Hidden(wanted) => image.os_hidden == *wanted,
            Self::Tag(tag) => image.tags.contains(tag),
            Self::Time(TimeField::Created, test, wanted) => test.holds(image.created_at, *wanted),
            Self::Time(TimeField::Updated, test, wanted) => test.holds(image.updated_at, *wanted),
            Self::Property(name, value) => image.properties.get(name) == Some(value),
            Self::PropertyOrNone(name, value) => image
                .properties
                .get(name)
                .is_none_or(|found| found == value),
        }
    }

    /// Texts of which the projection of an image that passes contains one; `None` if the store cannot
    /// evaluate this.
    pub fn texts(&self) -> Option<Vec<String>> {
        let of = |held: Held<'_>| vec![held.text(), TEXTS_APART.to_owned()];
        match self {
            Self::Text(field, wanted) => {
                let texts = wanted.iter().map(|value| Some(field.held(value)?.text()));
                let texts: Vec<_> = texts.collect::<Option<_>>()?;
                (1..=TEXTS_MAX).contains(&texts.len()).then_some(texts)
            }
            Self::Tag(tag) => Some(of(Held::Tag(tag))),
            Self::Property(name, value) => Some(of(Held::Property(name, value))),
            Self::Number(..)
            | Self::Min(..)
            | Self::Max(..)
            | Self::Protected(_)
            | Self::Hidden(_)
            | Self::PropertyOrNone(..)
            | Self::Time(..) => None,
        }
    }
}

impl TextField {
    /// The value as a projection holds it.
    const fn held(self, value: &str) -> Option<Held<'_>> {
        Some(match self {
            Self::Name => Held::Name(value),
            Self::Status => Held::Status(value),
            Self::ContainerFormat => Held::ContainerFormat(value),
            Self::DiskFormat => Held::DiskFormat(value),
            Self::Checksum => Held::Checksum(value),
            Self::HashAlgo => Held::OsHashAlgo(value),
            Self::HashValue => Held::OsHashValue(value),
            Self::Id => return None,
        })
    }

    /// Whether an image has one of these texts.
    fn is_one_of(self, image: &Image, wanted: &[String]) -> bool {
        let value = match self {
            Self::Name => image.name.as_deref(),
            Self::Status => Some(&*image.status),
            Self::ContainerFormat => image.container_format.as_deref(),
            Self::DiskFormat => image.disk_format.as_deref(),
            Self::Id => return wanted.binary_search(&image.id.to_string()).is_ok(),
            Self::Checksum => image.checksum.as_deref(),
            Self::HashAlgo => image.os_hash_algo.as_deref(),
            Self::HashValue => image.os_hash_value.as_deref(),
        };
        let found = |value| wanted.binary_search_by(|text| text.as_str().cmp(value));
        value.is_some_and(|value| found(value).is_ok())
    }
}

impl TimeTest {
    /// Times are shown, and so compared, in whole seconds.
    fn holds(self, time: Timestamp, wanted: Timestamp) -> bool {
        let (time, wanted) = (time.unix_seconds(), wanted.unix_seconds());
        match self {
            Self::Gt => time > wanted,
            Self::Gte => time >= wanted,
            Self::Lt => time < wanted,
            Self::Lte => time <= wanted,
            Self::Eq => time == wanted,
            Self::Neq => time != wanted,
        }
    }
}

/// `true` or `false`.
///
/// # Errors
/// 400 for another word.
pub fn flag(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(ApiError::bad_request(format!(
            "Invalid value '{other}' for '{name}' filter. Valid values are 'true' or 'false'."
        ))),
    }
}

/// The bound that an argument such as `size_min` asks for. On what is no number of an image it is
/// about a custom property of that whole name.
fn bound(name: &str, value: &str) -> Result<Filter, ApiError> {
    let bound = number::integer(value).ok_or_else(|| {
        ApiError::bad_request("Unable to filter on a range with a non-numeric value.")
    })?;
    let of_min = name.strip_suffix("_min").and_then(NumberField::parse);
    let of_max = name.strip_suffix("_max").and_then(NumberField::parse);
    Ok(match (of_min, of_max) {
        (Some(field), _) => Filter::Min(field, bound),
        (None, Some(field)) => Filter::Max(field, bound),
        (None, None) => Filter::Property(name.to_owned(), value.to_owned()),
    })
}

/// The operator in front of a colon and the value behind it. A value without a colon, or one that is
/// a time with colons of its own, is to be equal.
fn operator(value: &str) -> (&str, &str) {
    match value.split_once(':') {
        Some(parts) if Timestamp::parse_iso8601(value).is_none() => parts,
        _ => ("eq", value),
    }
}

/// `in:a,b`, `eq:a` or just `a`.
fn any_of(value: &str) -> Result<Vec<String>, ApiError> {
    match operator(value) {
        ("in", list) => listed(list),
        ("eq", text) => Ok(vec![text.to_owned()]),
        (unknown, _) => Err(ApiError::bad_request(format!(
            "Unable to filter by unknown operator '{unknown}'."
        ))),
    }
}

/// The texts of a list with commas; a comma within quotes is part of a text. As in Glance, a quote
/// after a backslash does not end a text, and both stay in it.
fn listed(list: &str) -> Result<Vec<String>, ApiError> {
    check_quotes(list)?;
    let mut texts = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|inner| {
            let mut escaped = false;
            let end = inner.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            inner.split_at_checked(end)
        });
        let (text, after) = match quoted {
            Some((text, after)) => (text, after.strip_prefix('"').unwrap_or(after)),
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        texts.push(text.to_owned());
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Ok(texts)
}

/// Checks that quotes stand around whole texts and are closed.
fn check_quotes(list: &str) -> Result<(), ApiError> {
    let bad = |what: &str| {
        Err(ApiError::bad_request(format!(
            "Invalid filter value {list}. {what}"
        )))
    };
    let mut open = false;
    let mut before = None;
    let mut characters = list.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '"' && before != Some('\\') {
            if open && characters.peek().is_some_and(|next| *next != ',') {
                return bad("There is no comma after closing quotation mark.");
            }
            if !open && before.is_some_and(|before| before != ',') {
                return bad("There is no comma before opening quotation mark.");
            }
            open = !open;
        }
        before = Some(c);
    }
    if open {
        return bad("The quote is not closed.");
    }
    Ok(())
}

/// `gte:2024-11-06T00:00:00Z` and the like.
fn time(field: TimeField, name: &str, value: &str) -> Result<Filter, ApiError> {
    let (operator, text) = operator(value);
    let wanted = Timestamp::parse_iso8601(text).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Bad \"{name}\" query filter format. Use ISO 8601 DateTime notation."
        ))
    })?;
    let test = match operator {
        "gt" => TimeTest::Gt,
        "gte" => TimeTest::Gte,
        "lt" => TimeTest::Lt,
        "lte" => TimeTest::Lte,
        "eq" => TimeTest::Eq,
        "neq" => TimeTest::Neq,
        _ => {
            return Err(ApiError::bad_request(
                "Unable to filter on a unknown operator.",
            ));
        }
    };
    Ok(Filter::Time(field, test, wanted))
}

#[cfg(test)]
mod tests;
