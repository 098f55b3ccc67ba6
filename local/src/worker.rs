//! The event sources: receive messages, run their function, delete the messages that succeeded.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message as Received, MessageSystemAttributeName,
};
use shared::domain::error::ApiError;
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::messages::{SqsAttributes, SqsEvent, SqsMessageAttribute, SqsRecord, each};
use shared::runtime::schedule;
use shared::store::sdk_error::words;
use tokio::sync::watch;

use crate::outage::Outage;

/// Most messages of one delivery.
const BATCH: i32 = 10;
/// Seconds that a receive waits for messages.
const WAIT: i32 = 20;
/// Most time that a receive may take, its wait included.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds that a function may take: less than the visibility timeout.
const TIMEOUT: i64 = 25;

/// Receives from a queue until told to stop, and finishes the messages it has received.
pub async fn poll<H, F>(
    function: &'static str,
    app: App,
    client: Client,
    queue_url: String,
    mut stop: watch::Receiver<bool>,
    handler: H,
) where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let patience = TimeoutConfig::builder()
        .operation_attempt_timeout(RECEIVE_TIMEOUT)
        .operation_timeout(RECEIVE_TIMEOUT)
        .build();
    let patient = aws_sdk_sqs::config::Builder::new().timeout_config(patience);
    let mut outage = Outage::none("the queue");
    while !*stop.borrow() {
        // After an outage the first response must not wait for a message: it ends the outage.
        let wait = if outage.is_on() { 0 } else { WAIT };
        let receive = client
            .receive_message()
            .queue_url(&queue_url)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(wait)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_attribute_names("All")
            .customize()
            .config_override(patient.clone())
            .send();
        let received = tokio::select! {
            // Messages that have arrived are handled before a stop: otherwise they would stay
            // hidden until the visibility timeout.
            biased;
            received = receive => received,
            // Told to stop, or the sender was dropped.
            _ = stop.changed() => return,
        };
        match received {
            Ok(answer) => {
                outage.worked();
                let messages = answer.messages.unwrap_or_default();
                if !messages.is_empty() {
                    deliver(function, &app, &client, &queue_url, messages, handler).await;
                }
            }
            Err(error) => {
                let pause = outage.failed(&words(&error));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stop.changed() => return,
                }
            }
        }
    }
}

/// Runs a function at once and then at intervals, until told to stop.
pub async fn on_schedule<H, F, T>(
    function: &'static str,
    app: App,
    every: Duration,
    mut stop: watch::Receiver<bool>,
    handler: H,
) where
    H: Fn(App, Timestamp) -> F,
    F: Future<Output = Result<T, ApiError>>,
{
    while !*stop.borrow() {
        let until = app.now().plus_seconds(TIMEOUT);
        // A failure is logged, and the work stays due for the next run.
        let _ = schedule::run(function, app.clone(), until, &handler).await;
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.changed() => return,
        }
    }
}

async fn deliver<H, F>(
    function: &'static str,
    app: &App,
    client: &Client,
    queue_url: &str,
    messages: Vec<Received>,
    handler: H,
) where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let records = messages.iter().map(record).collect();
    let until = app.now().plus_seconds(TIMEOUT);
    let response = each(function, app.clone(), SqsEvent { records }, until, handler).await;
    let failed = |id: &str| {
        response
            .batch_item_failures
            .iter()
            .any(|failure| failure.item_identifier == id)
    };
    let mut request = client.delete_message_batch().queue_url(queue_url);
    let mut done = 0;
    for (place, message) in messages.iter().enumerate() {
        let entry = DeleteMessageBatchRequestEntry::builder()
            .id(place.to_string())
            .set_receipt_handle(message.receipt_handle.clone())
            .build();
        if let (false, Ok(entry)) = (failed(message.message_id().unwrap_or_default()), entry) {
            request = request.entries(entry);
            done += 1;
        }
    }
    if done > 0
        && let Err(error) = request.send().await
    {
        // They are redelivered, and the function recognizes them.
        tracing::warn!(error.why = words(&error), "delete failed");
    }
}

fn record(message: &Received) -> SqsRecord {
    let count = message
        .attributes
        .as_ref()
        .and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount))
        .cloned()
        .unwrap_or_default();
    let said = message.message_attributes.iter().flatten();
    SqsRecord {
        message_id: message.message_id().unwrap_or_default().to_owned(),
        body: message.body().unwrap_or_default().to_owned(),
        attributes: SqsAttributes {
            approximate_receive_count: count,
        },
        message_attributes: said
            .map(|(name, value)| {
                let string_value = value.string_value().map(str::to_owned);
                (name.clone(), SqsMessageAttribute { string_value })
            })
            .collect(),
    }
}
