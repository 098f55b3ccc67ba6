//! The files of the records: one server at a time, for this user alone, and what is wrong with
//! them when SQLite cannot use them.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file that a running server holds locked.
const LOCK: &str = "lock";
/// The file that the health check writes while other writes fail.
const PROBE: &str = "probe";
/// Bytes of [`PROBE`]: more than a request writes.
const PROBE_BYTES: usize = 1024 * 1024;
/// Files of the directory that are ours, whichever release made them.
const OURS: [&str; 7] = [
    LOCK,
    "table.sqlite",
    "table.sqlite-wal",
    "table.sqlite-shm",
    "queue.sqlite",
    "queue.sqlite-wal",
    "queue.sqlite-shm",
];

/// A data directory that this process alone uses.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    is_new: bool,
    /// Locked until it is dropped.
    _lock: File,
}

impl Directory {
    /// Opens a data directory, creating it with mode 0700 if it is not there. Our files in it get
    /// mode 0600; the mode of a directory that exists already is left alone, because it may hold
    /// other things too.
    ///
    /// # Errors
    /// One sentence for the operator: it is in use, or cannot be created.
    pub fn open(path: &Path) -> Result<Self, String> {
        let why = |error| format!("cannot use the data directory {}: {error}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(why)?;
        }
        if !path.is_dir() {
            DirBuilder::new().mode(0o700).create(path).map_err(why)?;
        }
        let lock = lock(path)?;
        let is_new = !path.join("table.sqlite").exists();
        // SQLite gives its other files the mode of the database.
        for name in ["table.sqlite", "queue.sqlite"] {
            private(&path.join(name)).map_err(why)?;
        }
        for file in OURS.map(|name| path.join(name)) {
            if file.exists()
                && let Err(error) = std::fs::set_permissions(&file, Permissions::from_mode(0o600))
            {
                // Another user's, who lets this one write it.
                let name = file.display();
                tracing::warn!(error.why = %error, "cannot make {name} private");
            }
        }
        let path = path.canonicalize().map_err(why)?;
        Ok(Self {
            path,
            is_new,
            _lock: lock,
        })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it held no records when it was opened.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The file of the table.
    pub fn table(&self) -> PathBuf {
        self.path.join("table.sqlite")
    }

    /// The file of the queue.
    pub fn queue(&self) -> PathBuf {
        self.path.join("queue.sqlite")
    }
}

/// Opens a file that this user alone can read, creating it if it is not there.
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn lock(directory: &Path) -> Result<File, String> {
    let path = directory.join(LOCK);
    let why = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
    let mut file = private(&path).map_err(why)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(why)?;
            writeln!(file, "{}", std::process::id()).map_err(why)?;
            Ok(file)
        }
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(format!(
                "the data directory {} is in use by another imshare (process {}); choose another \
                 with --data-dir",
                directory.display(),
                holder.trim()
            ))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(why(error)),
    }
}

/// Why SQLite cannot keep records. Trying again at once does not help with any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full.
    Full,
    /// The files may not be written.
    ReadOnly,
    /// The files are damaged, or are not ours.
    Corrupt,
    /// The disk does not read or write.
    Io,
}

impl Fault {
    /// The fault that an error of SQLite tells of, by SQLite's own sentences: the engine hands on
    /// nothing else.
    pub fn of(error: &str) -> Option<Self> {
        let says = |words: &str| error.contains(words);
        if says("disk is full") {
            Some(Self::Full)
        } else if says("readonly") {
            Some(Self::ReadOnly)
        } else if says("malformed") || says("not a database") || says("not a valid") {
            Some(Self::Corrupt)
        } else if says("I/O error") || says("unable to open") {
            Some(Self::Io)
        } else {
            None
        }
    }

    /// What is wrong, for the operator.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::ReadOnly => "it may not be written",
            Self::Corrupt => "it is damaged, or not a database of imshare",
            Self::Io => "the disk cannot be read or written",
        }
    }
}

/// Why a database could not be opened, in our own words where SQLite's would not help.
pub fn cannot_open(path: &Path, error: &str) -> String {
    let why = match Fault::of(error) {
        Some(fault) => fault.sentence(),
        None => error,
    };
    format!("cannot open {}: {why}", path.display())
}

/// Whether the files can be used, as the requests to them showed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    directory: PathBuf,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Health {
    /// The health of the files in this directory.
    pub fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            fault: Arc::default(),
        }
    }

    /// Notes that a request failed, and returns what to say of it. The first failure is logged.
    pub fn failed(&self, fault: Fault) -> String {
        let words = format!("{}: {}", self.directory.display(), fault.sentence());
        if self.set(Some(fault)).is_none() {
            tracing::error!(error.why = %words, "the data directory cannot be used");
        }
        words
    }

    fn set(&self, fault: Option<Fault>) -> Option<Fault> {
        let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut known, fault)
    }

    /// What is wrong, if writes failed and still would. A small write that happens to fit does not
    /// show that the next one will, so a file is written to find out; a damaged database stays
    /// damaged until the operator has replaced it.
    pub fn check(&self) -> Option<Fault> {
        let known = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = known?;
        if fault == Fault::Corrupt || self.probe().is_err() {
            return Some(fault);
        }
        self.set(None);
        tracing::warn!("the data directory can be used again");
        None
    }

    fn probe(&self) -> std::io::Result<()> {
        let path = self.directory.join(PROBE);
        let written = private(&path).and_then(|mut file| {
            file.write_all(&vec![0; PROBE_BYTES])?;
            file.sync_data()
        });
        let _ = std::fs::remove_file(&path);
        written
    }
}
