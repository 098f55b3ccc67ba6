//! A cache that is bounded in size, and whose entries expire.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::domain::time::Timestamp;

/// Remembers values until an instant that each is given. When it is full, the value that came
/// first goes; all values of a cache live about equally long, so that is the one that would have
/// gone next.
pub struct Cache<K, V> {
    capacity: usize,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    values: HashMap<K, (V, Timestamp)>,
    /// Every key of `values` once, in the order in which they came.
    order: VecDeque<K>,
}

// Keys and values may be secrets.
impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache of {}", self.capacity)
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache that holds at most this many values.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            inner: Mutex::new(Inner {
                values: HashMap::new(),
                order: VecDeque::new(),
            }),
        }
    }

    /// The value of a key, if there is one that is still good at this instant.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, until) = inner.values.get(key)?;
        (now < *until).then(|| value.clone())
    }

    /// Remembers a value up to, and not including, an instant.
    pub fn insert(&self, key: K, value: V, until: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        if inner.values.insert(key.clone(), (value, until)).is_none() {
            inner.order.push_back(key);
        }
        while inner.values.len() > self.capacity
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(0).plus_seconds(second)
    }

    #[test]
    fn a_value_is_good_until_its_instant() {
        let cache = Cache::new(2);
        cache.insert("a", 1, at(10));
        assert_eq!(cache.get(&"a", at(9)), Some(1));
        assert_eq!(cache.get(&"a", at(10)), None);
        cache.insert("a", 2, at(20));
        assert_eq!(cache.get(&"a", at(10)), Some(2));
    }

    #[test]
    fn a_full_cache_forgets_what_came_first() {
        let cache = Cache::new(2);
        for (n, key) in ["a", "b", "a", "c"].into_iter().enumerate() {
            cache.insert(key, n, at(1));
        }
        assert_eq!(cache.get(&"a", at(0)), None);
        assert_eq!(cache.get(&"b", at(0)), Some(1));
        assert_eq!(cache.get(&"c", at(0)), Some(3));
    }
}
