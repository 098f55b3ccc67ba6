//! SQS in this process: a durable queue with at-least-once delivery, visibility timeouts, receive
//! counts and dead letters.
//!
//! Messages are rows of one SQLite table. The SDK's requests reach it without a socket.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::storage::{Fault, Health, cannot_open};
use crate::transport::{self, JsonResponse};

/// The URL of the queue of batches.
pub const BATCHES: &str = "http://queue.local/batches";
/// The URL of the dead-letter queue.
pub const DEAD_LETTERS: &str = "http://queue.local/dead-letters";

/// The settings of the queue, as in the template.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The visibility timeout: how long a received message stays hidden unless it is deleted.
    pub visibility_timeout: Duration,
    /// How often a message is received before it becomes a dead letter.
    pub max_receive_count: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            max_receive_count: 5,
        }
    }
}

/// How much waits in the queues.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Messages that wait or are being handled.
    pub messages: u64,
    /// The age of the oldest of them, if it is known.
    pub oldest: Option<Duration>,
    /// Dead letters, if their number is known.
    pub dead_letters: Option<u64>,
}

impl Default for Backlog {
    /// Empty queues.
    fn default() -> Self {
        Self {
            messages: 0,
            oldest: None,
            dead_letters: Some(0),
        }
    }
}

/// The queue, which is an HTTP client for the SDK; cheap to clone.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Mutex<Connection>,
    settings: Settings,
    sent: Notify,
    health: Option<Health>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS message (
        id            INTEGER PRIMARY KEY,
        message_id    TEXT NOT NULL UNIQUE,
        queue         TEXT NOT NULL,
        body          TEXT NOT NULL,
        attributes    TEXT NOT NULL,
        visible_at    INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        receipt       TEXT
    );
    CREATE INDEX IF NOT EXISTS message_by_queue ON message (queue, visible_at);
    CREATE INDEX IF NOT EXISTS message_by_receipt ON message (receipt);
";

