//! Reading bodies: in bounded time, in bounded memory, and only those that are wanted.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use shared::http::BODY_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// KiB that the bodies of callers with a valid token may take up together.
const KNOWN_KIB: usize = 64 * 1024;
/// The same for everybody else: logins, signed requests, tokens that are not needed.
const UNKNOWN_KIB: usize = 16 * 1024;
/// Most bytes of an unwanted body that are read and thrown away, so that its sender gets to see
/// the answer.
const DRAINED_MAX: usize = 64 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a body's sender has shown a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It has.
    Known,
    /// It has not, or need not.
    Unknown,
}

/// A body, and the permit for the memory that it takes up.
#[derive(Debug)]
pub struct Whole {
    /// Its bytes: of one that is too large, just enough to see that.
    pub bytes: Vec<u8>,
    /// To be held as long as the bytes are worked on.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It did not arrive in time.
    Late,
    /// Its sender went away in the middle of it.
    Gone,
    /// Too many bodies are being worked on.
    Busy,
}

/// Reads bodies; cheap to clone.
#[derive(Clone, Debug)]
pub struct Bodies {
    known: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
    limit: Duration,
}

impl Bodies {
    /// Bodies that may take so long to arrive.
    pub fn new(limit: Duration) -> Self {
        Self {
            known: Arc::new(Semaphore::new(KNOWN_KIB)),
            unknown: Arc::new(Semaphore::new(UNKNOWN_KIB)),
            limit,
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// If it does not arrive whole and in time.
    pub async fn read(&self, body: Incoming, sender: Sender) -> Result<Whole, Unread> {
        if body.is_end_stream() {
            return Ok(Whole {
                bytes: Vec::new(),
                permit: None,
            });
        }
        let size = body.size_hint().exact().unwrap_or(u64::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(BODY_MAX);
        let budget = match sender {
            Sender::Known => &self.known,
            Sender::Unknown => &self.unknown,
        };
        let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
        let permit = timeout(self.limit, budget.clone().acquire_many_owned(kib)).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Unread::Busy);
        };
        let bytes = timeout(self.limit, collect(body)).await;
        Ok(Whole {
            bytes: bytes.map_err(|_| Unread::Late)??,
            permit: Some(permit),
        })
    }
}

async fn collect(mut body: Incoming) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Unread::Gone)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > BODY_MAX {
            ignore(body);
            break;
        }
    }
    Ok(bytes)
}

/// Reads an unwanted body in the background for a while, so that the answer that goes out
/// meanwhile is not lost to a reset connection.
pub fn ignore(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(DRAIN_TIMEOUT, async move {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, |data| data.len());
            if seen > DRAINED_MAX {
                return;
            }
        }
    }));
}
