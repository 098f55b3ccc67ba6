//! Messages, sending them, and the partial batch response of the functions that take them.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use crate::app::App;
use crate::batch::Slice;
use crate::error::ApiError;
use crate::id::{ImageId, JobId, ProjectId};
use crate::meter;
use crate::sdk::words;
use crate::task::Task;
use crate::time::Timestamp;

/// Most messages of one `SendMessageBatch`.
const BATCH_MAX: usize = 10;
/// Most bytes of one `SendMessageBatch`, all bodies together.
const BATCH_BYTES_MAX: usize = 240 * 1024;
/// `SendMessageBatch` calls under way at once.
const SENDS_AT_ONCE: usize = 4;
/// How often what a call reported as failed is sent again.
const RESENDS: u32 = 3;
/// How long sending may take in all: less than half of what a function has.
const SEND_TIME: Duration = Duration::from_secs(10);

/// The message attribute that has the id of the request that sent it.
const REQUEST_ID: &str = "RequestId";

/// A message of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Message {
    /// Apply a chunk of a batch.
    Chunk(Chunk),
    /// Bring the memberships of an image in line with it: it was deleted, or its visibility was
    /// changed. Releases up to 0.1.0 call it `bury`.
    #[serde(alias = "bury")]
    Memberships {
        /// The image.
        image: ImageId,
    },
}

/// A chunk of a batch: everything that its worker must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The job.
    pub job: JobId,
    /// Which chunk of it, from 0.
    pub number: usize,
    /// The project that asked.
    pub project: ProjectId,
    /// Whether it asked as an admin.
    pub admin: bool,
    /// What to do.
    #[serde(flatten)]
    pub task: Task,
    /// When the job is over.
    pub deadline: Timestamp,
    /// The entries.
    pub entries: Slice,
    /// Whether the job has no other chunk.
    #[serde(default)]
    pub only: bool,
    /// Whether it may have been sent before.
    #[serde(default)]
    pub resent: bool,
}

/// The batches' queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue of that URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends messages in as few calls as fit; what a call reports as failed is sent again. Each
    /// carries the id of the request that it comes from.
    ///
    /// Returns the places of the messages that are not known to have arrived within
    /// 10 seconds; they may have arrived all the same, if only the answer was lost.
    ///
    /// # Errors
    /// If a message cannot be written.
    pub async fn send(
        &self,
        messages: &[Message],
        request_id: &str,
    ) -> Result<Vec<usize>, ApiError> {
        let mut calls: Vec<Vec<(usize, String)>> = Vec::new();
        let mut room = 0;
        for (place, message) in messages.iter().enumerate() {
            let body = serde_json::to_string(message)
                .map_err(|e| ApiError::internal(format!("encode message: {e}")))?;
            match calls
                .last_mut()
                .filter(|call| call.len() < BATCH_MAX && body.len() <= room)
            {
                Some(call) => {
                    room -= body.len();
                    call.push((place, body));
                }
                None => {
                    room = BATCH_BYTES_MAX.saturating_sub(body.len());
                    calls.push(vec![(place, body)]);
                }
            }
        }
        let until = tokio::time::Instant::now() + SEND_TIME;
        let unsent = futures::stream::iter(calls)
            .map(|call| async move {
                let places = call.iter().map(|(place, _)| *place).collect();
                let sending = tokio::time::timeout_at(until, self.send_call(call, request_id));
                // Those that have arrived by then are sent again, which changes nothing.
                sending.await.unwrap_or(places)
            })
            .buffer_unordered(SENDS_AT_ONCE)
            .concat()
            .await;
        Ok(unsent)
    }

    async fn send_call(&self, mut call: Vec<(usize, String)>, request_id: &str) -> Vec<usize> {
        for attempt in 0..RESENDS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
            let mut request = self.client.send_message_batch().queue_url(&self.url);
            for (place, body) in &call {
                let from = MessageAttributeValue::builder()
                    .data_type("String")
                    .string_value(request_id)
                    .build();
                let entry = from.and_then(|from| {
                    SendMessageBatchRequestEntry::builder()
                        .id(place.to_string())
                        .message_body(body)
                        .message_attributes(REQUEST_ID, from)
                        .build()
                });
                match entry {
                    Ok(entry) => request = request.entries(entry),
                    Err(why) => {
                        tracing::error!(error.why = %why, "message not built");
                        return call.into_iter().map(|(place, _)| place).collect();
                    }
                }
            }
            match request.send().await {
                Ok(answer) => {
                    let failed: Vec<&str> = answer.failed().iter().map(|f| f.id()).collect();
                    call.retain(|(place, _)| failed.contains(&place.to_string().as_str()));
                    if call.is_empty() {
                        return Vec::new();
                    }
                    tracing::warn!(queue.failed = call.len(), attempt, "queue refused messages");
                }
                Err(error) => {
                    tracing::warn!(error.why = words(&error), attempt, "queue did not answer");
                }
            }
        }
        call.into_iter().map(|(place, _)| place).collect()
    }
}

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
            let work = observed(function, app.now(), record.request_id().to_owned(), {
                handler(app.clone(), record, until)
            });
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
            Ok(Err(other)) => format!("refused with {}", other.status()),
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
    now: Timestamp,
    request_id: String,
    work: F,
) -> Result<(), ApiError>
where
    F: Future<Output = Result<(), ApiError>>,
{
    let (outcome, usage) = meter::measured(work).await;
    let ended = meter::Ended {
        how: "handled",
        status: None,
        refused: false,
        failed: outcome.is_err(),
    };
    let properties = [("RequestId", request_id.as_str())];
    meter::report(now, &usage, &ended, &properties, || function.to_owned());
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
pub(crate) fn micros_of(time: std::time::SystemTime) -> Timestamp {
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