impl Queue {
    /// Creates a queue in memory.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_memory(settings: Settings) -> Result<Self, String> {
        Self::over(Connection::open_in_memory(), settings, None).map_err(|error| error.to_string())
    }

    /// Opens the queue in a file. Messages that were in flight become visible at once: the process
    /// that had received them is gone.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_file(path: &Path, settings: Settings, health: Health) -> Result<Self, String> {
        let opened = Connection::open(path).and_then(|connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            Ok(connection)
        });
        Self::over(opened, settings, Some(health))
            .map_err(|error| cannot_open(path, &error.to_string()))
    }

    fn over(
        opened: rusqlite::Result<Connection>,
        settings: Settings,
        health: Option<Health>,
    ) -> rusqlite::Result<Self> {
        let connection = opened?;
        connection.execute_batch(SCHEMA)?;
        connection.execute("UPDATE message SET visible_at = 0", [])?;
        let connection = Mutex::new(connection);
        Ok(Self {
            inner: Arc::new(Inner {
                connection,
                settings,
                sent: Notify::new(),
                health,
            }),
        })
    }

    /// How many messages a queue holds, hidden ones included.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn len(&self, queue: &str) -> rusqlite::Result<u64> {
        self.with(|connection| {
            connection.query_row(
                "SELECT count(*) FROM message WHERE queue = ?1",
                [queue],
                |row| row.get(0),
            )
        })
    }

    /// How much waits in both queues.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn backlog(&self) -> rusqlite::Result<Backlog> {
        self.with(|connection| {
            let mut backlog = Backlog::default();
            let mut count = connection
                .prepare_cached("SELECT queue, count(*), min(id) FROM message GROUP BY queue")?;
            let mut rows = count.query([])?;
            while let Some(row) = rows.next()? {
                let number: u64 = row.get(1)?;
                if row.get_ref(0)?.as_str()? == DEAD_LETTERS {
                    backlog.dead_letters = Some(number);
                    continue;
                }
                backlog.messages = number;
                let id: String = connection
                    .prepare_cached("SELECT message_id FROM message WHERE id = ?1")?
                    .query_row([row.get::<_, i64>(2)?], |row| row.get(0))?;
                backlog.oldest = sent_at(&id).and_then(|sent| sent.elapsed().ok());
            }
            Ok(backlog)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> T {
        work(
            &mut self
                .inner
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn send(&self, queue: &str, request: &Value) -> rusqlite::Result<Value> {
        let entries = entries(request);
        let sent = self.with(|connection| {
            let transaction = connection.transaction()?;
            let mut sent = Vec::new();
            for entry in &entries {
                // Its first half is the time, which tells the message's age.
                let id = uuid::Uuid::now_v7().to_string();
                let attributes = entry
                    .get("MessageAttributes")
                    .unwrap_or(&Value::Null)
                    .to_string();
                transaction.execute(
                    "INSERT INTO message (message_id, queue, body, attributes, visible_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![id, queue, text(entry, "MessageBody"), attributes, now()],
                )?;
                sent.push(
                    json!({"Id": text(entry, "Id"), "MessageId": id, "MD5OfMessageBody": ""}),
                );
            }
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(sent)
        })?;
        self.inner.sent.notify_waiters();
        Ok(json!({"Successful": sent, "Failed": []}))
    }

    /// Receives up to `most` messages, after moving those that were received too often to the dead
    /// letters.
    fn take(&self, queue: &str, most: u64) -> rusqlite::Result<Vec<Value>> {
        let settings = self.inner.settings;
        let hidden = i64::try_from(settings.visibility_timeout.as_millis()).unwrap_or(i64::MAX);
        self.with(|connection| {
            let transaction = connection.transaction()?;
            let mut taken = Vec::new();
            {
                let mut give_up = transaction.prepare_cached(
                    "UPDATE message SET queue = ?1, receive_count = 0
                     WHERE queue = ?2 AND visible_at <= ?3 AND receive_count >= ?4",
                )?;
                give_up.execute(params![
                    DEAD_LETTERS,
                    BATCHES,
                    now(),
                    settings.max_receive_count
                ])?;
                let mut due = transaction.prepare_cached(
                    "SELECT id, message_id, body, receive_count, attributes FROM message
                     WHERE queue = ?1 AND visible_at <= ?2 ORDER BY id LIMIT ?3",
                )?;
                let mut hide = transaction.prepare_cached(
                    "UPDATE message SET visible_at = ?2, receive_count = receive_count + 1,
                     receipt = ?3 WHERE id = ?1",
                )?;
                let rows = due.query_map(params![queue, now(), most], |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, i64>(3)?,
                        row.get::<_, String>(4)?,
                    ))
                })?;
                for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
                    let (id, message_id, body, received, attributes) = row;
                    let attributes: Value = serde_json::from_str(&attributes).unwrap_or_default();
                    let receipt = uuid::Uuid::new_v4().to_string();
                    hide.execute(params![id, now() + hidden, receipt])?;
                    taken.push(json!({
                        "MessageId": message_id,
                        "ReceiptHandle": receipt,
                        "Body": body,
                        "Attributes": {"ApproximateReceiveCount": (received + 1).to_string()},
                        "MessageAttributes": attributes,
                    }));
                }
            }
            transaction.commit()?;
            Ok(taken)
        })
    }

    /// When the next hidden message of a queue becomes visible, in milliseconds since the Unix
    /// epoch.
    fn next_due(&self, queue: &str) -> rusqlite::Result<Option<i64>> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT min(visible_at) FROM message WHERE queue = ?1
                     OR (?1 = ?2 AND queue = ?3 AND receive_count >= ?4)",
                )?
                .query_row(
                    params![
                        queue,
                        DEAD_LETTERS,
                        BATCHES,
                        self.inner.settings.max_receive_count
                    ],
                    |row| row.get(0),
                )
        })
    }

    /// Receives messages, waiting for them as long as the request says.
    async fn receive(&self, queue: &str, request: &Value) -> rusqlite::Result<Value> {
        let most = number(request, "MaxNumberOfMessages").clamp(1, 10);
        let wait = Duration::from_secs(number(request, "WaitTimeSeconds"));
        let until = tokio::time::Instant::now() + wait;
        loop {
            let sent = self.inner.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            let messages = self.take(queue, most)?;
            if !messages.is_empty() || tokio::time::Instant::now() >= until {
                return Ok(json!({"Messages": messages}));
            }
            let due = self.next_due(queue)?.map(|due| {
                let wait = u64::try_from(due - now()).unwrap_or_default();
                // At least the 1 ms that the clock can resolve: less would make this loop spin.
                tokio::time::Instant::now() + Duration::from_millis(wait.max(1))
            });
            tokio::select! {
                () = sent => {}
                () = tokio::time::sleep_until(due.unwrap_or(until).min(until)) => {}
            }
        }
    }

    fn delete(&self, request: &Value) -> rusqlite::Result<Value> {
        let entries = entries(request);
        let deleted = self.with(|connection| {
            let transaction = connection.transaction()?;
            let mut deleted = Vec::new();
            for entry in &entries {
                let receipt = text(entry, "ReceiptHandle");
                transaction.execute("DELETE FROM message WHERE receipt = ?1", [receipt])?;
                deleted.push(json!({"Id": text(entry, "Id")}));
            }
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(deleted)
        })?;
        Ok(json!({"Successful": deleted, "Failed": []}))
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
            "SendMessageBatch" => self.send(queue, &request),
            "ReceiveMessage" => self.receive(queue, &request).await,
            "DeleteMessageBatch" => self.delete(&request),
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

/// When a message was sent, by its id. The ids of earlier releases do not tell.
fn sent_at(id: &str) -> Option<SystemTime> {
    let id = uuid::Uuid::parse_str(id).ok()?;
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Some(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
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

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

transport::sdk_transport!(Queue, perform);
