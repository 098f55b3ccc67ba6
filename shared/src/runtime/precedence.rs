//! Short work goes first in one process: requests and small chunks before the rest of a large chunk.
//!
//! On one machine everything shares one engine. A large chunk of a batch looks up between two of its writes,
//! and if short work is under way it steps aside, for as long as its last write took at most: so it keeps at least
//! half of the engine, and short work waits for one write and not for all of them.

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

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn long_work_waits_for_short_work_and_not_longer_than_it_may() {
        let precedence = Arc::new(Precedence::default());
        let begin = Instant::now();
        precedence.step_aside(LONG).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);

        // Two pieces of short work, with less than the quiet time between them.
        let first = precedence.short();
        let second = async {
            sleep(Duration::from_millis(10)).await;
            drop(first);
            sleep(Duration::from_millis(1)).await;
            let second = precedence.short();
            sleep(Duration::from_millis(10)).await;
            drop(second);
        };
        tokio::join!(precedence.step_aside(LONG), second);
        assert!(begin.elapsed() >= Duration::from_millis(23));
        assert!(begin.elapsed() < LONG);

        let begin = Instant::now();
        let _endless = precedence.short();
        precedence.step_aside(Duration::from_millis(30)).await;
        assert_eq!(begin.elapsed().as_millis(), 30);
    }
}
