//! Counts bad signatures by access key id and source address.
//!
//! The count never decides whether a request passes: a good signature is good whoever else sends bad ones,
//! and from where. It decides what a *failure* is answered: after some of them within a minute the sender
//! is told to wait (429), and the log says once who it is. So nobody can lock out the owner of a key
//! whose id is known.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::domain::error::BadSignature;
use crate::domain::time::Timestamp;

/// Failures within [`WINDOW_SECONDS`] that are answered as such.
pub const FAILURES_MAX: u32 = 10;
/// The time over which failures are counted, from the first of them.
pub const WINDOW_SECONDS: i64 = 60;
/// Most pairs of an id and an address that are counted: some 2 MB.
const PAIRS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The address that a request came from. The local server attaches it to requests; a deployed function
/// finds it in the gateway's context.
#[derive(Clone, Copy, Debug)]
pub struct SourceAddress(pub IpAddr);

/// An id as it was sent, and the address that sent it.
type Pair = (String, String);

/// Failures of one pair.
#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    until: Timestamp,
}

/// Counts of failures; cheap to clone.
#[derive(Clone)]
pub struct Failures(Arc<Mutex<LruCache<Pair, Count>>>);

// Ids and addresses are not for the log.
impl std::fmt::Debug for Failures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failures")
    }
}

impl Default for Failures {
    fn default() -> Self {
        // `LruCache::new` would take the memory of a full cache at once.
        let mut counts = LruCache::unbounded();
        counts.resize(PAIRS_MAX);
        Self(Arc::new(Mutex::new(counts)))
    }
}

impl Failures {
    /// Counts a failure and returns how it is to be answered.
    pub fn count(&self, access: &str, source: &str, now: Timestamp) -> BadSignature {
        let failures = self.counted(access, source, now);
        if failures <= FAILURES_MAX {
            return BadSignature::Signature;
        }
        if failures == FAILURES_MAX + 1 {
            tracing::warn!(
                access_key = access,
                source,
                failures,
                "many bad signatures: answered with 429"
            );
        }
        BadSignature::TooMany
    }

    fn counted(&self, access: &str, source: &str, now: Timestamp) -> u32 {
        let pair = (access.to_owned(), source.to_owned());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Count {
            failures: 0,
            until: now.plus_seconds(WINDOW_SECONDS),
        };
        let count = counts.get_or_insert_mut(pair, || begun);
        if count.until <= now {
            *count = begun;
        }
        count.failures = count.failures.saturating_add(1);
        count.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_failure_of_a_minute_is_told_to_wait() {
        let (failures, start) = (Failures::default(), Timestamp::from_micros(0));
        let count = |id, source, second| failures.count(id, source, start.plus_seconds(second));
        for second in 0..10 {
            assert_eq!(count("AK", "192.0.2.1", second), BadSignature::Signature);
        }
        assert_eq!(count("AK", "192.0.2.1", 10), BadSignature::TooMany);
        assert_eq!(count("AK", "192.0.2.1", 59), BadSignature::TooMany);
        // Another address and another id have counts of their own.
        assert_eq!(count("AK", "192.0.2.2", 59), BadSignature::Signature);
        assert_eq!(count("AK2", "192.0.2.1", 59), BadSignature::Signature);
        assert_eq!(count("AK", "192.0.2.1", 60), BadSignature::Signature);
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let (failures, now) = (Failures::default(), Timestamp::from_micros(0));
        for number in 0..PAIRS_MAX.get() + 500 {
            failures.count(&format!("AK{number}"), "192.0.2.1", now);
        }
        assert_eq!(failures.0.lock().unwrap().len(), PAIRS_MAX.get());
        assert_eq!(format!("{failures:?}"), "Failures");
    }
}
