//! The one table. Every write is one conditional request that answers with what happened.
//!
//! | file | what it keeps |
//! |---|---|
//! | [`schema`] | the name of everything in the table |
//! | `item` | records to items and back |
//! | `write` | sending a write: what is tried again, and how long |
//! | [`images`] | images: create, show, change, delete |
//! | [`list`] | the sorted streams that lists of images are made of |
//! | [`members`] | memberships: add, answer, remove, list, keep in line with their image |
//! | [`due`] | what records oblige somebody to do |
//! | [`access_keys`] | keys of signed requests, in a table of their own |
//! | [`jobs`], [`job_list`] | jobs: create, finish a chunk, show, list, idempotency |

pub mod access_keys;
pub mod due;
pub mod images;
mod item;
pub mod job_list;
pub mod jobs;
pub mod list;
pub mod members;
pub mod schema;
pub mod usage;
mod write;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use crate::cache::Cache;
use crate::error::ApiError;
use crate::id::{ImageId, OperationId, ProjectId};
use crate::image::Image;
use crate::store::schema::Item;
use crate::store::write::Tries;
use crate::time::Timestamp;

/// Seconds that a tombstone is kept: longer than any message can be under way.
pub const TOMBSTONE_SECONDS: i64 = 14 * 24 * 3600;
/// Most keys of one `BatchGetItem`.
const BATCH_GET_MAX: usize = 100;
/// How many images' owners and ages an instance remembers.
const KNOWN_MAX: usize = 10_000;

/// The table, and what an instance may remember of it.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    indexes: Indexes,
    known: Arc<Cache<ImageId, Known>>,
}

/// Whether an index shows a write at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexes {
    /// As in the embedded engine.
    Immediate,
    /// After a while, as in DynamoDB.
    Eventual,
}

/// What an instance remembers of an image. The age never changes, and a transaction that adds a
/// member cannot read it. The owner may be another one by now, which the transaction's condition
/// finds: it only says for whom a transaction is worth a try.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    owner: ProjectId,
    created_at: Timestamp,
}

impl Store {
    /// The table of that name.
    pub fn new(client: Client, table: String, indexes: Indexes) -> Self {
        Self {
            client,
            table,
            indexes,
            known: Arc::new(Cache::new(KNOWN_MAX)),
        }
    }

    fn remember(&self, image: &Image) {
        let known = Known {
            owner: image.owner.clone(),
            created_at: image.created_at,
        };
        self.known
            .insert(image.id, known, Timestamp::from_micros(i64::MAX));
    }

    fn remembered(&self, id: ImageId) -> Option<Known> {
        self.known.get(&id, Timestamp::from_micros(0))
    }

    /// Reads the items of these keys, strongly consistent, in as few requests as fit. Missing
    /// ones are missing from the answer.
    async fn batch_get(&self, keys: Vec<Item>) -> Result<Vec<Item>, ApiError> {
        match keys.len() {
            1..=BATCH_GET_MAX => self.batch_get_once(keys).await,
            _ => {
                let requests = keys
                    .chunks(BATCH_GET_MAX)
                    .map(|keys| self.batch_get_once(keys.to_vec()));
                Ok(futures::future::try_join_all(requests).await?.concat())
            }
        }
    }

    async fn batch_get_once(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, ApiError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut tries = Tries::begin();
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut keys)))
                .consistent_read(true)
                .build()
                .map_err(|e| ApiError::internal(format!("batch get: {e}")))?;
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted);
            let answer = Box::pin(request.send()).await;
            let answer = answer.map_err(|e| failed("batch get", &e))?;
            for items in answer.responses.unwrap_or_default().into_values() {
                found.extend(items);
            }
            match answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.table)
            {
                Some(rest) if !rest.keys.is_empty() => keys = rest.keys,
                _ => return Ok(found),
            }
            if !tries.again().await {
                return Err(ApiError::unavailable("batch get: keys stay unprocessed"));
            }
        }
    }
}

/// The part of every update that leaves a tombstone: [`tombstone_names`] and
/// [`tombstone_values`] belong to it.
const TOMBSTONE: &str = "SET #gone = :true, #op = :op, #expires = :expires";

fn tombstone_names() -> Option<HashMap<String, String>> {
    let names = [
        ("#pk", schema::PK),
        ("#gone", schema::GONE),
        ("#op", schema::OP),
        ("#expires", schema::EXPIRES_AT),
    ];
    Some(HashMap::from(names.map(|(name, attribute)| {
        (name.to_owned(), attribute.to_owned())
    })))
}

fn tombstone_values(op: OperationId, now: Timestamp) -> Option<Item> {
    let values = [
        (":true", AttributeValue::Bool(true)),
        (":op", schema::s(op.to_string())),
        (
            ":expires",
            schema::n(now.unix_seconds() + TOMBSTONE_SECONDS),
        ),
    ];
    Some(HashMap::from(
        values.map(|(name, value)| (name.to_owned(), value)),
    ))
}

/// A request that failed for another cause than its condition: try again later, or ours to mend.
fn failed<E, R>(what: &str, error: &SdkError<E, R>) -> ApiError
where
    E: ProvideErrorMetadata + Debug,
    R: Debug,
{
    let Some(service) = error.as_service_error() else {
        // No answer, or one that is not DynamoDB's.
        let kind = match error {
            SdkError::TimeoutError(_) => "timeout",
            SdkError::DispatchFailure(_) => "no connection",
            SdkError::ResponseError(_) => "unreadable answer",
            SdkError::ConstructionFailure(_) => {
                return ApiError::internal(format!("{what}: {error:?}"));
            }
            _ => "failure",
        };
        return ApiError::unavailable(format!("{what}: {kind}"));
    };
    let code = service.code().unwrap_or("unknown");
    let words = format!("{what}: {code}: {}", service.message().unwrap_or_default());
    match code {
        "ThrottlingException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "TransactionConflictException"
        | "TransactionInProgressException"
        | "TransactionCanceledException"
        | "LimitExceededException" => ApiError::unavailable(words),
        _ => ApiError::internal(words),
    }
}

/// A record that does not parse is told to us and does not take its neighbours along.
fn skip(corrupt: &ApiError) {
    if let ApiError::Internal(why) = corrupt {
        tracing::error!(error.why = why.for_log(), "left out of a list");
    }
}
