//! Runs a function that receives messages, and reports to the queue which are to be redelivered.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::app::App;
use super::invocation::{self, time_until_left};
use super::metrics::{self, Metrics};
use super::thread;
use crate::domain::error::ApiError;
use crate::domain::message::{Message, Unreadable};
use crate::domain::time::Timestamp;
use crate::queue::{GivenBack, REQUEST_ID};

/// The event of SQS, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SqsEvent {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<SqsRecord>,
}

/// One delivery of a message.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsRecord {
    /// The id by which a failed message is reported.
    pub message_id: String,
    /// Identifies this delivery to the queue.
    #[serde(default)]
    pub receipt_handle: String,
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
    /// The message's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_group_id: Option<String>,
}

impl SqsRecord {
    /// Parses the message.
    ///
    /// # Errors
    /// If a newer release has sent it, or if it is malformed.
    pub fn message(&self) -> Result<Message, Unreadable> {
        Message::of_body(&self.body)
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

    /// How often it was delivered, as far as the queue knows.
    pub fn receives(&self) -> u32 {
        self.attributes
            .approximate_receive_count
            .parse()
            .unwrap_or(1)
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

/// Where messages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The queue of batches, which `run-batch` takes. What fails is given back with a pause.
    Batches,
    /// The dead letters, which `settle-batch` takes. What fails comes again after the visibility timeout.
    DeadLetters,
}

impl Source {
    /// The function that takes the messages.
    pub const fn function(self) -> &'static str {
        match self {
            Self::Batches => "run-batch",
            Self::DeadLetters => "settle-batch",
        }
    }
}

/// What a handler has made of a message, unless it failed for a cause that passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It is done, and is deleted.
    Done,
    /// The handler ran out of time. The message comes again at once.
    GivenBack,
    /// No delivery can succeed. The message becomes a dead letter at once; the words are for the log.
    Poison(String),
}

/// The most receives of a message before the queue makes it a dead letter, as the template has it.
///
/// It is out of reach for a message that only waits for the store: the pauses of `pause_after` let one be
/// received some 300 times in the 24 hours of its job. One whose worker dies each time, 180 seconds
/// apart, becomes a dead letter after 20 hours, while its job is still open.
pub const MAX_RECEIVE_COUNT: u32 = 400;
/// Receives after which a message whose handler panics is poison.
const PANICS: u32 = 5;
/// The longest pause before a message is received again, in seconds, without its random part.
const PAUSE_MAX_SECONDS: u64 = 300;

/// How long a message that failed stays hidden: twice as long each time up to five minutes, and up to a
/// quarter more at random, so that the messages of an outage do not come back together.
fn pause_after(receives: u32) -> Duration {
    let doubled = 1_u64 << receives.saturating_sub(1).min(16);
    let base = doubled.min(PAUSE_MAX_SECONDS);
    Duration::from_secs(base + fastrand::u64(0..=base / 4))
}

/// Handles each message of an event in its own task, so that one that fails or panics is redelivered
/// alone. The handler gets the app, the delivery and the time at which to stop. Metrics are published
/// under the function's name.
pub async fn each<H, F>(
    source: Source,
    app: App,
    event: SqsEvent,
    until: Timestamp,
    handler: H,
) -> BatchResponse
where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<Handled, ApiError>> + Send + 'static,
{
    let deliveries: Vec<_> = event
        .records
        .into_iter()
        .map(|record| {
            let id = &record.message_id;
            let span =
                tracing::info_span!("message", request.id = record.request_id(), message.id = %id);
            let request_id = record.request_id().to_owned();
            let (metrics, now) = (app.metrics().clone(), app.now());
            let work = handler(app.clone(), record.clone(), until);
            let work = observed(source.function(), metrics, now, request_id, work);
            (record, tokio::spawn(work.instrument(span)))
        })
        .collect();
    let mut response = BatchResponse::default();
    let mut given_back = Vec::new();
    for (record, task) in deliveries {
        // A task that the end of the runtime has ended is like one that panicked.
        let outcome = task.await.ok().flatten();
        let Some(after) = conclude(source, &app, &record, outcome).await else {
            continue;
        };
        given_back.push(GivenBack {
            receipt: record.receipt_handle,
            after,
        });
        response.batch_item_failures.push(BatchItemFailure {
            item_identifier: record.message_id,
        });
    }
    if source == Source::Batches && !given_back.is_empty() {
        app.queue().give_back(&given_back).await;
    }
    response
}

