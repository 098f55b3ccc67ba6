//! The schema versions of the SQLite files, in their headers: what the bytes mean is told before
//! they are read.
//!
//! The embedded engine has a version of its own, of how it lays out any table. Ours is about what
//! imshare keeps there: records, indexes, messages.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::storage::{StoreFile, cannot_open};

impl StoreFile {
    /// The version that this release writes. Raise it with a change that the release before would
    /// misread; a new optional attribute is none.
    pub const fn version(self) -> i32 {
        match self {
            Self::Table | Self::Queue | Self::Keys => 1,
        }
    }

    /// SQLite's `application_id`: "IMSt", "IMSq" and "IMSk", by which the files are known.
    const fn application_id(self) -> i32 {
        i32::from_be_bytes(match self {
            Self::Table => *b"IMSt",
            Self::Queue => *b"IMSq",
            Self::Keys => *b"IMSk",
        })
    }
}

/// Opens an existing file. Not read-only: that would leave the log of a server that was killed where
/// it is, and needs more care in WAL mode.
///
/// # Errors
/// One sentence for the operator.
pub fn open(path: &Path) -> Result<Connection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, &error.to_string()))
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Reads the version of a file; 0 if it is empty, or was written by a release up to 0.2.0.
///
/// # Errors
/// One sentence for the operator: it cannot be read, is not ours, or was written by a newer release.
pub fn check(path: &Path, file: StoreFile) -> Result<i32, String> {
    let connection = open(path)?;
    let read =
        |pragma| number(&connection, pragma).map_err(|error| cannot_open(path, &error.to_string()));
    let id = read("application_id")?;
    if id != 0 && id != file.application_id() {
        let path = path.display();
        return Err(format!(
            "{path} is a database of another program, or not the {} of imshare",
            file.name()
        ));
    }
    let version = read("user_version")?;
    if version > file.version() {
        return Err(format!(
            "{} was written by a newer imshare (schema version {version}, and this one knows \
             {}): use that release, or restore a backup that this one has made",
            path.display(),
            file.version()
        ));
    }
    Ok(version)
}

/// Writes this release's version into a file that it has just brought up to date.
///
/// # Errors
/// One sentence for the operator.
pub fn stamp(path: &Path, file: StoreFile) -> Result<(), String> {
    let connection = open(path)?;
    let stamped = (|| {
        for (pragma, value) in [
            ("application_id", file.application_id()),
            ("user_version", file.version()),
        ] {
            if number(&connection, pragma)? != value {
                connection.pragma_update(None, pragma, value)?;
            }
        }
        Ok::<_, rusqlite::Error>(())
    })();
    stamped.map_err(|error| cannot_open(path, &error.to_string()))
}
