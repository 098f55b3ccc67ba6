//! Which messages a receive takes: the groups of a queue have turns, so that the messages of one project
//! do not wait for those of another.
//!
//! A group is a project's. Each receive begins with the group after the one that had the last turn, and takes
//! one message of each, the longest waiting first, until it has enough. So its cost grows with the groups
//! that have messages, not with the messages. A group that has as many messages in flight as it may have
//! is left out: the worker always has room for another's. Messages without a group, which the release
//! before sent, are a group without that limit.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

/// The group of messages that were sent without one.
const NO_GROUP: &str = "";

/// What is asked of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The queue.
    pub queue: &'a str,
    /// The time, in milliseconds since the Unix epoch.
    pub now: i64,
    /// Most messages.
    pub most: usize,
    /// Most messages of a group that may be in flight, these included.
    pub in_flight: usize,
}

/// A group with its visible messages, the longest visible first.
struct Group {
    name: String,
    messages: VecDeque<i64>,
}

/// Chooses messages, and moves `last`, the group that had the last turn.
///
/// # Errors
/// If SQLite fails.
pub(super) fn choose(
    connection: &Connection,
    wanted: Wanted<'_>,
    last: &mut Option<String>,
) -> rusqlite::Result<Vec<i64>> {
    let mut groups = with_messages(connection, wanted, last.as_deref())?;
    let mut chosen = Vec::new();
    while chosen.len() < wanted.most && groups.iter().any(|group| !group.messages.is_empty()) {
        for group in &mut groups {
            if chosen.len() == wanted.most {
                break;
            }
            if let Some(message) = group.messages.pop_front() {
                chosen.push(message);
                *last = Some(group.name.clone());
            }
        }
    }
    Ok(chosen)
}

/// The groups in the order of their turns, as many as one receive can serve.
fn with_messages(
    connection: &Connection,
    wanted: Wanted<'_>,
    last: Option<&str>,
) -> rusqlite::Result<Vec<Group>> {
    let mut groups = Vec::new();
    let mut name = match last {
        Some(last) => following(connection, wanted.queue, last)?,
        None => None,
    };
    let first = match name {
        Some(_) => name.clone(),
        None => first(connection, wanted.queue)?,
    };
    name.clone_from(&first);
    while let Some(current) = name {
        let messages = visible(connection, wanted, &current)?;
        let next = match following(connection, wanted.queue, &current)? {
            Some(next) => Some(next),
            None => self::first(connection, wanted.queue)?,
        };
        if !messages.is_empty() {
            groups.push(Group {
                name: current,
                messages,
            });
        }
        name = next.filter(|next| Some(next) != first.as_ref() && groups.len() < wanted.most);
    }
    Ok(groups)
}

/// The visible messages of a group that a receive may take.
fn visible(
    connection: &Connection,
    wanted: Wanted<'_>,
    group: &str,
) -> rusqlite::Result<VecDeque<i64>> {
    let room = match group {
        NO_GROUP => wanted.most,
        _ => {
            let held = connection
                .prepare_cached(
                    "SELECT count(*) FROM message
                     WHERE queue = ?1 AND group_id = ?2 AND in_flight = 1 AND visible_at > ?3",
                )?
                .query_row(params![wanted.queue, group, wanted.now], |row| {
                    row.get::<_, usize>(0)
                })?;
            wanted.most.min(wanted.in_flight.saturating_sub(held))
        }
    };
    if room == 0 {
        return Ok(VecDeque::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT id FROM message WHERE queue = ?1 AND group_id = ?2 AND visible_at <= ?3
         ORDER BY visible_at, id LIMIT ?4",
    )?;
    let found = statement.query_map(params![wanted.queue, group, wanted.now, room], |row| {
        row.get(0)
    })?;
    found.collect()
}

fn first(connection: &Connection, queue: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT group_id FROM message WHERE queue = ?1 ORDER BY group_id LIMIT 1")?
        .query_row([queue], |row| row.get(0))
        .optional()
}

fn following(
    connection: &Connection,
    queue: &str,
    group: &str,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT group_id FROM message WHERE queue = ?1 AND group_id > ?2
             ORDER BY group_id LIMIT 1",
        )?
        .query_row([queue, group], |row| row.get(0))
        .optional()
}

/// Makes dead letters of the messages that were received too often.
///
/// # Errors
/// If SQLite fails.
pub(super) fn give_up(
    connection: &Connection,
    (queue, dead_letters): (&str, &str),
    now: i64,
    max_receive_count: u32,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE message SET queue = ?1, receive_count = 0, in_flight = 0
             WHERE queue = ?2 AND receive_count >= ?4 AND visible_at <= ?3",
        )?
        .execute(params![dead_letters, queue, now, max_receive_count])?;
    Ok(())
}

/// Hides a message until `visible_at`, and returns it as a receive shows it.
///
/// # Errors
/// If SQLite fails.
pub(super) fn receive(
    connection: &Connection,
    id: i64,
    visible_at: i64,
) -> rusqlite::Result<Value> {
    let receipt = uuid::Uuid::new_v4().to_string();
    connection
        .prepare_cached(
            "UPDATE message SET visible_at = ?2, receive_count = receive_count + 1, receipt = ?3,
             in_flight = 1 WHERE id = ?1",
        )?
        .execute(params![id, visible_at, receipt])?;
    let mut read = connection.prepare_cached(
        "SELECT message_id, body, receive_count, attributes, group_id FROM message WHERE id = ?1",
    )?;
    read.query_row([id], |row| {
        let attributes: String = row.get(3)?;
        let attributes: Value = serde_json::from_str(&attributes).unwrap_or_default();
        let received: i64 = row.get(2)?;
        let group = Some(row.get::<_, String>(4)?).filter(|group| group != NO_GROUP);
        let mut given = json!({"ApproximateReceiveCount": received.to_string()});
        if let (Some(group), Some(given)) = (group, given.as_object_mut()) {
            given.insert("MessageGroupId".to_owned(), group.into());
        }
        Ok(json!({
            "MessageId": row.get::<_, String>(0)?,
            "ReceiptHandle": receipt,
            "Body": row.get::<_, String>(1)?,
            "Attributes": given,
            "MessageAttributes": attributes,
        }))
    })
}
