//! Runs a function that receives messages, and reports to the queue which are to be redelivered.

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

/// The event of SQS, as far as it is read.
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
    /// The id by which a failed message is reported.
    pub message_id: String,
    /// The text that was sent.
    pub body: String,
    /// The attributes that the queue gave it.
    #[serde(default)]
    pub attributes: SqsAttributes,
    /// The attributes that the sender gave it.
    #[serde(default)]
    pub message_attributes: BTreeMap<String, SqsMessageAttribute>,
}

/// An attribute that the sender gave a message. Only texts are read.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsMessageAttribute {
    /// The text.
    #[serde(default)]
    pub string_value: Option<String>,
}

/// The attributes that the queue gave a message.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SqsAttributes {
    /// The number of deliveries including this one, as text.
    #[serde(default)]
    pub approximate_receive_count: String,
}

impl SqsRecord {
    /// Parses the message.
    ///
    /// # Errors
    /// If it is malformed. The error names the position and quotes nothing of the body.
    pub fn message(&self) -> Result<Message, ApiError> {
        serde_json::from_str(&self.body).map_err(|e| {
            ApiError::internal(format!(
                "message is not ours: {:?} error at column {}",
                e.classify(),
                e.column()
            ))
        })
    }

    /// The id of the request that sent the message; `-` if the message has none.
    pub fn request_id(&self) -> &str {
        let sent = self.message_attributes.get(REQUEST_ID);
        sent.and_then(|sent| sent.string_value.as_deref())
            .unwrap_or("-")
    }

    /// Whether this is a redelivery, as far as the queue knows.
    pub fn is_redelivery(&self) -> bool {
        self.attributes.approximate_receive_count != "1"
    }
}

/// The partial batch response: which messages are to be redelivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The failed messages.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that is to be redelivered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its id, as the event gave it.
    pub item_identifier: String,
}

/// Handles each message of an event in its own task, so that one that is malformed, fails or panics is
/// redelivered alone. The handler gets the app, the delivery and the time at which to stop. Metrics
/// are published under the function's name.
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
            Ok(Err(error)) if error.is_logged() => {
                tracing::debug!(message.id = %id, error.why = error.for_log(), "message comes again");
                response.batch_item_failures.push(BatchItemFailure {
                    item_identifier: id,
                });
                continue;
            }
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

/// Runs a handler, and reports its result in the log and the metrics.
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

/// Runs a function that receives messages under the Lambda runtime.
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

/// The time left of an invocation when no new work is started.
pub(crate) const MARGIN: Duration = Duration::from_secs(3);

/// Converts the host's time.
pub(crate) fn micros_of(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
