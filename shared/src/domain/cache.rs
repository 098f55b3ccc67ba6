//! A cache that is bounded in size, and whose entries expire.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::domain::time::Timestamp;

/// Remembers each value until an instant of its own. The clock is the caller's. When it is full, the
/// least recently used value is dropped.
pub struct ExpiringCache<K, V>(Mutex<LruCache<K, (V, Timestamp)>>);

// Keys and values may be secrets.
impl<K, V> fmt::Debug for ExpiringCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpiringCache")
    }
}

impl<K: Eq + Hash, V: Clone> ExpiringCache<K, V> {
    /// An empty cache that holds at most this many values.
    pub fn new(capacity: NonZeroUsize) -> Self {
        // `LruCache::new` would take the memory of a full cache at once, in every function that starts.
        let mut values = LruCache::unbounded();
        values.resize(capacity);
        Self(Mutex::new(values))
    }

    /// The value of a key, if it has not expired at this instant.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, until) = values.get(key)?;
        (now < *until).then(|| value.clone())
    }

    /// Remembers a value up to, and not including, an instant.
    pub fn insert(&self, key: K, value: V, until: Timestamp) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.put(key, (value, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(0).plus_seconds(second)
    }

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn a_value_is_good_until_its_instant() {
        let cache = ExpiringCache::new(TWO);
        cache.insert("a", 1, at(10));
        assert_eq!(cache.get(&"a", at(9)), Some(1));
        assert_eq!(cache.get(&"a", at(10)), None);
        cache.insert("a", 2, at(20));
        assert_eq!(cache.get(&"a", at(10)), Some(2));
    }

    #[test]
    fn a_full_cache_forgets_what_was_not_used_for_longest() {
        let cache = ExpiringCache::new(TWO);
        for (n, key) in ["a", "b", "a", "c"].into_iter().enumerate() {
            cache.insert(key, n, at(1));
        }
        assert_eq!(cache.get(&"a", at(0)), Some(2));
        assert_eq!(cache.get(&"b", at(0)), None);
        assert_eq!(cache.get(&"c", at(0)), Some(3));
    }

    #[test]
    fn what_is_remembered_is_not_shown() {
        let cache = ExpiringCache::new(TWO);
        cache.insert("a key", "a secret", at(1));
        assert_eq!(format!("{cache:?}"), "ExpiringCache");
    }
}
