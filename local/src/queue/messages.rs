//! The messages of both queues: rows of one SQLite table.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use serde_json::Value;
use shared::runtime::messages::MAX_RECEIVE_COUNT;

use super::turns::{self, Wanted};

/// The URL of the queue of batches.
pub const BATCHES: &str = "http://queue.local/batches";
/// The URL of the dead-letter queue.
pub const DEAD_LETTERS: &str = "http://queue.local/dead-letters";

/// Messages of one project that are worked on at once. One chunk of a batch has 16 images under way, which
/// keeps the engine busy, and a second one while the first is recorded.
const IN_FLIGHT: usize = 2;

/// The settings of the queue. The number of receives is the template's; messages are hidden for a shorter time,
/// because nothing but the end of the process ends a worker here.
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

/// The columns that releases up to 0.2.0 did not have, which ignores them. `in_flight` is 1 from a receive until the
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

/// A message to be sent.
pub(super) struct NewMessage<'a> {
    pub body: &'a str,
    /// The attributes that the sender gives it, as JSON.
    pub attributes: String,
    pub group: &'a str,
}

/// The messages. Times are in milliseconds since the Unix epoch.
pub(super) struct Messages {
    connection: Connection,
    settings: Settings,
    /// The group of the queue of batches that had the last turn.
    last: Option<String>,
}

impl Messages {
    /// Messages in memory.
    pub fn in_memory(settings: Settings) -> rusqlite::Result<Self> {
        Self::over(Connection::open_in_memory()?, settings)
    }

    /// The messages in a file. Those that were in flight become visible at once: the process that had
    /// received them is gone.
    pub fn in_file(path: &Path, settings: Settings) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        Self::over(connection, settings)
    }

    fn over(connection: Connection, settings: Settings) -> rusqlite::Result<Self> {
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
        Ok(Self {
            connection,
            settings,
            last: None,
        })
    }

    /// How many messages a queue holds, hidden ones included.
    pub fn count(&self, queue: &str) -> rusqlite::Result<u64> {
        let count = "SELECT count(*) FROM message WHERE queue = ?1";
        self.connection.query_row(count, [queue], |row| row.get(0))
    }

    /// How much waits in both queues.
    pub fn backlog(&self) -> rusqlite::Result<Backlog> {
        let mut backlog = Backlog::default();
        let mut count = self
            .connection
            .prepare_cached("SELECT queue, count(*), min(id) FROM message GROUP BY queue")?;
        let mut rows = count.query([])?;
        while let Some(row) = rows.next()? {
            let number: u64 = row.get(1)?;
            if row.get_ref(0)?.as_str()? == DEAD_LETTERS {
                backlog.dead_letters = Some(number);
                continue;
            }
            backlog.messages = number;
            let id: String = self
                .connection
                .prepare_cached("SELECT message_id FROM message WHERE id = ?1")?
                .query_row([row.get::<_, i64>(2)?], |row| row.get(0))?;
            backlog.oldest = sent_at(&id).and_then(|sent| sent.elapsed().ok());
        }
        Ok(backlog)
    }

    /// Adds messages to a queue, all or none. Returns their ids.
    pub fn send(
        &mut self,
        queue: &str,
        messages: &[NewMessage<'_>],
        now: i64,
    ) -> rusqlite::Result<Vec<String>> {
        let transaction = self.connection.transaction()?;
        let mut ids = Vec::new();
        for message in messages {
            // Its first half is the time, which tells the message's age.
            let id = uuid::Uuid::now_v7().to_string();
            let (body, attributes, group) = (message.body, &message.attributes, message.group);
            transaction.execute(
                "INSERT INTO message (message_id, queue, body, attributes, visible_at, group_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, queue, body, attributes, now, group],
            )?;
            ids.push(id);
        }
        transaction.commit()?;
        Ok(ids)
    }

    /// Receives up to `most` messages as a receive shows them, after moving those that were received too
    /// often to the dead letters.
    pub fn receive(&mut self, queue: &str, most: usize, now: i64) -> rusqlite::Result<Vec<Value>> {
        let settings = self.settings;
        let hidden = i64::try_from(settings.visibility_timeout.as_millis()).unwrap_or(i64::MAX);
        let wanted = Wanted {
            queue,
            now,
            most,
            in_flight: settings.in_flight,
        };
        let transaction = self.connection.transaction()?;
        let queues = (BATCHES, DEAD_LETTERS);
        turns::give_up(&transaction, queues, now, settings.max_receive_count)?;
        let chosen = turns::choose(&transaction, wanted, &mut self.last)?;
        let taken = chosen
            .into_iter()
            .map(|id| turns::receive(&transaction, id, now + hidden));
        let taken = taken.collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.commit()?;
        Ok(taken)
    }

    /// When the next hidden message of a queue becomes visible.
    pub fn next_due(&self, queue: &str, now: i64) -> rusqlite::Result<Option<i64>> {
        let receives = self.settings.max_receive_count;
        self.connection
            .prepare_cached(
                "SELECT min(visible_at) FROM message
                 WHERE (queue = ?1 OR (?1 = ?2 AND queue = ?3 AND receive_count >= ?4))
                   AND visible_at > ?5",
            )?
            .query_row(
                params![queue, DEAD_LETTERS, BATCHES, receives, now],
                |row| row.get(0),
            )
    }

    /// Deletes the messages that were received with these receipts.
    pub fn delete<'a>(&mut self, receipts: impl Iterator<Item = &'a str>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for receipt in receipts {
            transaction
                .prepare_cached("DELETE FROM message WHERE receipt = ?1")?
                .execute([receipt])?;
        }
        transaction.commit()
    }

    /// Gives messages back by their receipts, each with the time from which it is visible again.
    pub fn give_back<'a>(
        &mut self,
        receipts: impl Iterator<Item = (&'a str, i64)>,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let update = "UPDATE message SET visible_at = ?2, in_flight = 0 WHERE receipt = ?1";
        for (receipt, visible_at) in receipts {
            transaction
                .prepare_cached(update)?
                .execute(params![receipt, visible_at])?;
        }
        transaction.commit()
    }
}

/// When a message was sent, by its id. The ids of earlier releases do not tell.
fn sent_at(id: &str) -> Option<SystemTime> {
    let id = uuid::Uuid::parse_str(id).ok()?;
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Some(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}
