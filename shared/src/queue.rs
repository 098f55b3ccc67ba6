//! Sends messages to the queue. Receiving them is in [`crate::runtime::messages`].

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use futures::StreamExt as _;

use crate::domain::error::ApiError;
use crate::domain::message::Message;
use crate::store::sdk_error::words;

/// The limit of messages of one `SendMessageBatch`.
const BATCH_MAX: usize = 10;
/// The largest `SendMessageBatch`, in bytes of all bodies together. SQS allows 256 KB.
const BATCH_BYTES_MAX: usize = 240 * 1024;
/// Concurrent `SendMessageBatch` calls.
const SENDS_AT_ONCE: usize = 4;
/// How often the messages that a call reports as failed are sent.
const RESENDS: u32 = 3;
/// The time limit of sending all messages: less than half of a function's time-out.
const SEND_TIME: Duration = Duration::from_secs(10);

/// The message attribute with the id of the sending request.
pub(crate) const REQUEST_ID: &str = "RequestId";

/// The queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// Opens the queue at that URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends messages in as few calls as possible, each with the id of the request that it comes from.
    /// Messages that a call reports as failed are sent again.
    ///
    /// Returns the indexes of the messages that are not known to have arrived within 10 seconds. They
    /// may have arrived, if only the answer was lost.
    ///
    /// # Errors
    /// If a message cannot be serialized.
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
                // Some may have arrived. Sending them again changes nothing.
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
