//! Sends messages to a queue, and gives received ones back. Receiving them is in
//! [`crate::runtime::messages`].
//!
//! Each message has its project as its group: SQS then delivers a project's messages without waiting for
//! those of another ("fair queues" of standard queues).

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue, SendMessageBatchRequestEntry,
};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::message::Message;
use crate::store::sdk_error::{is_permanent, words};

/// The limit of messages of one `SendMessageBatch`.
const BATCH_MAX: usize = 10;
/// The largest `SendMessageBatch`, in bytes of all bodies together. SQS allowed 256 KB until August 2025.
const BATCH_BYTES_MAX: usize = 240 * 1024;
/// Concurrent `SendMessageBatch` calls.
const SENDS_AT_ONCE: usize = 4;
/// How often the messages that a call reports as failed are sent.
const RESENDS: u32 = 3;
/// The time limit of sending all messages: less than half of a function's time-out.
const SEND_TIME: Duration = Duration::from_secs(10);

/// The time limit of giving messages back: an invocation is about to end.
const GIVE_BACK_TIME: Duration = Duration::from_secs(1);

/// The group of a message that came without one.
const UNKNOWN_GROUP: &str = "-";
/// The longest message group id that SQS takes, in characters.
const GROUP_MAX: usize = 128;

/// The message attribute with the id of the sending request.
pub(crate) const REQUEST_ID: &str = "RequestId";

/// The messages of one `SendMessageBatch`: the index and the body of each.
type Call = Vec<(usize, String)>;

/// The message group of a project: its id, or if SQS does not take that as a group, a hash of it. SQS takes up to
/// 128 letters, digits and punctuation marks of ASCII.
fn group_of(project: &ProjectId) -> String {
    let id = project.as_str();
    match id.len() <= GROUP_MAX && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => id.to_owned(),
        false => hex::encode(Sha256::digest(id)),
    }
}

/// A message that was received and is to be delivered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenBack {
    /// The receipt of its last delivery.
    pub receipt: String,
    /// When it is to be delivered again.
    pub after: Duration,
}

/// The sender of messages.
#[derive(Clone, Copy, Debug)]
struct Sender<'a> {
    group: &'a str,
    request_id: &'a str,
}

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

    /// Sends messages of a project in as few calls as possible, each with the id of the request that it
    /// comes from. Messages that a call reports as failed are sent again.
    ///
    /// Returns the indexes of the messages that are not known to have arrived within 10 seconds. They
    /// may have arrived, if only the answer was lost.
    ///
    /// # Errors
    /// If a message cannot be serialized.
    pub async fn send(
        &self,
        messages: &[Message],
        project: &ProjectId,
        request_id: &str,
    ) -> Result<Vec<usize>, ApiError> {
        let bodies = messages
            .iter()
            .map(Message::to_body)
            .collect::<Result<Vec<_>, _>>()?;
        let group = group_of(project);
        let sender = Sender {
            group: &group,
            request_id,
        };
        Ok(self.send_bodies(bodies, sender).await)
    }

    /// Sends a message as it was received. Returns whether it has arrived.
    pub async fn forward(&self, body: &str, group: Option<&str>, request_id: &str) -> bool {
        let group = group.unwrap_or(UNKNOWN_GROUP);
        let sender = Sender { group, request_id };
        let unsent = self.send_bodies(vec![body.to_owned()], sender).await;
        unsent.is_empty()
    }

    /// Gives received messages back. What SQS does not take within a second is delivered again after the
    /// visibility timeout of the queue.
    pub async fn give_back(&self, messages: &[GivenBack]) {
        let given = tokio::time::timeout(GIVE_BACK_TIME, self.change_visibility(messages));
        if given.await.is_err() {
            tracing::warn!(error.why = "no answer in time", "messages not given back");
        }
    }

    async fn change_visibility(&self, messages: &[GivenBack]) {
        for call in messages.chunks(BATCH_MAX) {
            let mut request = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url);
            for (place, message) in call.iter().enumerate() {
                let seconds = i32::try_from(message.after.as_secs()).unwrap_or(i32::MAX);
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(place.to_string())
                    .receipt_handle(&message.receipt)
                    .visibility_timeout(seconds)
                    .build();
                match entry {
                    Ok(entry) => request = request.entries(entry),
                    Err(why) => tracing::error!(error.why = %why, "message not given back"),
                }
            }
            match request.send().await {
                Ok(answer) if answer.failed().is_empty() => {}
                Ok(answer) => {
                    let failed = answer.failed().len();
                    tracing::warn!(queue.failed = failed, "messages not given back");
                }
                Err(error) => {
                    tracing::warn!(error.why = words(&error), "messages not given back");
                }
            }
        }
    }

    async fn send_bodies(&self, bodies: Vec<String>, sender: Sender<'_>) -> Vec<usize> {
        let calls = pack(bodies);
        let until = tokio::time::Instant::now() + SEND_TIME;
        futures::stream::iter(calls)
            .map(|call| async move {
                let places = call.iter().map(|(place, _)| *place).collect();
                let sending = tokio::time::timeout_at(until, self.send_call(call, sender));
                // Some may have arrived. Sending them again changes nothing.
                sending.await.unwrap_or(places)
            })
            .buffer_unordered(SENDS_AT_ONCE)
            .concat()
            .await
    }

    async fn send_call(&self, mut call: Call, sender: Sender<'_>) -> Vec<usize> {
        for attempt in 0..RESENDS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
            let mut request = self.client.send_message_batch().queue_url(&self.url);
            for (place, body) in &call {
                let from = MessageAttributeValue::builder()
                    .data_type("String")
                    .string_value(sender.request_id)
                    .build();
                let entry = from.and_then(|from| {
                    SendMessageBatchRequestEntry::builder()
                        .id(place.to_string())
                        .message_body(body)
                        .message_group_id(sender.group)
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

    #[test]
    fn a_project_is_a_group_that_sqs_takes() {
        let group = |id: &str| group_of(&ProjectId::parse(id).unwrap());
        for id in [
            "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01",
            "a!\"#/~",
            &"p".repeat(128),
        ] {
            assert_eq!(group(id), id);
        }
        let others = [
            "p".repeat(129),
            "p".repeat(255),
            "a b".to_owned(),
            "größe".to_owned(),
        ];
        let groups = others.each_ref().map(|id| group(id));
        for (place, found) in groups.iter().enumerate() {
            assert!(found.len() == 64 && found.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(!groups[..place].contains(found));
        }
    }

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
