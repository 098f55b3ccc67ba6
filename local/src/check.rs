//! `imshare check`: whether a data directory agrees with itself. A server may run in it.
//!
//! SQLite checks its files, the store's [`Checker`] the records, and this module that each index of the
//! embedded engine has the rows that the records ask for, and no others.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Rows, Statement};
use serde_json::{Map, Value};
use shared::domain::message::Message;
use shared::domain::time::Timestamp;
use shared::store::check::{Checker, Report};

use crate::in_process::item;
use crate::queue::DEAD_LETTERS;
use crate::schema;
use crate::storage::{Fault, StoreFile, cannot_open, is_empty, refuse_unfinished};
use crate::watch::{Failure, Watch, cannot};

/// How many records are read between looks for a signal.
const RECORDS: u64 = 1_000;

/// What was found in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What was found in the table, and all findings.
    pub report: Report,
    /// Rows of indexes.
    pub index_rows: u64,
    /// Messages that wait.
    pub messages: u64,
    /// Messages that failed too often and are still to be settled.
    pub dead_letters: u64,
}

/// Checks a data directory and the table of this name in it.
///
/// # Errors
/// With the signal that stopped it, or with a sentence if it cannot be checked.
pub fn check(data: &Path, table: &str, now: Timestamp, watch: &Watch) -> Result<Found, Failure> {
    let mut checker = Checker::new(now);
    let mut found = Found::default();
    refuse_unfinished(data)?;
    let [of_table, of_queue, of_keys] = StoreFile::ALL.map(|file| Checked {
        path: file.path(data),
        file,
        watch,
    });
    let connection = of_table.open()?;
    if of_table.is_sound(&connection, &mut checker)? {
        found.index_rows = of_table.records(&connection, table, &mut checker)?;
    }
    let connection = of_queue.open()?;
    if of_queue.is_sound(&connection, &mut checker)? {
        (found.messages, found.dead_letters) = of_queue.messages(&connection, &mut checker)?;
    }
    // A release that had no access keys has left no such file, and a new one is empty.
    if !is_empty(&of_keys.path) {
        let connection = of_keys.open()?;
        of_keys.is_sound(&connection, &mut checker)?;
    }
    found.report = checker.end();
    Ok(found)
}

/// A file that is checked.
struct Checked<'a> {
    path: std::path::PathBuf,
    file: StoreFile,
    watch: &'a Watch,
}

