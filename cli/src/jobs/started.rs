//! A job that was started.

/// The digits of a job's id that are shown: those of its time, in milliseconds.
const SHORT_ID: usize = 12;

/// The start of a job's id, which names it in practice.
pub fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// A job that was started, and the entries that it is for.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its id.
    pub id: String,
    /// Its entries.
    pub total: usize,
}
