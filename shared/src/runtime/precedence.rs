//! Short work goes first in one process: requests that write and small chunks before the rest of a large chunk.
//!
//! On one machine all writes share one connection, and reads have their own. A large chunk of a batch looks up between
//! two of its writes, and if short work is under way it steps aside, for as long as its last write took at most: so it
//! keeps at least half of the connection, and short work waits for one write and not for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

/// How long there must be no short work: a request is followed by its message.
const QUIET: Duration = Duration::from_millis(2);

/// The short work that is under way.
#[derive(Debug, Default)]
pub struct Precedence {
    short: AtomicUsize,
    ended: Notify,
}

/// Short work, until it is dropped.
#[derive(Debug)]
pub struct Short(Arc<Precedence>);

impl Precedence {
    /// Counts short work until the result is dropped.
    pub fn short(self: &Arc<Self>) -> Short {
        self.short.fetch_add(1, Ordering::Relaxed);
        Short(self.clone())
    }

    /// Waits while short work is under way, at most for `longest`.
    pub async fn step_aside(&self, longest: Duration) {
        if self.short.load(Ordering::Relaxed) == 0 {
            return;
        }
        let until = Instant::now() + longest;
        while Instant::now() < until {
            let ended = self.ended.notified();
            if self.short.load(Ordering::Relaxed) > 0 && timeout_at(until, ended).await.is_err() {
                return;
            }
            sleep(QUIET).await;
            if self.short.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

impl Drop for Short {
    fn drop(&mut self) {
        if self.0.short.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}
