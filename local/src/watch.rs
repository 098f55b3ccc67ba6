//! Long work: it shows how far it is, and a signal stops it.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

use crate::storage::Fault;

/// How many of SQLite's instructions run before it looks for a signal.
const INSTRUCTIONS: i32 = 10_000;

/// Why long work did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It failed: one sentence for the operator.
    Failed(String),
    /// This signal stopped it.
    Stopped(i32),
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self::Failed(sentence)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(sentence) => f.write_str(sentence),
            Self::Stopped(SIGINT) => f.write_str("stopped by Ctrl-C"),
            Self::Stopped(SIGTERM) => f.write_str("stopped by SIGTERM"),
            Self::Stopped(signal) => write!(f, "stopped by signal {signal}"),
        }
    }
}

/// Called with a word for what is done, how much of it is done, and how much there is.
type Show = dyn Fn(&str, u64, u64);

/// Watches long work: for a signal, and for whoever wants to see how far it is.
pub struct Watch {
    signal: Arc<AtomicUsize>,
    show: Box<Show>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// Catches SIGINT and SIGTERM from now on, and SIGXFSZ, without which a limit on the size of files
    /// would kill the process instead of failing a write.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn new(show: impl Fn(&str, u64, u64) + 'static) -> Result<Self, String> {
        let signal = Arc::new(AtomicUsize::new(0));
        for (caught, value) in [(SIGINT, 2), (SIGTERM, 15)] {
            signal_hook::flag::register_usize(caught, signal.clone(), value)
                .map_err(|error| format!("cannot catch signals: {error}"))?;
        }
        signal_hook::flag::register(SIGXFSZ, Arc::default())
            .map_err(|error| format!("cannot catch signals: {error}"))?;
        let show = Box::new(show);
        Ok(Self { signal, show })
    }

    /// Fails if a signal has arrived.
    ///
    /// # Errors
    /// With the signal.
    pub fn look(&self) -> Result<(), Failure> {
        match self.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Failure::Stopped(i32::try_from(signal).unwrap_or_default())),
        }
    }

    /// Shows how far the work is, and fails if a signal has arrived.
    ///
    /// # Errors
    /// With the signal.
    pub fn at(&self, what: &str, done: u64, of: u64) -> Result<(), Failure> {
        (self.show)(what, done, of);
        self.look()
    }

    /// Lets a signal interrupt the queries of a connection.
    pub fn over(&self, connection: &Connection) {
        let signal = self.signal.clone();
        let interrupted = move || signal.load(Ordering::SeqCst) != 0;
        connection.progress_handler(INSTRUCTIONS, Some(interrupted));
    }

    /// The failure of a step: the signal, if that was the reason, or else what `sentence` makes of it.
    pub fn failure<E>(&self, error: E, sentence: impl FnOnce(E) -> String) -> Failure {
        match self.look() {
            Err(stopped) => stopped,
            Ok(()) => Failure::Failed(sentence(error)),
        }
    }
}

/// Words for an error of SQLite or of the system about a path.
pub fn cannot(act: &str, path: &Path, error: &dyn fmt::Display) -> String {
    let words = error.to_string();
    let why = match Fault::of(&words) {
        Some(fault) => fault.sentence(),
        None if words.contains("No space left") => Fault::Full.sentence(),
        None => &words,
    };
    format!("cannot {act} {}: {why}", path.display())
}

/// Reads, counts and digests, and fails when a signal arrives.
pub struct Digested<'a, R> {
    inner: R,
    watch: &'a Watch,
    what: &'a str,
    total: u64,
    done: u64,
    digest: Sha256,
}

impl<R> fmt::Debug for Digested<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digested {}", self.done)
    }
}

impl<'a, R: Read> Digested<'a, R> {
    /// Reads these `total` bytes, which `what` is said of.
    pub fn new(inner: R, watch: &'a Watch, what: &'a str, total: u64) -> Self {
        Self {
            inner,
            watch,
            what,
            total,
            done: 0,
            digest: Sha256::new(),
        }
    }

    /// How many bytes were read.
    pub fn count(&self) -> u64 {
        self.done
    }

    /// SHA-256 of them, in hexadecimal digits.
    pub fn digest(self) -> String {
        let bytes = self.digest.finalize();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<R: Read> Read for Digested<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        self.done += read as u64;
        // Not "interrupted", after which readers try again.
        let shown = self.watch.at(self.what, self.done, self.total);
        shown.map_err(|_| std::io::Error::other("stopped"))?;
        Ok(read)
    }
}
