//! `imshare backup`: a copy of a data directory as of one instant, while a server works in it.
//!
//! The table and the queue are two databases, and a job passes from one to the other: copied one after
//! the other, a job whose message is sent and marked as sent between the two copies would be in neither. So
//! both write locks are taken, which no two writes of the server can surround, two transactions that read
//! begin, and the locks are given back: they are held for less than a millisecond. What the two
//! transactions see is what a `kill -9` of the server at that instant would have left, and a server starts
//! from that as from any crash: what was acknowledged is in the table, work that is owed is sent again, and
//! a message that had been applied changes nothing.
//!
//! Pages are copied by SQLite's online backup within these transactions. Without them it would begin anew
//! with each write of the server.

use std::fs::{DirBuilder, File};
use std::io::BufWriter;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};
use shared::domain::time::Clock;

use crate::archive::{self, Held, Manifest};
use crate::schema;
use crate::storage::{StoreFile, is_empty, private, refuse_unfinished};
use crate::watch::{Failure, Watch, cannot};

/// How many pages are copied between looks for a signal.
const PAGES: i32 = 1_024;
/// How often to try to get the locks, for how long each time. A server's writes are much shorter.
const TRIES: u32 = 120;
/// See [`TRIES`]. A signal is noticed between two tries.
const PATIENCE: Duration = Duration::from_millis(250);

/// Backs a data directory up to a file, which appears when it is whole. Without `replace` a file that
/// exists is kept.
///
/// # Errors
/// With the signal that stopped it, or with a sentence. Then no file was written.
pub fn backup(data: &Path, to: &Path, replace: bool, watch: &Watch) -> Result<Manifest, Failure> {
    let versions = versions(data)?;
    let partial = Partial::beside(to, replace)?;
    let (frozen, taken_at) = Frozen::freeze(data, watch)?;
    let copy = |snapshot: &Snapshot, file, schema| -> Result<Held, Failure> {
        let bytes = snapshot.copy(&partial.file(file), watch)?;
        Ok(Held { schema, bytes })
    };
    let table = copy(&frozen.table, StoreFile::Table, versions.table)?;
    let queue = copy(&frozen.queue, StoreFile::Queue, versions.queue)?;
    let keys = frozen.keys.as_ref();
    let keys = keys.map(|keys| copy(keys, StoreFile::Keys, versions.keys));
    let manifest = Manifest::new(taken_at.stored(), table, queue, keys.transpose()?);
    // What the server writes from now on need not be kept for this copy.
    drop(frozen);
    for (file, _) in manifest.files() {
        sound(&partial.file(file), &file.path(data), watch)?;
    }
    let written_at = u64::try_from(taken_at.unix_seconds()).unwrap_or_default();
    let packed = (|| {
        let archive = BufWriter::new(private(&partial.archive())?);
        let archive = archive::write(archive, &manifest, &partial.path, written_at, watch)?;
        archive.into_inner()?.sync_all()
    })();
    packed.map_err(|error| watch.failure(error, |error| cannot("write", to, &error)))?;
    partial.publish(to, replace, watch)?;
    Ok(manifest)
}

/// The schema versions of a data directory's files.
struct Versions {
    table: i32,
    queue: i32,
    keys: i32,
}

fn versions(data: &Path) -> Result<Versions, String> {
    if is_empty(&StoreFile::Table.path(data)) {
        return Err(format!(
            "there is no table in {}: name the server's directory with --data-dir",
            data.display()
        ));
    }
    refuse_unfinished(data)?;
    let version = |file: StoreFile| {
        let path = file.path(data);
        match file == StoreFile::Keys && is_empty(&path) {
            true => Ok(0),
            false => schema::check(&path, file),
        }
    };
    Ok(Versions {
        table: version(StoreFile::Table)?,
        queue: version(StoreFile::Queue)?,
        keys: version(StoreFile::Keys)?,
    })
}

/// Checks a copy: a backup of a damaged file would be none.
pub(crate) fn sound(copy: &Path, of: &Path, watch: &Watch) -> Result<(), Failure> {
    let why = |error: &dyn std::fmt::Display| cannot("read", of, error);
    let connection = schema::open(copy)?;
    watch.over(&connection);
    let found = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    let found = found.map_err(|error| watch.failure(error, |error| why(&error)))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(why(&"database disk image is malformed").into()),
    }
}

/// The databases as of one instant. No write of the server is about the access keys and another of them,
/// so theirs needs no lock.
struct Frozen {
    table: Snapshot,
    queue: Snapshot,
    /// `None` if there is no such file yet.
    keys: Option<Snapshot>,
}

impl Frozen {
    fn freeze(
        data: &Path,
        watch: &Watch,
    ) -> Result<(Self, shared::domain::time::Timestamp), Failure> {
        let (table, queue) = (StoreFile::Table.path(data), StoreFile::Queue.path(data));
        let why = |error: rusqlite::Error| watch.failure(error, |e| cannot("read", data, &e));
        let locks = schema::open(&table)?;
        let attach = || {
            locks.busy_timeout(PATIENCE)?;
            let queue = queue.to_string_lossy();
            locks.execute("ATTACH ?1 AS queue", [&queue])
        };
        attach().map_err(why)?;
        lock(&locks, watch)?.map_err(why)?;
        let taken_at = Clock::System.now();
        let keys = StoreFile::Keys.path(data);
        let frozen = Self {
            table: Snapshot::begin(table)?,
            queue: Snapshot::begin(queue)?,
            keys: match is_empty(&keys) {
                true => None,
                false => Some(Snapshot::begin(keys)?),
            },
        };
        locks.execute_batch("ROLLBACK").map_err(why)?;
        Ok((frozen, taken_at))
    }
}

