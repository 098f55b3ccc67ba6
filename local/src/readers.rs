//! Connections that read while another one writes. The engine serves one request at a time on a
//! connection, so on one alone the requests of all clients would wait for each other.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use dynoxide::Database;

/// Connections to the database's file for reading. SQLite shows each of them what was committed
/// before its read began, so a client that was answered reads its own write.
pub(crate) struct Readers {
    path: String,
    /// How many are opened: one for each thread that this machine runs at a time.
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The connections that nobody uses.
    idle: Vec<Database>,
    /// How many are open, idle or in use.
    open: usize,
    /// How often the tables have changed. A connection keeps what it has read of a table's
    /// definition, so it is not used after a change.
    changes: u64,
}

/// A connection in use.
struct Taken {
    connection: Database,
    changes: u64,
}

impl Readers {
    /// Opens nothing yet.
    pub(crate) fn of(path: &str) -> Self {
        let threads = std::thread::available_parallelism();
        Self {
            path: path.to_owned(),
            most: threads.map_or(1, NonZero::get),
            state: Mutex::default(),
        }
    }

    /// Reads with an idle connection, or with `writer` if there is none.
    pub(crate) fn read<T>(&self, writer: &Database, read: impl FnOnce(&Database) -> T) -> T {
        let Some(taken) = self.take() else {
            return read(writer);
        };
        let answer = read(&taken.connection);
        self.give_back(taken);
        answer
    }

    /// Closes what was opened before the tables changed.
    pub(crate) fn tables_changed(&self) {
        let mut state = self.state();
        state.idle.clear();
        state.open = 0;
        state.changes += 1;
    }

    fn take(&self) -> Option<Taken> {
        let mut state = self.state();
        let changes = state.changes;
        if let Some(connection) = state.idle.pop() {
            return Some(Taken {
                connection,
                changes,
            });
        }
        if state.open == self.most {
            return None;
        }
        let connection = Database::new(&self.path).ok()?;
        state.open += 1;
        Some(Taken {
            connection,
            changes,
        })
    }

    fn give_back(&self, taken: Taken) {
        let mut state = self.state();
        if state.changes == taken.changes {
            state.idle.push(taken.connection);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
