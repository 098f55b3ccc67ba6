//! The filters of a list: what one is, and which images pass it. Pure.

use shared::error::ApiError;
use shared::image::Image;
use shared::image::card::{Card, Trait};
use shared::time::Timestamp;

/// What an image must be to be in a list.
#[derive(Clone, Debug)]
pub enum Filter {
    /// One of some texts.
    Text(TextField, Vec<String>),
    /// A number as text.
    Number(NumberField, String),
    /// Whether it is safe from deletion.
    Protected(bool),
    /// Whether lists leave it out.
    Hidden(bool),
    /// One of its tags.
    Tag(String),
    /// At least so many bytes.
    SizeMin(u64),
    /// At most so many bytes.
    SizeMax(u64),
    /// A time before, after or at another.
    Time(TimeField, TimeTest, Timestamp),
    /// A custom property and its value.
    Property(String, String),
}

#[derive(Clone, Copy, Debug)]
pub enum TextField {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Id,
    Checksum,
    HashValue,
}

#[derive(Clone, Copy, Debug)]
pub enum NumberField {
    MinRam,
    MinDisk,
    Size,
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

impl Filter {
    /// The filter that an argument of the query asks for; one that has no name of ours is about a
    /// custom property.
    ///
    /// # Errors
    /// 400 with a sentence for a value that is not as it must be.
    pub fn parse(name: &str, value: &str) -> Result<Self, ApiError> {
        let number = || {
            value.parse::<u64>().map_err(|_| {
                ApiError::bad_request(format!(
                    "Unable to filter on a range with a non-numeric value for {name}."
                ))
            })
        };
        Ok(match name {
            "name" => Self::Text(TextField::Name, any_of(value)?),
            "status" => Self::Text(TextField::Status, any_of(value)?),
            "container_format" => Self::Text(TextField::ContainerFormat, any_of(value)?),
            "disk_format" => Self::Text(TextField::DiskFormat, any_of(value)?),
            "id" => Self::Text(TextField::Id, any_of(value)?),
            "checksum" => Self::Text(TextField::Checksum, vec![value.to_owned()]),
            "os_hash_value" => Self::Text(TextField::HashValue, vec![value.to_owned()]),
            "min_ram" => Self::Number(NumberField::MinRam, value.to_owned()),
            "min_disk" => Self::Number(NumberField::MinDisk, value.to_owned()),
            "size" => Self::Number(NumberField::Size, value.to_owned()),
            "size_min" => Self::SizeMin(number()?),
            "size_max" => Self::SizeMax(number()?),
            "protected" => Self::Protected(flag(name, value)?),
            "tag" => Self::Tag(value.trim().to_owned()),
            "created_at" => time(TimeField::Created, value)?,
            "updated_at" => time(TimeField::Updated, value)?,
            property => Self::Property(property.to_owned(), value.to_owned()),
        })
    }

    /// `false` if an image certainly does not pass, by what an index knows of it.
    pub fn may_pass(&self, card: &Card) -> bool {
        let is = |value: &Option<String>, wanted: &[String]| {
            value.as_ref().is_some_and(|value| wanted.contains(value))
        };
        let has = |name: &str, wanted: &[String]| {
            wanted
                .iter()
                .any(|value| card.may_have(Trait::Property(name, value)))
        };
        match self {
            Self::Text(field, wanted) => match field {
                TextField::Name => is(&card.name, wanted),
                TextField::Status => wanted.contains(&card.status),
                TextField::ContainerFormat => is(&card.container_format, wanted),
                TextField::DiskFormat => is(&card.disk_format, wanted),
                TextField::Id => wanted.contains(&card.id.to_string()),
                TextField::Checksum => has("checksum", wanted),
                TextField::HashValue => has("os_hash_value", wanted),
            },
            Self::Number(field, wanted) => match field {
                NumberField::MinRam => card.may_have(Trait::Property("min_ram", wanted)),
                NumberField::MinDisk => card.may_have(Trait::Property("min_disk", wanted)),
                NumberField::Size => card.size.is_some_and(|size| size.to_string() == *wanted),
            },
            Self::Protected(wanted) => card.protected == *wanted,
            Self::Hidden(wanted) => card.os_hidden == *wanted,
            Self::Tag(tag) => card.may_have(Trait::Tag(tag)),
            Self::SizeMin(min) => card.size.is_some_and(|size| size >= *min),
            Self::SizeMax(max) => card.size.is_some_and(|size| size <= *max),
            Self::Time(field, test, wanted) => {
                let time = match field {
                    TimeField::Created => card.created_at,
                    TimeField::Updated => card.updated_at,
                };
                test.holds(time, *wanted)
            }
            Self::Property(name, value) => card.may_have(Trait::Property(name, value)),
        }
    }