/// Takes the write locks of a connection's databases.
fn lock(locks: &Connection, watch: &Watch) -> Result<rusqlite::Result<()>, Failure> {
    for _ in 1..TRIES {
        match locks.execute_batch("BEGIN IMMEDIATE") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                watch.look()?;
            }
            locked => return Ok(locked),
        }
    }
    Ok(locks.execute_batch("BEGIN IMMEDIATE"))
}

/// A database as a transaction sees it.
struct Snapshot {
    path: PathBuf,
    connection: Connection,
}

impl Snapshot {
    fn begin(path: PathBuf) -> Result<Self, Failure> {
        let connection = schema::open(&path)?;
        let begun = connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema");
        begun.map_err(|error| cannot("read", &path, &error))?;
        Ok(Self { path, connection })
    }

    /// Copies the pages to a new file. Returns its size.
    fn copy(&self, to: &Path, watch: &Watch) -> Result<u64, Failure> {
        let size = self.copy_pages(to, watch)?;
        let size = size.and_then(|()| Ok(std::fs::metadata(to)?.len()));
        Ok(size.map_err(|error| cannot("write", to, &error))?)
    }

    fn copy_pages(&self, to: &Path, watch: &Watch) -> Result<std::io::Result<()>, Failure> {
        let why = |error: rusqlite::Error| {
            let (act, path) = match error.to_string() {
                words if words.contains("disk is full") || words.contains("I/O") => ("write", to),
                _ => ("read", self.path.as_path()),
            };
            watch.failure(error, |error| cannot(act, path, &error))
        };
        if let Err(error) = private(to) {
            return Ok(Err(error));
        }
        let mut copy = Connection::open(to).map_err(why)?;
        // Nobody sees this file before it is whole and on the disk as a part of the archive.
        let unsafe_ = copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
        unsafe_.map_err(why)?;
        let backup = Backup::new(&self.connection, &mut copy).map_err(why)?;
        loop {
            let step = backup.step(PAGES).map_err(why)?;
            let progress = backup.progress();
            let count = |pages: i32| u64::try_from(pages).unwrap_or_default();
            let all = count(progress.pagecount);
            watch.at("copying", all - count(progress.remaining).min(all), all)?;
            if step == StepResult::Done {
                return Ok(Ok(()));
            }
        }
    }
}

/// The directory beside a backup in which it is made. It is removed in any case, by the next backup to
/// the same file if this process is killed.
struct Partial {
    path: PathBuf,
    _lock: File,
}

impl Partial {
    fn beside(to: &Path, replace: bool) -> Result<Self, String> {
        let name = to.file_name().filter(|name| *name != "-").ok_or_else(|| {
            "name a file to back up to: then it is whole, or not there".to_owned()
        })?;
        refuse_existing(to, replace)?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let path = to.with_file_name(partial);
        let why = |error: std::io::Error| cannot("write", to, &error);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                refuse_anothers(&path).map_err(why)?;
            }
            Err(error) => return Err(why(error)),
        }
        let lock = private(&path.join("lock")).map_err(why)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let to = to.display();
                return Err(format!("another backup to {to} is being made"));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(why(error)),
        }
        let partial = Self { path, _lock: lock };
        // Those of a process that was killed.
        for file in partial.files() {
            let _ = std::fs::remove_file(file);
        }
        Ok(partial)
    }

    fn file(&self, file: StoreFile) -> PathBuf {
        self.path.join(file.name())
    }

    fn archive(&self) -> PathBuf {
        self.path.join("backup.tar")
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut all = vec![self.archive()];
        for file in StoreFile::ALL {
            for end in ["", "-wal", "-shm", "-journal"] {
                all.push(self.path.join(format!("{}{end}", file.name())));
            }
        }
        all
    }

    /// Gives the archive its name, on the disk as well.
    fn publish(&self, to: &Path, replace: bool, watch: &Watch) -> Result<(), Failure> {
        refuse_existing(to, replace)?;
        watch.look()?;
        let published = std::fs::rename(self.archive(), to).and_then(|()| {
            let parent = to.parent().filter(|path| !path.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        });
        Ok(published.map_err(|error| cannot("write", to, &error))?)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for file in self.files() {
            let _ = std::fs::remove_file(file);
        }
        let _ = std::fs::remove_file(self.path.join("lock"));
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Refuses a directory that another backup of this user has not left. Where everybody may write, as in `/tmp`,
/// somebody else may have made it, and would read or replace what is written there.
fn refuse_anothers(partial: &Path) -> std::io::Result<()> {
    let found = std::fs::symlink_metadata(partial)?;
    let own = found.uid() == rustix::process::geteuid().as_raw();
    match found.is_dir() && own {
        true => Ok(()),
        false => {
            let path = partial.display();
            Err(std::io::Error::other(format!(
                "{path} is in the way, and no backup of this user has left it"
            )))
        }
    }
}

fn refuse_existing(to: &Path, replace: bool) -> Result<(), String> {
    match to.exists() && !(replace && to.is_file()) {
        false => Ok(()),
        true => Err(format!(
            "{} exists: choose another name, or replace it with --force",
            to.display()
        )),
    }
}