/// Decides what becomes of a message by its handler's result, `None` if it panicked. Returns when the message is
/// to come again, if it is not done.
async fn conclude(
    source: Source,
    app: &App,
    record: &SqsRecord,
    outcome: Option<Result<Handled, ApiError>>,
) -> Option<Duration> {
    let (id, receives) = (&record.message_id, record.receives());
    let (why, poison) = match outcome {
        Some(Ok(Handled::Done)) => return None,
        Some(Ok(Handled::GivenBack)) => {
            tracing::info!(message.id = %id, "out of time: the message is given back");
            return Some(Duration::ZERO);
        }
        Some(Ok(Handled::Poison(why))) => (why, true),
        Some(Err(error)) if error.is_logged() => {
            tracing::debug!(message.id = %id, error.why = error.for_log(), "message comes again");
            return Some(pause_after(receives));
        }
        // A later delivery succeeds when what is unavailable is back. An operator has nothing to mend in the message.
        Some(Err(error)) if error.retryable() => {
            tracing::warn!(message.id = %id, error.why = error.for_log(), receives, "message comes again");
            return Some(pause_after(receives));
        }
        Some(Err(ApiError::Internal(why))) => (why.for_log().to_owned(), false),
        Some(Err(other)) => (format!("refused: {}", other.for_log()), false),
        None => ("the handler panicked".to_owned(), receives >= PANICS),
    };
    if poison && make_dead_letter(source, app, record).await {
        tracing::error!(message.id = %id, error.why = %why, "poison: a dead letter at once");
        return None;
    }
    tracing::error!(message.id = %id, error.why = %why, receives, "message comes again");
    Some(pause_after(receives))
}

/// Makes a message a dead letter. Returns whether it is one: if its own deletion fails after that, it is
/// settled twice, which changes nothing.
async fn make_dead_letter(source: Source, app: &App, record: &SqsRecord) -> bool {
    let (Source::Batches, Some(dead_letters)) = (source, app.dead_letters()) else {
        return false;
    };
    let group = record.attributes.message_group_id.as_deref();
    let sent = dead_letters.forward(&record.body, group, record.request_id());
    sent.await
}

/// Runs a handler, and reports its result in the log and the metrics. Returns `None` if it panicked.
async fn observed<F>(
    function: &str,
    metrics: Metrics,
    now: Timestamp,
    request_id: String,
    work: F,
) -> Option<Result<Handled, ApiError>>
where
    F: Future<Output = Result<Handled, ApiError>>,
{
    let (outcome, usage) = metrics::measured(work).await;
    let ended = metrics::Ended {
        how: "handled",
        status: None,
        refused: false,
        failed: !matches!(outcome, Some(Ok(_))),
    };
    let properties = [("RequestId", request_id.as_str())];
    metrics.report(now, &usage, &ended, &properties, || function.to_owned());
    outcome
}

/// The time left of an invocation when the messages that are still worked on are stopped: enough to give them back.
const STOP_TIME: Duration = Duration::from_secs(2);

/// Runs a function that receives messages under the Lambda runtime. A message whose handler takes too long is given
/// back, so that those that are done are not delivered again with it.
///
/// # Errors
/// If the runtime fails.
pub fn serve<H, F>(app: App, source: Source, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<Handled, ApiError>> + Send + 'static,
{
    let app = &app;
    thread::run(lambda_runtime::run(lambda_runtime::service_fn(
        move |event: lambda_runtime::LambdaEvent<SqsEvent>| async move {
            let deadline = event.context.deadline();
            let limit = time_until_left(deadline, STOP_TIME);
            let handler = move |app: App, record: SqsRecord, until: Timestamp| async move {
                let handled = tokio::time::timeout(limit, handler(app, record, until)).await;
                handled.unwrap_or(Ok(Handled::GivenBack))
            };
            let until = invocation::until(deadline);
            Ok::<_, std::convert::Infallible>(
                each(source, app.clone(), event.payload, until, handler).await,
            )
        },
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        for (receives, least) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 4),
            (9, 256),
            (10, 300),
            (400, 300),
        ] {
            for _ in 0..100 {
                let found = pause_after(receives).as_secs();
                assert!(
                    (least..=least + least / 4).contains(&found),
                    "{receives}: {found}"
                );
            }
        }
    }

    /// A message that fails for all of its job's time never becomes a dead letter.
    #[test]
    fn a_day_of_failures_takes_fewer_receives_than_a_message_has() {
        let (mut seconds, mut receives) = (0, 0);
        while seconds < crate::domain::job::DEADLINE_SECONDS {
            receives += 1;
            // The shortest pause, and handling that takes no time.
            let doubled = 1_i64 << (receives - 1).min(16);
            seconds += doubled.min(PAUSE_MAX_SECONDS.cast_signed());
        }
        // What remains is for chunks that are given back.
        assert!(receives + 100 < MAX_RECEIVE_COUNT, "{receives}");
    }
}