    /// Whether an image passes.
    pub fn passes(&self, image: &Image) -> bool {
        let is = |value: &Option<String>, wanted: &[String]| {
            value.as_ref().is_some_and(|value| wanted.contains(value))
        };
        match self {
            Self::Text(field, wanted) => match field {
                TextField::Name => is(&image.name, wanted),
                TextField::Status => wanted.contains(&image.status),
                TextField::ContainerFormat => is(&image.container_format, wanted),
                TextField::DiskFormat => is(&image.disk_format, wanted),
                TextField::Id => wanted.contains(&image.id.to_string()),
                TextField::Checksum => is(&image.checksum, wanted),
                TextField::HashValue => is(&image.os_hash_value, wanted),
            },
            Self::Number(field, wanted) => {
                let number = match field {
                    NumberField::MinRam => Some(image.min_ram),
                    NumberField::MinDisk => Some(image.min_disk),
                    NumberField::Size => image.size,
                };
                number.is_some_and(|number| number.to_string() == *wanted)
            }
            Self::Protected(wanted) => image.protected == *wanted,
            Self::Hidden(wanted) => image.os_hidden == *wanted,
            Self::Tag(tag) => image.tags.contains(tag),
            Self::SizeMin(min) => image.size.is_some_and(|size| size >= *min),
            Self::SizeMax(max) => image.size.is_some_and(|size| size <= *max),
            Self::Time(field, test, wanted) => {
                let time = match field {
                    TimeField::Created => image.created_at,
                    TimeField::Updated => image.updated_at,
                };
                test.holds(time, *wanted)
            }
            Self::Property(name, value) => image.properties.get(name) == Some(value),
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

/// `in:a,b` or one text; a comma within quotes is part of a text.
fn any_of(value: &str) -> Result<Vec<String>, ApiError> {
    let Some(list) = value.strip_prefix("in:") else {
        return Ok(vec![value.to_owned()]);
    };
    let mut texts = vec![String::new()];
    let mut quoted = false;
    for c in list.chars() {
        match (c, quoted) {
            ('"', _) => quoted = !quoted,
            (',', false) => texts.push(String::new()),
            (c, _) => {
                if let Some(text) = texts.last_mut() {
                    text.push(c);
                }
            }
        }
    }
    if quoted {
        return Err(ApiError::bad_request(format!(
            "Invalid filter value {list}. The quote is not closed."
        )));
    }
    Ok(texts)
}

/// `gte:2024-11-06T00:00:00Z` and the like.
fn time(field: TimeField, value: &str) -> Result<Filter, ApiError> {
    let (test, text) = match value.split_once(':') {
        Some(("gt", text)) => (TimeTest::Gt, text),
        Some(("gte", text)) => (TimeTest::Gte, text),
        Some(("lt", text)) => (TimeTest::Lt, text),
        Some(("lte", text)) => (TimeTest::Lte, text),
        Some(("eq", text)) => (TimeTest::Eq, text),
        Some(("neq", text)) => (TimeTest::Neq, text),
        _ => (TimeTest::Eq, value),
    };
    let wanted = Timestamp::parse(text)
        .ok_or_else(|| ApiError::bad_request(format!("Invalid time format: {text}.")))?;
    Ok(Filter::Time(field, test, wanted))
}
