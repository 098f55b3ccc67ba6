//! Runs a function that takes the queue's messages, and tells the queue which are to come again.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::app::App;
use super::metrics::{self, Metrics};
use crate::domain::error::ApiError;
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::queue::REQUEST_ID;

/// What SQS hands to a function: only what we read of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SqsEvent {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<SqsRecord>,
}

/// One delivery of a message.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsRecord {
    /// The id to name if it is to come again.
    pub message_id: String,
    /// The text that was sent.
    pub body: String,
    /// What the queue says of it.
    #[serde(default)]
    pub attributes: SqsAttributes,
    /// What the sender said of it.
    #[serde(default)]
    pub message_attributes: BTreeMap<String, SqsMessageAttribute>,
}

/// One attribute that the sender gave a message; only texts are looked at.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsMessageAttribute {
    /// Its text.
    #[serde(default)]
    pub string_value: Option<String>,
}

/// What the queue says of a message.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SqsAttributes {
    /// How often it was delivered, this time included; a number written as text.
    #[serde(default)]
    pub approximate_receive_count: String,
}

impl SqsRecord {
    /// The message.
    ///
    /// # Errors
    /// If it is not one of ours; the error has the place and nothing of the body.
    pub fn message(&self) -> Result<Message, ApiError> {
        serde_json::from_str(&self.body).map_err(|e| {
            ApiError::internal(format!(
                "message is not ours: {:?} error at column {}",
                e.classify(),
                e.column()
            ))
        })
    }

    /// The id of the request that sent the message; empty if nobody said.
    pub fn request_id(&self) -> &str {
        let sent = self.message_attributes.get(REQUEST_ID);
        sent.and_then(|sent| sent.string_value.as_deref())
            .unwrap_or_default()
    }

    /// Whether this is not the first delivery, as far as the queue knows.
    pub fn is_redelivery(&self) -> bool {
        self.attributes.approximate_receive_count != "1"
    }
}

/// Which messages are to come again; all others are done with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The failed ones.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that is to come again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its id, as it was given.
    pub item_identifier: String,
}

/// Handles each message of an event by itself: one that cannot be read, fails or panics comes
/// again alone. The handler gets the app, the delivery, and when to stop. The function's name is
/// what its metrics are under.
pub async fn each<H, F>(
    function: &'static str,
    app: App,
    event: SqsEvent,
    until: Timestamp,
    handler: H,
) -> BatchResponse
where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let deliveries: Vec<_> = event
        .records
        .into_iter()
        .map(|record| {
            let id = record.message_id.clone();
            let span =
                tracing::info_span!("message", request.id = record.request_id(), message.id = %id);
            let request_id = record.request_id().to_owned();
            let (metrics, now) = (app.metrics().clone(), app.now());
            let work = handler(app.clone(), record, until);
            let work = observed(function, metrics, now, request_id, work);
            (id, tokio::spawn(work.instrument(span)))
        })
        .collect();
    let mut response = BatchResponse::default();
    for (id, task) in deliveries {
        let why = match task.await {
            Ok(Ok(())) => continue,
            Ok(Err(ApiError::Internal(why) | ApiError::Unavailable(why))) => {
                why.for_log().to_owned()
            }
            Ok(Err(other)) => format!("refused: {}", other.for_log()),
            Err(_) => "the handler panicked".to_owned(),
        };
        tracing::error!(message.id = %id, error.why = %why, "message comes again");
        response.batch_item_failures.push(BatchItemFailure {
            item_identifier: id,
        });
    }
    response
}

/// Does what a message asks for, and tells how it went in the log and in the metrics.
async fn observed<F>(
    function: &str,
    metrics: Metrics,
    now: Timestamp,
    request_id: String,
    work: F,
) -> Result<(), ApiError>
where
    F: Future<Output = Result<(), ApiError>>,
{
    let (outcome, usage) = metrics::measured(work).await;
    let ended = metrics::Ended {
        how: "handled",
        status: None,
        refused: false,
        failed: outcome.is_err(),
    };
    let properties = [("RequestId", request_id.as_str())];
    metrics.report(now, &usage, &ended, &properties, || function.to_owned());
    outcome
}

/// Runs a function that takes messages under the Lambda runtime.
///
/// # Errors
/// If the configuration is not complete, by the name of what is missing.
pub async fn serve<H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let app = App::from_env()?;
    let app = &app;
    lambda_runtime::run(lambda_runtime::service_fn(
        move |event: lambda_runtime::LambdaEvent<SqsEvent>| async move {
            let until = micros_of(event.context.deadline() - MARGIN);
            Ok::<_, std::convert::Infallible>(
                each(function, app.clone(), event.payload, until, handler).await,
            )
        },
    ))
    .await
}

/// What is left of an invocation's time when nothing new is begun.
pub(crate) const MARGIN: Duration = Duration::from_secs(3);

/// The host's time as a timestamp.
pub(crate) fn micros_of(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
