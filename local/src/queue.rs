//! SQS in this process: a durable queue with at-least-once delivery, message groups, visibility timeouts,
//! receive counts and dead letters.
//!
//! Messages are rows of one SQLite table. The SDK's requests reach it without a socket.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use shared::domain::time::Clock;
use shared::runtime::messages::MAX_RECEIVE_COUNT;
use tokio::sync::Notify;

use crate::storage::{Fault, Health, cannot_open};
use crate::transport::{self, JsonResponse};
use crate::turns::{self, Wanted};

/// The URL of the queue of batches.
pub const BATCHES: &str = "http://queue.local/batches";
/// The URL of the dead-letter queue.
pub const DEAD_LETTERS: &str = "http://queue.local/dead-letters";

/// The longest visibility timeout that SQS takes, in seconds.
const VISIBILITY_MAX: u64 = 12 * 3600;
/// Messages of one project that are worked on at once. One chunk of a batch has 16 images under way, which
/// keeps the engine busy, and a second one while the first is recorded.
const IN_FLIGHT: usize = 2;

/// The settings of the queue, as in the template.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The visibility timeout: how long a received message stays hidden unless it is deleted.
    pub visibility_timeout: Duration,
    /// How often a message is received before it becomes a dead letter.
    pub max_receive_count: u32,
    /// Most messages of a group in flight.
    pub in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            max_receive_count: MAX_RECEIVE_COUNT,
            in_flight: IN_FLIGHT,
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
    messages: Mutex<Messages>,
    settings: Settings,
    clock: Clock,
    /// Notified when a message may have become visible, or its group may have room.
    changed: Notify,
    health: Option<Health>,
}

