//! SQS in this process: a durable queue with at-least-once delivery, message groups, visibility timeouts,
//! receive counts and dead letters.
//!
//! | module | what it knows |
//! |---|---|
//! | this one | the operations of the SQS API, which the SDK's requests reach without a socket |
//! | `messages` | the messages, rows of one SQLite table |
//! | `turns` | which of them a receive takes |

mod messages;
mod turns;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::{Value, json};
use shared::domain::time::Clock;
use tokio::sync::Notify;

pub use self::messages::{BATCHES, Backlog, DEAD_LETTERS, Settings};
use self::messages::{Messages, NewMessage};
use crate::storage::{Fault, Health, cannot_open};
use crate::transport::{self, JsonResponse};

/// The longest visibility timeout that SQS takes, in seconds.
const VISIBILITY_MAX: u64 = 12 * 3600;
/// The characters that SQS does not take in a body, besides controls, which JSON escapes.
const REFUSED: [char; 2] = ['\u{fffe}', '\u{ffff}'];

/// The queue, which is an HTTP client for the SDK; cheap to clone.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    messages: Mutex<Messages>,
    clock: Clock,
    /// Notified when a message may have become visible, or its group may have room.
    changed: Notify,
    health: Option<Health>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    /// Creates a queue in memory.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_memory(settings: Settings, clock: Clock) -> Result<Self, String> {
        let messages = Messages::in_memory(settings).map_err(|error| error.to_string())?;
        Ok(Self::of(messages, clock, None))
    }

    /// Opens the queue in a file. Messages that were in flight become visible at once: the process
    /// that had received them is gone.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_file(
        path: &Path,
        settings: Settings,
        clock: Clock,
        health: Health,
    ) -> Result<Self, String> {
        let messages = Messages::in_file(path, settings)
            .map_err(|error| cannot_open(path, &error.to_string()))?;
        Ok(Self::of(messages, clock, Some(health)))
    }

    fn of(messages: Messages, clock: Clock, health: Option<Health>) -> Self {
        Self {
            inner: Arc::new(Inner {
                messages: Mutex::new(messages),
                clock,
                changed: Notify::new(),
                health,
            }),
        }
    }

    /// Milliseconds since the Unix epoch.
    fn now(&self) -> i64 {
        self.inner.clock.now().micros() / 1000
    }

    /// How many messages a queue holds, hidden ones included.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn len(&self, queue: &str) -> rusqlite::Result<u64> {
        self.with(|messages| messages.count(queue))
    }

    /// How much waits in both queues.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn backlog(&self) -> rusqlite::Result<Backlog> {
        self.with(|messages| messages.backlog())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Messages) -> T) -> T {
        let messages = self.inner.messages.lock();
        work(&mut messages.unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&self, queue: &str, request: &Value) -> rusqlite::Result<Value> {
        let entries = entries(request);
        let message = |entry| NewMessage {
            body: text(entry, "MessageBody"),
            attributes: entry
                .get("MessageAttributes")
                .unwrap_or(&Value::Null)
                .to_string(),
            group: text(entry, "MessageGroupId"),
        };
        let messages: Vec<NewMessage<'_>> = entries.iter().map(message).collect();
        let now = self.now();
        let ids = self.with(|stored| stored.send(queue, &messages, now))?;
        self.inner.changed.notify_waiters();
        let sent = entries.iter().zip(ids).map(
            |(entry, id)| json!({"Id": text(entry, "Id"), "MessageId": id, "MD5OfMessageBody": ""}),
        );
        Ok(json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []}))
    }

    /// Receives messages, waiting for them as long as the request says.
    async fn receive(&self, queue: &str, request: &Value) -> rusqlite::Result<Value> {
        let most = number(request, "MaxNumberOfMessages").clamp(1, 10);
        let most = usize::try_from(most).unwrap_or(1);
        let wait = Duration::from_secs(number(request, "WaitTimeSeconds"));
        let until = tokio::time::Instant::now() + wait;
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = self.now();
            let messages = self.with(|stored| stored.receive(queue, most, now))?;
            if !messages.is_empty() || tokio::time::Instant::now() >= until {
                return Ok(json!({"Messages": messages}));
            }
            let due = self.with(|stored| stored.next_due(queue, self.now()))?;
            let due = due.map(|due| {
                let wait = u64::try_from(due - self.now()).unwrap_or_default();
                // At least the 1 ms that the clock can resolve: less would make this loop spin.
                tokio::time::Instant::now() + Duration::from_millis(wait.max(1))
            });
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(due.unwrap_or(until).min(until)) => {}
            }
        }
    }

    fn delete(&self, request: &Value) -> rusqlite::Result<Value> {
        let entries = entries(request);
        let receipts = entries.iter().map(|entry| text(entry, "ReceiptHandle"));
        self.with(|messages| messages.delete(receipts))?;
        Ok(self.changed(&entries))
    }

    /// Gives messages back: they are visible again after a time.
    fn change_visibility(&self, request: &Value) -> rusqlite::Result<Value> {
        let (entries, now) = (entries(request), self.now());
        let receipts = entries.iter().map(|entry| {
            let seconds = number(entry, "VisibilityTimeout").min(VISIBILITY_MAX);
            let hidden = i64::try_from(seconds).unwrap_or_default() * 1000;
            (text(entry, "ReceiptHandle"), now + hidden)
        });
        self.with(|messages| messages.give_back(receipts))?;
        Ok(self.changed(&entries))
    }

    /// Wakes those who wait, and returns the answer that says that all entries succeeded.
    fn changed(&self, entries: &[Value]) -> Value {
        self.inner.changed.notify_waiters();
        let done = entries.iter().map(|entry| json!({"Id": text(entry, "Id")}));
        json!({"Successful": done.collect::<Vec<_>>(), "Failed": []})
    }

    /// Performs one operation of the SQS API.
    pub async fn perform(&self, operation: &str, body: &str) -> JsonResponse {
        let Ok(request) = serde_json::from_str::<Value>(body) else {
            return (400, r#"{"__type":"SerializationException"}"#.to_owned());
        };
        let Some(queue) = named(text(&request, "QueueUrl")) else {
            let error = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"the queues are batches and dead-letters"}"#;
            return (400, error.to_owned());
        };
        let outcome = match operation {
            "SendMessageBatch" if REFUSED.iter().any(|refused| body.contains(*refused)) => {
                let error = r#"{"__type":"com.amazonaws.sqs#InvalidMessageContents"}"#;
                return (400, error.to_owned());
            }
            "SendMessageBatch" => self.send(queue, &request),
            "ReceiveMessage" => self.receive(queue, &request).await,
            "DeleteMessageBatch" => self.delete(&request),
            "ChangeMessageVisibilityBatch" => self.change_visibility(&request),
            "GetQueueAttributes" => Ok(json!({"Attributes": {}})),
            _ => return (400, r#"{"__type":"UnsupportedOperation"}"#.to_owned()),
        };
        match outcome {
            Ok(answer) => (200, answer.to_string()),
            Err(error) => self.broken(&error.to_string()),
        }
    }

    fn broken(&self, error: &str) -> JsonResponse {
        match (Fault::of(error), &self.inner.health) {
            (Some(fault), Some(health)) => {
                let error = json!({"__type": transport::UNUSABLE, "message": health.failed(fault)});
                (transport::UNUSABLE_STATUS, error.to_string())
            }
            _ => {
                tracing::error!(error.why = error, "queue failed");
                (500, r#"{"__type":"InternalError"}"#.to_owned())
            }
        }
    }
}

/// Finds the queue that a URL names by its last segment. The host is ignored, because it is another
/// one when the queue is served on a port.
fn named(url: &str) -> Option<&'static str> {
    [BATCHES, DEAD_LETTERS]
        .into_iter()
        .find(|queue| queue.rsplit('/').next() == url.rsplit('/').next())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn entries(request: &Value) -> Vec<Value> {
    request
        .get("Entries")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

transport::sdk_transport!(Queue, perform);
