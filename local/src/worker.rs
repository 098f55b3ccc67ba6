//! The event sources: receive messages, run their function, delete the messages that succeeded.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message as Received, MessageSystemAttributeName,
};
use futures::future::FusedFuture as _;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use shared::domain::error::ApiError;
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::messages::{
    Handled, Source, SqsAttributes, SqsEvent, SqsMessageAttribute, SqsRecord, each,
};
use shared::runtime::schedule;
use shared::store::sdk_error::words;
use tokio::sync::watch;

use crate::outage::Outage;

/// Messages that are worked on at once. The embedded queue gives out only a few of each project, so that
/// there is room for others.
const SLOTS: usize = 16;
/// Most messages of one receive.
const BATCH: i32 = 10;
/// Most messages of one `DeleteMessageBatch`.
const DELETE_BATCH: usize = 10;
/// Seconds that a receive waits for messages.
const WAIT: i32 = 20;
/// Most time that a receive may take, its wait included.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds that a function may take: less than the visibility timeout.
const TIMEOUT: i64 = 25;

/// A queue whose messages are worked on.
pub struct Polled {
    /// Which of the service's queues it is.
    pub source: Source,
    /// A client of it.
    pub client: Client,
    /// Its URL.
    pub url: String,
}

/// Receives from a queue until told to stop, and finishes the messages it has received. A message that is done
/// makes room for the next: none waits for others that were received with it.
pub async fn poll<H, F>(polled: Polled, app: App, mut stop: watch::Receiver<bool>, handler: H)
where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<Handled, ApiError>> + Send + 'static,
{
    let polled = &polled;
    let mut outage = Outage::none("the queue");
    let mut receiving = Box::pin(polled.receive(SLOTS, WAIT)).fuse();
    let mut pause = Box::pin(futures::future::Fuse::terminated());
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            // Messages that have arrived are handled before a stop: otherwise they would stay
            // hidden until the visibility timeout.
            biased;
            received = &mut receiving => match received {
                Ok(messages) => {
                    outage.worked();
                    running.extend(messages.into_iter().map(|message| {
                        run(polled.source, app.clone(), message, handler)
                    }));
                }
                Err(error) => {
                    let wait = outage.failed(&words(&error));
                    pause.set(tokio::time::sleep(wait).fuse());
                }
            },
            Some(ended) = running.next() => {
                let mut done = vec![ended];
                while let Some(Some(ended)) = running.next().now_or_never() {
                    done.push(ended);
                }
                polled.delete(done.into_iter().flatten().collect()).await;
            }
            () = &mut pause => {}
            // Told to stop, or the sender was dropped.
            _ = stop.changed() => break,
        }
        let room = SLOTS.saturating_sub(running.len());
        if receiving.is_terminated() && pause.is_terminated() && room > 0 {
            // After an outage the first response must not wait for a message: it ends the outage.
            let wait = if outage.is_on() { 0 } else { WAIT };
            receiving = Box::pin(polled.receive(room, wait)).fuse();
        }
    }
    let done: Vec<_> = running.filter_map(std::future::ready).collect().await;
    polled.delete(done).await;
}

/// Runs the function for one message. Returns the message's receipt if it is done.
async fn run<H, F>(source: Source, app: App, message: Received, handler: H) -> Option<String>
where
    H: Fn(App, SqsRecord, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<Handled, ApiError>> + Send + 'static,
{
    let records = vec![record(&message)];
    let until = app.now().plus_seconds(TIMEOUT);
    let response = each(source, app, SqsEvent { records }, until, handler).await;
    let done = response.batch_item_failures.is_empty();
    message.receipt_handle.filter(|_| done)
}

impl Polled {
    async fn receive(
        &self,
        most: usize,
        wait: i32,
    ) -> Result<Vec<Received>, SdkError<ReceiveMessageError>> {
        let patience = TimeoutConfig::builder()
            .operation_attempt_timeout(RECEIVE_TIMEOUT)
            .operation_timeout(RECEIVE_TIMEOUT)
            .build();
        let patient = aws_sdk_sqs::config::Builder::new().timeout_config(patience);
        let most = i32::try_from(most).unwrap_or(BATCH);
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(most.min(BATCH))
            .wait_time_seconds(wait)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_attribute_names("All")
            .customize()
            .config_override(patient)
            .send();
        Ok(received.await?.messages.unwrap_or_default())
    }

    /// Deletes the messages that are done. What is not deleted is redelivered, and the function
    /// recognizes it.
    async fn delete(&self, receipts: Vec<String>) {
        for receipts in receipts.chunks(DELETE_BATCH) {
            let mut request = self.client.delete_message_batch().queue_url(&self.url);
            for (place, receipt) in receipts.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .receipt_handle(receipt)
                    .build();
                match entry {
                    Ok(entry) => request = request.entries(entry),
                    Err(why) => tracing::warn!(error.why = %why, "delete failed"),
                }
            }
            if let Err(error) = request.send().await {
                tracing::warn!(error.why = words(&error), "delete failed");
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

fn record(message: &Received) -> SqsRecord {
    let given = |name| {
        let given = message.attributes.as_ref().and_then(|all| all.get(&name));
        given.cloned()
    };
    let said = message.message_attributes.iter().flatten();
    SqsRecord {
        message_id: message.message_id().unwrap_or_default().to_owned(),
        receipt_handle: message.receipt_handle().unwrap_or_default().to_owned(),
        body: message.body().unwrap_or_default().to_owned(),
        attributes: SqsAttributes {
            approximate_receive_count: given(MessageSystemAttributeName::ApproximateReceiveCount)
                .unwrap_or_default(),
            message_group_id: given(MessageSystemAttributeName::MessageGroupId),
        },
        message_attributes: said
            .map(|(name, value)| {
                let string_value = value.string_value().map(str::to_owned);
                (name.clone(), SqsMessageAttribute { string_value })
            })
            .collect(),
    }
}
