//! Sends messages to the queue. Receiving them is in [`crate::runtime::messages`].

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use futures::StreamExt as _;

use crate::domain::error::ApiError;
use crate::domain::message::Message;
use crate::store::sdk_error::{is_permanent, words};

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

/// The messages of one `SendMessageBatch`: the index and the body of each.
type Call = Vec<(usize, String)>;

/// Packs messages into as few calls as possible without changing their order. A message that is too
/// large for any call gets one of its own, so that the queue refuses it alone.
fn pack(bodies: Vec<String>) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut room = 0;
    for (place, body) in bodies.into_iter().enumerate() {
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
    calls
}

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
        let bodies = messages
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| ApiError::internal(format!("encode message: {e}")))?;
        let calls = pack(bodies);
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

    async fn send_call(&self, mut call: Call, request_id: &str) -> Vec<usize> {
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
                Err(error) if is_permanent(&error) => break,
                Err(error) => {
                    tracing::warn!(error.why = words(&error), attempt, "queue did not answer");
                }
            }
        }
        call.into_iter().map(|(place, _)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of the messages of each call, for messages of these lengths.
    fn packed(lengths: &[usize]) -> Vec<Vec<usize>> {
        let bodies: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let calls = pack(bodies);
        for (place, body) in calls.iter().flatten() {
            assert_eq!(body.len(), lengths[*place]);
        }
        calls
            .iter()
            .map(|call| call.iter().map(|(place, _)| *place).collect())
            .collect()
    }

    #[test]
    fn a_call_has_at_most_ten_messages() {
        assert_eq!(packed(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(packed(&[1; 10]), [Vec::from_iter(0..10)]);
        assert_eq!(
            packed(&[1; 21]),
            [
                Vec::from_iter(0..10),
                Vec::from_iter(10..20),
                Vec::from_iter(20..21)
            ]
        );
    }

    #[test]
    fn a_call_has_at_most_240_kilobytes() {
        const HALF: usize = BATCH_BYTES_MAX / 2;
        assert_eq!(BATCH_BYTES_MAX, 245_760);
        assert_eq!(packed(&[HALF, HALF]), [vec![0, 1]]);
        assert_eq!(packed(&[HALF, HALF + 1]), [vec![0], vec![1]]);
        // The third counts against what the first two have left.
        assert_eq!(packed(&[HALF, HALF - 1, 1]), [vec![0, 1, 2]]);
        assert_eq!(packed(&[HALF, HALF - 1, 2]), [vec![0, 1], vec![2]]);
        // After a full call the next one has all its room.
        assert_eq!(
            packed(&[BATCH_BYTES_MAX, HALF, HALF, 1]),
            [vec![0], vec![1, 2], vec![3]]
        );
    }

    #[test]
    fn messages_keep_their_order_although_a_later_one_would_fit_before() {
        let large = BATCH_BYTES_MAX - 1;
        assert_eq!(packed(&[large, large, 1]), [vec![0], vec![1, 2]]);
        assert_eq!(packed(&[1, large, 2, 1]), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn a_message_that_is_too_large_goes_alone() {
        let over = BATCH_BYTES_MAX + 1;
        assert_eq!(packed(&[1, over, 1, 1]), [vec![0], vec![1], vec![2, 3]]);
        assert_eq!(packed(&[over]), [vec![0]]);
    }
}
