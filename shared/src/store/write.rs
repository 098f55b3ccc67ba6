//! Sends writes. Nothing else retries a write.
//!
//! A write that conflicts with a transaction, or that is throttled, is sent again after a random
//! pause, for at most [`PATIENCE`]. The AWS SDK retries neither.

use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use tokio::time::Instant;

use super::client::{Client, Request};
use super::keys::Item;
use super::sdk_error::{code, failed};
use crate::domain::error::ApiError;

/// How long a write is retried. Together with the last try this is less than any function's time-out.
const PATIENCE: Duration = Duration::from_secs(4);
/// The longest pause before the next try, in milliseconds.
const PAUSE_MAX_MS: u64 = 200;

/// How a write of one item ended.
pub(super) enum Single<T> {
    /// It was applied.
    Applied(T),
    /// Its condition failed. The item as it is stored, if it exists and the request asked for it.
    ConditionFailed(Option<Item>),
}

impl<T> Single<T> {
    /// Whether its condition held.
    pub(super) const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }

    /// The same without what the store returned.
    pub(super) fn without_output(self) -> Single<()> {
        match self {
            Self::Applied(_) => Single::Applied(()),
            Self::ConditionFailed(stored) => Single::ConditionFailed(stored),
        }
    }
}

/// How a transaction ended.
pub(super) enum Transacted {
    /// All of it was applied.
    Applied,
    /// None of it was applied. One reason for each write, with the stored item where a condition failed.
    Cancelled(Vec<CancellationReason>),
}

impl Transacted {
    /// How the first write ended, in a transaction whose other writes have no condition.
    pub(super) fn first(self) -> Single<()> {
        match self {
            Self::Applied => Single::Applied(()),
            Self::Cancelled(reasons) => {
                let first = reasons.into_iter().next();
                Single::ConditionFailed(first.and_then(|reason| reason.item))
            }
        }
    }
}

/// A write that can be part of a transaction.
pub(super) trait TransactionWrite {
    fn into_item(self) -> TransactWriteItem;
}

macro_rules! transaction_writes {
    ($($write:ident: $field:ident),+) => {
        $(impl TransactionWrite for $write {
            fn into_item(self) -> TransactWriteItem {
                TransactWriteItem::builder().$field(self).build()
            }
        })+
    };
}

transaction_writes!(Put: put, Update: update, Delete: delete, ConditionCheck: condition_check);

/// A write as a part of a transaction, as its builder has built it.
///
/// # Errors
/// If something is missing in it.
pub(super) fn transaction_item<W: TransactionWrite>(
    what: &str,
    write: Result<W, BuildError>,
) -> Result<TransactWriteItem, ApiError> {
    write
        .map(W::into_item)
        .map_err(|error| ApiError::internal(format!("{what}: {error}")))
}

/// The error type of a conditional write.
pub(super) trait Conditional {
    /// `Some` if the condition failed, with the stored item if the request asked for it.
    fn failed_condition(&self) -> Option<Option<Item>>;
}

macro_rules! conditional {
    ($($error:ident),+) => {
        $(impl Conditional for $error {
            fn failed_condition(&self) -> Option<Option<Item>> {
                match self {
                    Self::ConditionalCheckFailedException(failed) => Some(failed.item().cloned()),
                    _ => None,
                }
            }
        })+
    };
}

conditional!(PutItemError, UpdateItemError, DeleteItemError);

/// Sends a write of one item until it is applied or its condition fails.
///
/// # Errors
/// If the store does not answer, or conflicts do not end within [`PATIENCE`].
pub(super) async fn single<R>(
    client: &Client,
    what: &'static str,
    request: R,
) -> Result<Single<R::Output>, ApiError>
where
    R: Request,
    R::Error: Conditional + ProvideErrorMetadata,
{
    let mut tries = Tries::begin();
    loop {
        let error = match client.send(&request).await {
            Ok(output) => return Ok(Single::Applied(output)),
            Err(error) => error,
        };
        if let Some(item) = error
            .as_service_error()
            .and_then(Conditional::failed_condition)
        {
            return Ok(Single::ConditionFailed(item));
        }
        if !passes(&error) || !tries.again().await {
            return Err(failed(what, &error));
        }
        tracing::debug!(store.operation = what, "sent again");
    }
}

/// Whether the same write may succeed in a moment.
fn passes<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    code(error).is_some_and(passes_soon)
}

fn passes_soon(code: &str) -> bool {
    matches!(
        code,
        "TransactionConflictException"
            | "TransactionConflict"
            | "TransactionInProgressException"
            | "ThrottlingException"
            | "ThrottlingError"
            | "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "RequestLimitExceeded"
    )
}

/// Sends one transaction until it is applied or cancelled by a condition.
///
/// After a conflict or a lost answer the same transaction is sent again with the same client token, so
/// it is applied at most once.
pub(super) async fn transact(
    client: &Client,
    what: &'static str,
    items: Vec<TransactWriteItem>,
) -> Result<Transacted, ApiError> {
    let token = uuid::Uuid::new_v4().to_string();
    let request = client
        .transact_write_items()
        .client_request_token(&token)
        .set_transact_items(Some(items));
    let mut tries = Tries::begin();
    loop {
        let error = match client.send(&request).await {
            Ok(_) => return Ok(Transacted::Applied),
            Err(error) => error,
        };
        let again = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons();
                let mut codes = reasons.iter().filter_map(CancellationReason::code);
                if codes.clone().any(passes_soon) {
                    true
                } else if codes.any(|code| code == "ConditionalCheckFailed") {
                    return Ok(Transacted::Cancelled(reasons.to_vec()));
                } else {
                    false
                }
            }
            _ => passes(&error),
        };
        if !again || !tries.again().await {
            return Err(failed(what, &error));
        }
        tracing::debug!(store.operation = what, "sent again");
    }
}

/// Whether this item's condition failed.
pub(super) fn condition_failed(reason: Option<&CancellationReason>) -> bool {
    reason.is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

/// Counts and paces the tries of one write, or of one change that others race for.
pub(super) struct Tries {
    until: Instant,
    made: u32,
}

impl Tries {
    /// Starts the time with the first try.
    pub(super) fn begin() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            made: 1,
        }
    }

    /// Waits before the next try, for a random time that grows with each. Returns `false` if no time is
    /// left for another.
    pub(super) async fn again(&mut self) -> bool {
        let ceiling = PAUSE_MAX_MS.min(4_u64 << self.made.min(8));
        self.made += 1;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=ceiling))).await;
        Instant::now() < self.until
    }
}
