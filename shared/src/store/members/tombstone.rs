//! The tombstone that a removed membership leaves under its key.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::keys::{self as at, Item, n, s};
use crate::domain::id::OperationId;
use crate::domain::time::Timestamp;

/// Seconds that a tombstone is kept: longer than any message can be under way.
pub const TOMBSTONE_SECONDS: i64 = 14 * 24 * 3600;

/// The part of every update that leaves a tombstone: [`tombstone_names`] and
/// [`tombstone_values`] belong to it.
pub(super) const TOMBSTONE: &str = "SET #gone = :true, #op = :op, #expires = :expires";

pub(super) fn tombstone_names() -> Option<HashMap<String, String>> {
    let names = [
        ("#pk", at::PK),
        ("#gone", at::GONE),
        ("#op", at::OP),
        ("#expires", at::EXPIRES_AT),
    ];
    Some(HashMap::from(names.map(|(name, attribute)| {
        (name.to_owned(), attribute.to_owned())
    })))
}

pub(super) fn tombstone_values(op: OperationId, now: Timestamp) -> Option<Item> {
    let values = [
        (":true", AttributeValue::Bool(true)),
        (":op", s(op.to_string())),
        (":expires", n(now.unix_seconds() + TOMBSTONE_SECONDS)),
    ];
    Some(HashMap::from(
        values.map(|(name, value)| (name.to_owned(), value)),
    ))
}
