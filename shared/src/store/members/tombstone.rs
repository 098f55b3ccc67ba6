//! The tombstone that a removed membership leaves under its key.

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::keys::{Item, n, s};
use crate::domain::actor::Actor;
use crate::domain::id::OperationId;
use crate::domain::time::Timestamp;

/// How long a tombstone is kept, in seconds: longer than any message can be on its way.
pub const TOMBSTONE_SECONDS: i64 = 14 * 24 * 3600;

/// The part of every update that leaves a tombstone; its values are [`tombstone_values`].
pub(super) const fn tombstone(by: Option<&Actor>) -> &'static str {
    match by {
        Some(_) => "SET #gone = :true, #op = :op, #expires_at = :expires, #by = :by",
        None => "SET #gone = :true, #op = :op, #expires_at = :expires",
    }
}

/// The condition that the key is free for `:op`: nothing is stored, or an older tombstone.
pub(super) const NO_NEWER_MEMBERSHIP: &str =
    "attribute_not_exists(#pk) OR (attribute_exists(#gone) AND #op < :op)";

pub(super) fn tombstone_values(
    op: OperationId,
    now: Timestamp,
    by: Option<&Actor>,
) -> Option<Item> {
    let mut values = Item::from([
        (":true".to_owned(), AttributeValue::Bool(true)),
        (":op".to_owned(), s(op.to_string())),
        (
            ":expires".to_owned(),
            n(now.unix_seconds() + TOMBSTONE_SECONDS),
        ),
    ]);
    values.extend(by.map(|by| (":by".to_owned(), s(by.stored()))));
    Some(values)
}
