//! Seeded chance for the tests that look for trouble.

use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where chance comes from. A seed gives the same decisions in the same order.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<u64>>);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d,
        )))
    }

    /// A number below `end` (splitmix64).
    pub fn below(&self, end: usize) -> usize {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }

    /// One of these.
    pub fn of<'a, T: ?Sized>(&self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    pub fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub async fn pause(&self, most_ms: usize) {
        tokio::time::sleep(Duration::from_millis(self.below(most_ms + 1) as u64)).await;
    }
}
