//! Reads request bodies: in bounded time and bounded memory, and only those that are needed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use shared::http::BODY_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes of a body that take no part of the memory below: each connection has this much. So small bodies wait for
/// nobody who announces large ones and does not send them.
const SMALL: usize = 32 * 1024;
/// KiB for the bodies of all callers with a valid token together.
const KNOWN_KIB: usize = 64 * 1024;
/// KiB for all other bodies together: logins, signed requests, routes that need no token.
const UNKNOWN_KIB: usize = 16 * 1024;
/// Most bytes of an unwanted body that are read and discarded, so that its sender sees the
/// response.
const DRAINED_MAX: usize = 64 * 1024 * 1024;
/// How long discarding a body may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the sender of a body has a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It has one.
    Known,
    /// It has none, or needs none.
    Unknown,
}

/// A body that was read, and the permit for its memory if it is not small.
#[derive(Debug)]
pub struct Whole {
    /// The bytes; of a body that is too large, just enough to tell.
    pub bytes: Vec<u8>,
    /// Hold it for as long as the bytes are used.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It did not arrive in time.
    Late,
    /// The connection ended in the middle of it.
    Gone,
    /// The memory for bodies is used up.
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
    /// Creates a reader that gives each body this time to arrive.
    pub fn new(limit: Duration) -> Self {
        Self {
            known: Arc::new(Semaphore::new(KNOWN_KIB)),
            unknown: Arc::new(Semaphore::new(UNKNOWN_KIB)),
            limit,
        }
    }

    /// Reads a body. If it is not small, it waits for memory if there is none.
    ///
    /// # Errors
    /// If it does not arrive complete and in time.
    pub async fn read(&self, mut body: Incoming, sender: Sender) -> Result<Whole, Unread> {
        let (mut bytes, began) = (Vec::new(), Instant::now());
        if collect(&mut body, &mut bytes, SMALL, self.limit).await? {
            return Ok(Whole {
                bytes,
                permit: None,
            });
        }
        let left = self.limit.saturating_sub(began.elapsed());
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
        if !collect(&mut body, &mut bytes, BODY_MAX, left).await? {
            ignore(body);
        }
        Ok(Whole {
            bytes,
            permit: Some(permit),
        })
    }
}

/// Reads until the end of a body, or until there are more bytes than `most`. Returns whether it was the end.
async fn collect(
    body: &mut Incoming,
    bytes: &mut Vec<u8>,
    most: usize,
    limit: Duration,
) -> Result<bool, Unread> {
    if body.is_end_stream() {
        return Ok(true);
    }
    let collected = timeout(limit, async {
        while bytes.len() <= most {
            let Some(frame) = body.frame().await else {
                return Ok(true);
            };
            if let Ok(data) = frame.map_err(|_| Unread::Gone)?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(false)
    });
    collected.await.unwrap_or(Err(Unread::Late))
}

/// Discards an unwanted body in the background for a while. Otherwise the connection would be
/// reset, and the response with it.
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
