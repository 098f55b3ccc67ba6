//! The one table. Every write is one conditional request that answers with what happened.
//!
//! | file | what it keeps |
//! |---|---|
//! | [`schema`] | the name of everything in the table |
//! | `item` | records to items and back |
//! | [`images`] | images: create, show, change, delete, list |
//! | [`members`] | memberships: add, answer, remove, list |
//! | [`access_keys`] | keys of signed requests, in a table of their own |
//! | [`jobs`] | jobs: create, finish a chunk, show, list, idempotency |

pub mod access_keys;
pub mod images;
mod item;
pub mod jobs;
pub mod members;
pub mod schema;
pub mod usage;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, TransactWriteItem,
};

use crate::error::ApiError;
use crate::id::{ImageId, OperationId};
use crate::store::schema::Item;
use crate::time::Timestamp;

/// Seconds that a tombstone is kept: longer than any message can be under way.
pub const TOMBSTONE_SECONDS: i64 = 14 * 24 * 3600;
/// Most keys of one `BatchGetItem`.
const BATCH_GET_MAX: usize = 100;
/// How often a write is tried again that lost a race.
const RACES: u32 = 60;
/// The longest pause before it, in milliseconds.
const PAUSE_MAX_MS: u64 = 200;
/// How many images' ages an instance remembers.
const AGES_MAX: usize = 10_000;

/// The table, and what an instance may remember of it.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    /// When images were created: it never changes in practice, orders the members' lists, and a
    /// transaction that adds a member cannot read it.
    ages: Arc<Mutex<HashMap<ImageId, Timestamp>>>,
}

impl Store {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            ages: Arc::default(),
        }
    }

    fn remember_age(&self, id: ImageId, created_at: Timestamp) {
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        if ages.len() >= AGES_MAX {
            ages.clear();
        }
        ages.insert(id, created_at);
    }

    fn remembered_age(&self, id: ImageId) -> Option<Timestamp> {
        self.ages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .copied()
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
        for race in 0..RACES {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut keys)))
                .consistent_read(true)
                .build()
                .map_err(|e| ApiError::internal(format!("batch get: {e}")))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .send()
                .await
                .map_err(|e| failed("batch get", &e))?;
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
            pause(race).await;
        }
        Err(ApiError::unavailable("batch get: keys stay unprocessed"))
    }

    /// Sends one transaction until it is applied or cancelled by a condition.
    ///
    /// The very same transaction is sent again under the same client token after a conflict or a
    /// lost answer, so it is applied at most once.
    async fn transact(
        &self,
        what: &'static str,
        items: Vec<TransactWriteItem>,
    ) -> Result<Transacted, ApiError> {
        let token = uuid::Uuid::new_v4().to_string();
        for race in 0..RACES {
            let outcome = self
                .client
                .transact_write_items()
                .client_request_token(&token)
                .set_transact_items(Some(items.clone()))
                .send()
                .await;
            let error = match outcome {
                Ok(_) => return Ok(Transacted::Applied),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reasons = cancelled.cancellation_reasons();
                    let code = |wanted: &str| reasons.iter().any(|r| r.code() == Some(wanted));
                    if code("TransactionConflict")
                        || code("ThrottlingError")
                        || code("ProvisionedThroughputExceeded")
                    {
                        tracing::debug!(store.operation = what, race, "conflict");
                    } else if code("ConditionalCheckFailed") {
                        return Ok(Transacted::Cancelled(reasons.to_vec()));
                    } else {
                        return Err(failed(what, &error));
                    }
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {}
                _ => return Err(failed(what, &error)),
            }
            pause(race).await;
        }
        Err(ApiError::unavailable(format!(
            "{what}: conflicts do not end"
        )))
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

/// How a transaction ended.
enum Transacted {
    /// All of it was applied.
    Applied,
    /// None of it was: one reason an item, with the item as it stood where its condition failed.
    Cancelled(Vec<CancellationReason>),
}

/// Whether this item's condition failed.
fn refused(reason: Option<&CancellationReason>) -> bool {
    reason.is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

/// A random pause that grows with the number of races lost.
async fn pause(race: u32) {
    let ceiling = PAUSE_MAX_MS.min(4_u64 << race.min(8));
    let random = uuid::Uuid::new_v4().as_u128() % u128::from(ceiling);
    let millis = u64::try_from(random).unwrap_or(ceiling) + 1;
    tokio::time::sleep(Duration::from_millis(millis)).await;
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
