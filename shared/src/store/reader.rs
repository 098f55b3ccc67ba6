//! Reads the attributes of items. A value that does not parse is an error that names the key, never a
//! default.
//!
//! A [`Reader`] exists only for records of known versions. A [`Head`] reads what has the same form in every
//! version.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;

use super::keys::{self as at, Item};
use crate::domain::actor::Actor;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};

/// The version of the records that this release writes, and the newest that it reads. A record without
/// [`at::VERSION`] has it. A release raises the version of a record that the release before it must not read, because
/// it would overlook something; an attribute that may be overlooked needs no new version.
pub const VERSION: u32 = 1;

/// Reads the attributes of one item.
pub(super) struct Reader<'a> {
    item: &'a Item,
}

/// The part of an item that has the same form in every version: its key, and the id of its last operation.
pub(super) struct Head<'a>(Reader<'a>);

pub(super) type Read<T> = Result<T, ApiError>;

impl<'a> Reader<'a> {
    /// Reads a record, or an index row: these hold no version, and nothing that depends on it.
    ///
    /// # Errors
    /// If a newer release has written it in a form that this one does not know. It can be tried again: an instance
    /// of that release may be the next to handle the request or the message.
    pub(super) fn of(item: &'a Item) -> Read<Self> {
        let read = Self { item };
        match read.optional_number::<u32>(at::VERSION)? {
            Some(version) if version > VERSION => Err(ApiError::unavailable(format!(
                "record of a newer release: pk={:?} sk={:?} has version {version}, the newest known is {VERSION}",
                read.key(at::PK),
                read.key(at::SK)
            ))),
            Some(_) | None => Ok(read),
        }
    }

    fn key(&self, name: &str) -> Option<&'a String> {
        self.item.get(name).and_then(|value| value.as_s().ok())
    }

    /// The error for a malformed attribute: it names the key and the attribute.
    pub(super) fn corrupt(&self, name: &str) -> ApiError {
        ApiError::internal(format!(
            "corrupt record: attribute {name} of pk={:?} sk={:?}",
            self.key(at::PK),
            self.key(at::SK)
        ))
    }

    pub(super) fn text(&self, name: &str) -> Read<&'a str> {
        self.optional_text(name)?.ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn optional_text(&self, name: &str) -> Read<Option<&'a str>> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.corrupt(name)),
        }
    }

    pub(super) fn parsed<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Read<T> {
        parse(self.text(name)?).ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn optional_number<T: std::str::FromStr>(&self, name: &str) -> Read<Option<T>> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(text)) => text.parse().map(Some).map_err(|_| self.corrupt(name)),
            Some(_) => Err(self.corrupt(name)),
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Read<T> {
        self.optional_number(name)?
            .ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn parsed_number(
        &self,
        name: &str,
        valid: impl FnOnce(usize) -> bool,
    ) -> Read<usize> {
        let number = self.number(name)?;
        if valid(number) {
            Ok(number)
        } else {
            Err(self.corrupt(name))
        }
    }

    pub(super) fn optional_id(&self, name: &str) -> Read<Option<OperationId>> {
        match self.optional_text(name)? {
            None => Ok(None),
            Some(text) => OperationId::parse(text)
                .map(Some)
                .ok_or_else(|| self.corrupt(name)),
        }
    }

    /// Who wrote the record last, if that is recorded.
    pub(super) fn actor(&self) -> Read<Option<Actor>> {
        match self.optional_text(at::BY)? {
            None => Ok(None),
            Some(text) => Actor::parse(text)
                .map(Some)
                .ok_or_else(|| self.corrupt(at::BY)),
        }
    }

    /// The number of members of an image. Releases up to 0.1.0 could count below zero.
    pub(super) fn member_count(&self) -> Read<u64> {
        let count: Option<i64> = self.optional_number(at::MEMBER_COUNT)?;
        Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    pub(super) fn flag(&self, name: &str) -> Read<bool> {
        self.optional_flag(name)?.ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn optional_flag(&self, name: &str) -> Read<Option<bool>> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.corrupt(name)),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Read<Vec<String>> {
        match self.item.get(name) {
            Some(AttributeValue::L(values)) => values
                .iter()
                .map(|value| value.as_s().cloned().map_err(|_| self.corrupt(name)))
                .collect(),
            _ => Err(self.corrupt(name)),
        }
    }

    /// The numbers of a set, which has no attribute while it is empty.
    pub(super) fn numbers<T: std::str::FromStr + Ord>(&self, name: &str) -> Read<BTreeSet<T>> {
        match self.item.get(name) {
            None => Ok(BTreeSet::new()),
            Some(AttributeValue::Ns(numbers)) => numbers
                .iter()
                .map(|number| number.parse().map_err(|_| self.corrupt(name)))
                .collect(),
            Some(_) => Err(self.corrupt(name)),
        }
    }

    /// The bytes of an attribute, if it is there.
    pub(super) fn optional_bytes(&self, name: &str) -> Read<Option<&'a [u8]>> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::B(bytes)) => Ok(Some(bytes.as_ref())),
            Some(_) => Err(self.corrupt(name)),
        }
    }

    /// Whether an attribute is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.item.contains_key(name)
    }

    pub(super) fn text_map(&self, name: &str) -> Read<BTreeMap<String, String>> {
        match self.item.get(name) {
            Some(AttributeValue::M(values)) => values
                .iter()
                .map(|(key, value)| match value {
                    AttributeValue::S(text) => Ok((key.clone(), text.clone())),
                    _ => Err(self.corrupt(name)),
                })
                .collect(),
            _ => Err(self.corrupt(name)),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.has(at::GONE)
    }

    pub(super) fn image_id(&self) -> Read<ImageId> {
        self.parsed(at::PK, at::image_of)
    }

    /// The image and the member that a membership is about.
    pub(super) fn member_key(&self) -> Read<(ImageId, ProjectId)> {
        let member = |sk: &str| ProjectId::parse(sk.strip_prefix(at::MEMBER_PREFIX)?).ok();
        Ok((self.image_id()?, self.parsed(at::SK, member)?))
    }
}

impl<'a> Head<'a> {
    pub(super) fn of(item: &'a Item) -> Self {
        Self(Reader { item })
    }

    /// Partition key and sort key.
    pub(super) fn key(&self) -> Read<(&'a str, &'a str)> {
        Ok((self.0.text(at::PK)?, self.0.text(at::SK)?))
    }

    pub(super) fn image_id(&self) -> Read<ImageId> {
        self.0.image_id()
    }

    pub(super) fn member_key(&self) -> Read<(ImageId, ProjectId)> {
        self.0.member_key()
    }

    pub(super) fn op(&self) -> Read<OperationId> {
        self.0.parsed(at::OP, OperationId::parse)
    }

    /// Whether it is a tombstone.
    pub(super) fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}
