//! Counts what a data directory holds. Printed at the start, it shows at once that the server was
//! started in the wrong directory.

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Most rows that are counted: a large table must not delay the start.
const ROWS_MAX: i64 = 10_000;

/// Numbers of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    images: i64,
    memberships: i64,
    jobs: i64,
    /// The table has more rows than were counted.
    more: bool,
}

impl Contents {
    /// Counts the records in a table's file; `None` if it cannot be read. Text keys begin with `S:`
    /// there.
    pub fn of(file: &Path, table: &str) -> Option<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).ok()?;
        let quoted = table.replace('"', "\"\"");
        let count = format!(
            "SELECT count(CASE WHEN sk = 'S:IMAGE' THEN 1 END),
                    count(CASE WHEN sk LIKE 'S:MEM#%' THEN 1 END),
                    count(CASE WHEN sk = 'S:JOB' THEN 1 END)
             FROM (SELECT sk, item_json FROM \"{quoted}\" LIMIT ?1)
             WHERE item_json NOT LIKE '%\"gone\":{{\"BOOL\":true}}%'"
        );
        let counted = connection.query_row(&count, [ROWS_MAX], |row| {
            Ok(Self {
                images: row.get(0)?,
                memberships: row.get(1)?,
                jobs: row.get(2)?,
                more: false,
            })
        });
        let total = format!("SELECT count(*) FROM (SELECT 1 FROM \"{quoted}\" LIMIT ?1)");
        let rows: i64 = connection
            .query_row(&total, [ROWS_MAX + 1], |row| row.get(0))
            .ok()?;
        Some(Self {
            more: rows > ROWS_MAX,
            ..counted.ok()?
        })
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.more { "at least " } else { "" };
        let plural = |count: i64| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{least}{} image{}, {} membership{}, {} job{}",
            self.images,
            plural(self.images),
            self.memberships,
            plural(self.memberships),
            self.jobs,
            plural(self.jobs)
        )
    }
}