impl Checked<'_> {
    /// Opens the file, within one transaction: all that is read is of one instant.
    fn open(&self) -> Result<Connection, Failure> {
        let path = &self.path;
        if is_empty(path) {
            let path = path.display();
            return Err(format!(
                "there is no {path}: name the server's directory with --data-dir"
            ))?;
        }
        if schema::check(path, self.file)? < self.file.version() {
            return Err(format!(
                "{} was written by an earlier imshare: start the server once, which brings it up \
                 to date",
                path.display()
            ))?;
        }
        let connection = schema::open(path)?;
        self.watch.over(&connection);
        let begun = connection.execute_batch("BEGIN");
        begun.map_err(|error| cannot_open(path, &error.to_string()))?;
        Ok(connection)
    }

    fn failure(&self, error: rusqlite::Error) -> Failure {
        let sentence = |error: rusqlite::Error| cannot("read", &self.path, &error);
        self.watch.failure(error, sentence)
    }

    /// Lets SQLite check the file. What it finds is damage, after which the rest tells nothing.
    fn is_sound(&self, connection: &Connection, checker: &mut Checker) -> Result<bool, Failure> {
        self.watch.at("checking the file", 0, 0)?;
        let mut findings = Vec::new();
        let checked = connection.pragma_query(None, "integrity_check", |row| {
            findings.push(row.get::<_, String>(0)?);
            Ok(())
        });
        match checked {
            Ok(()) => findings.retain(|finding| finding != "ok"),
            Err(error) if Fault::of(&error.to_string()) == Some(Fault::Corrupt) => {
                findings.push(error.to_string());
            }
            Err(error) => return Err(self.failure(error)),
        }
        for finding in &findings {
            checker.add(self.file.name(), format!("damaged: {finding}"));
        }
        Ok(findings.is_empty())
    }

    /// Checks the records and their index rows. Returns the number of these.
    fn records(
        &self,
        connection: &Connection,
        table: &str,
        checker: &mut Checker,
    ) -> Result<u64, Failure> {
        let why = |error| self.failure(error);
        let indexes = self.indexes(connection, table)?;
        let quoted = quoted(table);
        let mut statements: Vec<Statement<'_>> = Vec::new();
        for index in &indexes {
            let query = format!(
                "SELECT table_pk, table_sk, item_json FROM {} ORDER BY table_pk, table_sk",
                self::quoted(&format!("{table}::gsi::{}", index.name))
            );
            statements.push(connection.prepare(&query).map_err(why)?);
        }
        let mut cursors = Vec::new();
        for (index, statement) in indexes.iter().zip(&mut statements) {
            let rows = statement.query([]).map_err(why)?;
            cursors.push(Cursor::new(index, rows).map_err(why)?);
        }
        let count = format!("SELECT count(*) FROM {quoted}");
        let count = connection.query_row(&count, [], |row| row.get(0));
        let count: u64 = count.map_err(why)?;
        let all = format!("SELECT pk, sk, item_json FROM {quoted} ORDER BY pk, sk");
        let mut all = connection.prepare(&all).map_err(why)?;
        let mut rows = all.query([]).map_err(why)?;
        let mut done = 0;
        while let Some(row) = rows.next().map_err(why)? {
            if done % RECORDS == 0 {
                self.watch.at("checking records", done, count)?;
            }
            done += 1;
            let key = (row.get(0).map_err(why)?, row.get(1).map_err(why)?);
            let text: String = row.get(2).map_err(why)?;
            let record = serde_json::from_str::<Map<String, Value>>(&text);
            let typed = serde_json::from_str(&text);
            let (Ok(record), Ok(typed)) = (record, typed) else {
                checker.add(named(&key), "not an item");
                continue;
            };
            for cursor in &mut cursors {
                cursor.compare(&key, &record, checker).map_err(why)?;
            }
            checker.next(&item(typed));
        }
        let mut rows = 0;
        for mut cursor in cursors {
            cursor.skip_to(None, checker).map_err(why)?;
            rows += cursor.rows_read;
        }
        Ok(rows)
    }

    /// The indexes of a table, as the engine has recorded them.
    fn indexes(&self, connection: &Connection, table: &str) -> Result<Vec<Index>, Failure> {
        let query = "SELECT gsi_definitions FROM _tables WHERE table_name = ?1";
        let found = connection.query_row(query, [table], |row| row.get::<_, Option<String>>(0));
        let found = found.optional().map_err(|error| self.failure(error))?;
        let Some(definitions) = found else {
            let path = self.path.display();
            return Err(format!("{path} has no table {table}: name it with --table"))?;
        };
        let definitions = definitions.unwrap_or_default();
        let all: Vec<Value> = serde_json::from_str(&definitions).unwrap_or_default();
        Ok(all.iter().map(Index::of).collect())
    }

    /// Checks that all messages parse. Returns how many wait, and how many are dead letters.
    fn messages(
        &self,
        connection: &Connection,
        checker: &mut Checker,
    ) -> Result<(u64, u64), Failure> {
        let why = |error| self.failure(error);
        let query = "SELECT message_id, queue, body FROM message ORDER BY id";
        let mut all = connection.prepare(query).map_err(why)?;
        let mut rows = all.query([]).map_err(why)?;
        let (mut waiting, mut dead) = (0, 0);
        while let Some(row) = rows.next().map_err(why)? {
            self.watch.look()?;
            let queue: String = row.get(1).map_err(why)?;
            match queue == DEAD_LETTERS {
                true => dead += 1,
                false => waiting += 1,
            }
            let body: String = row.get(2).map_err(why)?;
            if serde_json::from_str::<Message>(&body).is_err() {
                let id: String = row.get(0).map_err(why)?;
                checker.add(
                    format!("message {id}"),
                    "not a message that this release knows",
                );
            }
        }
        Ok((waiting, dead))
    }
}

