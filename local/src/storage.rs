//! The data directory: locked by one server, readable by one user; and the faults of its files.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file that a running server keeps locked.
pub(crate) const LOCK: &str = "lock";
/// The file that the health check writes while other writes fail.
const PROBE: &str = "probe";
/// Size of [`PROBE`] in bytes: more than one request writes.
const PROBE_BYTES: usize = 1024 * 1024;
/// The directory in which `imshare restore` unpacks: while it is there, a restore is not finished.
pub(crate) const RESTORING: &str = "restore.partial";
/// What SQLite appends to a database's name for its other files.
const ENDS: [&str; 3] = ["", "-wal", "-shm"];

/// A database of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFile {
    /// The table's.
    Table,
    /// The queue's.
    Queue,
    /// The access keys'. It is not there, or empty, where no release has put keys yet.
    Keys,
}

impl StoreFile {
    /// All.
    pub const ALL: [Self; 3] = [Self::Table, Self::Queue, Self::Keys];

    /// Its name in the data directory and in a backup.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table.sqlite",
            Self::Queue => "queue.sqlite",
            Self::Keys => "access-keys.sqlite",
        }
    }

    /// Its path in a data directory.
    pub fn path(self, directory: &Path) -> PathBuf {
        directory.join(self.name())
    }
}

/// Whether a file is not there, or has no contents yet.
pub(crate) fn is_empty(file: &Path) -> bool {
    std::fs::metadata(file).map_or(0, |file| file.len()) == 0
}

/// The names of the files that a server keeps in its data directory. Not all of them are there at any time.
pub(crate) fn files() -> impl Iterator<Item = String> {
    let databases = StoreFile::ALL.into_iter().flat_map(|file| {
        let name = file.name();
        ENDS.map(|end| format!("{name}{end}"))
    });
    databases.chain([LOCK.to_owned()])
}

/// A data directory, locked by this process.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    is_new: bool,
    /// Locked until it is dropped.
    _lock: File,
}

impl Directory {
    /// Opens a data directory, and creates it with mode 0700 if it does not exist. Our files get
    /// mode 0600. The mode of an existing directory is kept, because it may hold other files too.
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
        refuse_unfinished(path)?;
        let is_new = !StoreFile::Table.path(path).exists();
        // SQLite gives its other files the mode of the database.
        for file in StoreFile::ALL {
            private(&file.path(path)).map_err(why)?;
        }
        for file in files().map(|name| path.join(name)) {
            if file.exists()
                && let Err(error) = std::fs::set_permissions(&file, Permissions::from_mode(0o600))
            {
                // The file of another user, who lets this one write it.
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

    /// The absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it held no records when it was opened.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The file of the table.
    pub fn table(&self) -> PathBuf {
        StoreFile::Table.path(&self.path)
    }

    /// The file of the queue.
    pub fn queue(&self) -> PathBuf {
        StoreFile::Queue.path(&self.path)
    }
}

/// Makes the file of the access keys in a data directory, readable by this user alone, and returns its
/// path. It needs no lock: a server and commands use the file at the same time.
///
/// # Errors
/// One sentence for the operator: there is no such directory, or the file cannot be created.
pub fn access_keys(directory: &Path) -> Result<PathBuf, String> {
    let path = StoreFile::Keys.path(directory);
    if !StoreFile::Table.path(directory).is_file() {
        let directory = directory.display();
        return Err(format!(
            "there is no data directory of a server at {directory}: start one there first"
        ));
    }
    private(&path).map_err(|error| format!("cannot use {}: {error}", path.display()))?;
    Ok(path)
}

/// Refuses a directory whose restore was killed in the middle.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn refuse_unfinished(directory: &Path) -> Result<(), String> {
    match directory.join(RESTORING).exists() {
        false => Ok(()),
        true => Err(format!(
            "a restore into {} did not come to its end: restore again",
            directory.display()
        )),
    }
}

/// Opens a file that this user alone can read, and creates it if it does not exist.
pub(crate) fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Locks a directory for this process.
///
/// # Errors
/// One sentence for the operator: another imshare has it.
pub(crate) fn lock(directory: &Path) -> Result<File, String> {
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

/// Why SQLite cannot keep records. Trying again at once helps with none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full.
    Full,
    /// The files are read-only.
    ReadOnly,
    /// The files are damaged, or are not ours.
    Corrupt,
    /// The disk fails to read or write.
    Io,
}

impl Fault {
    /// Classifies an error by SQLite's message: the engine passes on nothing else.
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

    /// Classifies an error of the operating system.
    fn of_disk(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Io,
        }
    }

    /// Describes the fault for the operator.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::ReadOnly => "it may not be written",
            Self::Corrupt => "it is damaged, or not a database of imshare",
            Self::Io => "the disk cannot be read or written",
        }
    }
}

/// Describes why a database could not be opened, in our own words where SQLite's would not help.
pub fn cannot_open(path: &Path, error: &str) -> String {
    let why = match Fault::of(error) {
        Some(fault) => fault.sentence(),
        None => error,
    };
    format!("cannot open {}: {why}", path.display())
}

/// Whether the files can be used, as far as requests have shown; cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    directory: PathBuf,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Health {
    /// Starts without a fault.
    pub fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            fault: Arc::default(),
        }
    }

    /// Records that a request failed and returns the message for its caller. The first failure is
    /// logged.
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

    /// The fault, if requests have failed and nobody has found that it has ended.
    pub fn known(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Like [`Self::check`], and writes even if no write has failed.
    pub fn examine(&self) -> Option<Fault> {
        if self.known().is_some() {
            return self.check();
        }
        let fault = Fault::of_disk(&self.probe().err()?);
        self.failed(fault);
        Some(fault)
    }

    /// Returns the fault if writes have failed and still fail. It writes a file to find out: one
    /// small write that fits does not show that the next one will. A damaged database stays damaged
    /// until the operator has replaced it.
    pub fn check(&self) -> Option<Fault> {
        let fault = self.known()?;
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