struct Messages {
    connection: Connection,
    /// The group of the queue of batches that had the last turn.
    last: Option<String>,
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
";

/// The columns that release 0.1.0 did not have, which ignores them. `in_flight` is 1 from a receive until the
/// message is deleted or given back.
const NEW_COLUMNS: [(&str, &str); 2] = [
    ("group_id", "TEXT NOT NULL DEFAULT ''"),
    ("in_flight", "INTEGER NOT NULL DEFAULT 0"),
];

const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS message_by_queue ON message (queue, visible_at);
    CREATE INDEX IF NOT EXISTS message_by_receipt ON message (receipt);
    CREATE INDEX IF NOT EXISTS message_by_group ON message (queue, group_id, visible_at);
    CREATE INDEX IF NOT EXISTS message_by_receives ON message (queue, receive_count);
    CREATE INDEX IF NOT EXISTS message_in_flight ON message (queue, group_id, visible_at)
        WHERE in_flight = 1;
";

impl Queue {
    /// Creates a queue in memory.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_memory(settings: Settings, clock: Clock) -> Result<Self, String> {
        Self::over(Connection::open_in_memory(), settings, clock, None)
            .map_err(|error| error.to_string())
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
        let opened = Connection::open(path).and_then(|connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            Ok(connection)
        });
        Self::over(opened, settings, clock, Some(health))
            .map_err(|error| cannot_open(path, &error.to_string()))
    }

    fn over(
        opened: rusqlite::Result<Connection>,
        settings: Settings,
        clock: Clock,
        health: Option<Health>,
    ) -> rusqlite::Result<Self> {
        let connection = opened?;
        connection.execute_batch(SCHEMA)?;
        for (name, column) in NEW_COLUMNS {
            let has = "SELECT count(*) FROM pragma_table_info('message') WHERE name = ?1";
            if connection.query_row(has, [name], |row| row.get::<_, i64>(0))? == 0 {
                let add = format!("ALTER TABLE message ADD COLUMN {name} {column}");
                connection.execute_batch(&add)?;
            }
        }
        connection.execute_batch(INDEXES)?;
        connection.execute("UPDATE message SET visible_at = 0, in_flight = 0", [])?;
        let last = None;
        Ok(Self {
            inner: Arc::new(Inner {
                messages: Mutex::new(Messages { connection, last }),
                settings,
                clock,
                changed: Notify::new(),
                health,
            }),
        })
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
        self.with(|messages| {
            messages.connection.query_row(
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
        self.with(|messages| {
            let connection = &messages.connection;
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

    fn with<T>(&self, work: impl FnOnce(&mut Messages) -> T) -> T {
        work(
            &mut self
                .inner
                .messages
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn send(&self, queue: &str, request: &Value) -> rusqlite::Result<Value> {
        let entries = entries(request);
        let now = self.now();
        let sent = self.with(|messages| {
            let transaction = messages.connection.transaction()?;
            let mut sent = Vec::new();
            for entry in &entries {
                // Its first half is the time, which tells the message's age.
                let id = uuid::Uuid::now_v7().to_string();
                let attributes = entry
                    .get("MessageAttributes")
                    .unwrap_or(&Value::Null)
                    .to_string();
                transaction.execute(
                    "INSERT INTO message (message_id, queue, body, attributes, visible_at, group_id)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        id,
                        queue,
                        text(entry, "MessageBody"),
                        attributes,
                        now,
                        text(entry, "MessageGroupId")
                    ],
                )?;
                sent.push(
                    json!({"Id": text(entry, "Id"), "MessageId": id, "MD5OfMessageBody": ""}),
                );
            }
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(sent)
        })?;
        self.inner.changed.notify_waiters();
        Ok(json!({"Successful": sent, "Failed": []}))
    }

    /// Receives up to `most` messages, after moving those that were received too often to the dead
    /// letters.
    fn take(&self, queue: &str, most: usize) -> rusqlite::Result<Vec<Value>> {
        let settings = self.inner.settings;
        let hidden = i64::try_from(settings.visibility_timeout.as_millis()).unwrap_or(i64::MAX);
        let now = self.now();
        let wanted = Wanted {
            queue,
            now,
            most,
            in_flight: settings.in_flight,
        };
        self.with(|messages| {
            let transaction = messages.connection.transaction()?;
            let queues = (BATCHES, DEAD_LETTERS);
            turns::give_up(&transaction, queues, now, settings.max_receive_count)?;
            let chosen = turns::choose(&transaction, wanted, &mut messages.last)?;
            let taken = chosen
                .into_iter()
                .map(|id| turns::receive(&transaction, id, now + hidden));
            let taken = taken.collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.commit()?;
            Ok(taken)
        })
    }

    /// When the next hidden message of a queue becomes visible, in milliseconds since the Unix
    /// epoch.
    fn next_due(&self, queue: &str) -> rusqlite::Result<Option<i64>> {
        let now = self.now();
        self.with(|messages| {
            messages
                .connection
                .prepare_cached(
                    "SELECT min(visible_at) FROM message
                     WHERE (queue = ?1 OR (?1 = ?2 AND queue = ?3 AND receive_count >= ?4))
                       AND visible_at > ?5",
                )?
                .query_row(
                    params![
                        queue,
                        DEAD_LETTERS,
                        BATCHES,
                        self.inner.settings.max_receive_count,
                        now
                    ],
                    |row| row.get(0),
                )
        })
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
            let messages = self.take(queue, most)?;
            if !messages.is_empty() || tokio::time::Instant::now() >= until {
                return Ok(json!({"Messages": messages}));
            }
            let due = self.next_due(queue)?.map(|due| {
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
        self.each_receipt(request, |transaction, receipt, _| {
            transaction
                .prepare_cached("DELETE FROM message WHERE receipt = ?1")?
                .execute([receipt])
        })
    }

    /// Gives messages back: they are visible again after a time.
    fn change_visibility(&self, request: &Value) -> rusqlite::Result<Value> {
        let now = self.now();
        self.each_receipt(request, |transaction, receipt, entry| {
            let seconds = number(entry, "VisibilityTimeout").min(VISIBILITY_MAX);
            let hidden = i64::try_from(seconds).unwrap_or_default() * 1000;
            transaction
                .prepare_cached(
                    "UPDATE message SET visible_at = ?2, in_flight = 0 WHERE receipt = ?1",
                )?
                .execute(params![receipt, now + hidden])
        })
    }

    /// Changes the messages that the entries of a request name by their receipts.
    fn each_receipt(
        &self,
        request: &Value,
        change: impl Fn(&Connection, &str, &Value) -> rusqlite::Result<usize>,
    ) -> rusqlite::Result<Value> {
        let entries = entries(request);
        let changed = self.with(|messages| {
            let transaction = messages.connection.transaction()?;
            let mut changed = Vec::new();
            for entry in &entries {
                change(&transaction, text(entry, "ReceiptHandle"), entry)?;
                changed.push(json!({"Id": text(entry, "Id")}));
            }
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(changed)
        })?;
        self.inner.changed.notify_waiters();
        Ok(json!({"Successful": changed, "Failed": []}))
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

transport::sdk_transport!(Queue, perform);