fn quoted(table: &str) -> String {
    format!("\"{}\"", table.replace('"', "\"\""))
}

/// The key of a record in the engine's columns: text with its type before it.
type Key = (String, String);

fn named((pk, sk): &Key) -> String {
    let bare = |text: &str| text.strip_prefix("S:").unwrap_or(text).to_owned();
    format!("{} {}", bare(pk), bare(sk))
}

/// An index: its key, and all attributes that it holds.
struct Index {
    name: String,
    key: Vec<String>,
    held: BTreeSet<String>,
}

impl Index {
    fn of(definition: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |pointer: &str| {
            let found = definition.pointer(pointer).and_then(Value::as_array);
            found.cloned().unwrap_or_default()
        };
        let key: Vec<String> = list("/KeySchema")
            .iter()
            .map(|part| text(&part["AttributeName"]))
            .collect();
        let mut held: BTreeSet<String> = list("/Projection/NonKeyAttributes")
            .iter()
            .map(text)
            .collect();
        held.extend(key.iter().cloned());
        held.extend([shared::store::keys::PK, shared::store::keys::SK].map(str::to_owned));
        Self {
            name: text(&definition["IndexName"]),
            key,
            held,
        }
    }

    /// The row of a record; `None` if it is not in the index.
    fn row_of(&self, record: &Map<String, Value>) -> Option<Map<String, Value>> {
        let in_index = self.key.iter().all(|name| record.contains_key(name));
        let held = record.iter().filter(|(name, _)| self.held.contains(*name));
        in_index.then(|| held.map(|(name, it)| (name.clone(), it.clone())).collect())
    }
}

/// The rows of an index by the keys of their records, read along with the records.
struct Cursor<'a> {
    index: &'a Index,
    rows: Rows<'a>,
    next: Option<(Key, String)>,
    rows_read: u64,
}

impl<'a> Cursor<'a> {
    fn new(index: &'a Index, rows: Rows<'a>) -> rusqlite::Result<Self> {
        let mut cursor = Self {
            index,
            rows,
            next: None,
            rows_read: 0,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.next = match self.rows.next()? {
            None => None,
            Some(row) => {
                self.rows_read += 1;
                Some(((row.get(0)?, row.get(1)?), row.get(2)?))
            }
        };
        Ok(())
    }

    /// Skips the rows before a key, or all: there is no record for them.
    fn skip_to(&mut self, key: Option<&Key>, checker: &mut Checker) -> rusqlite::Result<()> {
        while let Some((of, _)) = self.next.as_ref().filter(|(of, _)| key != Some(of)) {
            if key.is_some_and(|key| of > key) {
                break;
            }
            let what = format!("a row of {} without its record", self.index.name);
            checker.add(named(of), what);
            self.advance()?;
        }
        Ok(())
    }

    /// Compares the row of the index with what the record asks for.
    fn compare(
        &mut self,
        key: &Key,
        record: &Map<String, Value>,
        checker: &mut Checker,
    ) -> rusqlite::Result<()> {
        self.skip_to(Some(key), checker)?;
        let expected = self.index.row_of(record);
        let name = &self.index.name;
        let mut rows = 0;
        while let Some((_, text)) = self.next.as_ref().filter(|(of, _)| of == key) {
            rows += 1;
            let row = serde_json::from_str::<Map<String, Value>>(text).ok();
            if row != expected {
                checker.add(named(key), format!("its row of {name} differs from it"));
            }
            self.advance()?;
        }
        match (expected.is_some(), rows) {
            (true, 0) => checker.add(named(key), format!("it has no row of {name}")),
            (_, 0 | 1) => {}
            (_, _) => checker.add(named(key), format!("it has {rows} rows of {name}")),
        }
        Ok(())
    }
}
