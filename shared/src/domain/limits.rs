//! What one project may have at once, so that it leaves room for others.

/// The limits of a project. A negative one means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectLimits {
    /// Jobs that have not ended.
    pub jobs: i64,
    /// Entries of such jobs.
    pub entries: i64,
    /// Images that it owns.
    pub images: i64,
}

/// Jobs and entries have limits, because others wait for what a project has waiting: 100,000 entries are ten
/// requests of the largest size. Images have none, as in Glance: nobody waits for them.
impl Default for ProjectLimits {
    fn default() -> Self {
        Self {
            jobs: 1_000,
            entries: 100_000,
            images: -1,
        }
    }
}

/// A limit of jobs that a request would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobLimit {
    /// The project has as many open jobs as it may have.
    Jobs,
    /// Its open jobs and the new one would have more entries than they may have.
    Entries,
}

/// A limit as a bound: `None` if there is none.
pub fn bound(limit: i64) -> Option<u64> {
    u64::try_from(limit).ok()
}
