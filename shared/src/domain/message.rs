//! What one function tells another through the queue. Pure.

use serde::{Deserialize, Serialize};

use super::entries::Entries;
use super::id::{ImageId, JobId, ProjectId};
use super::task::Task;
use super::time::Timestamp;

/// A message of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Message {
    /// Apply a chunk of a batch.
    Chunk(Chunk),
    /// Bring the memberships of an image in line with it: it was deleted, or its visibility was
    /// changed. Releases up to 0.1.0 call it `bury`.
    #[serde(alias = "bury")]
    Memberships {
        /// The image.
        image: ImageId,
    },
}

/// A chunk of a batch: everything that its worker must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The job.
    pub job: JobId,
    /// Which chunk of it, from 0.
    pub number: usize,
    /// The project that asked.
    pub project: ProjectId,
    /// Whether it asked as an admin.
    pub admin: bool,
    /// What to do.
    #[serde(flatten)]
    pub task: Task,
    /// When the job is over.
    pub deadline: Timestamp,
    /// The entries.
    pub entries: Entries,
    /// Whether the job has no other chunk.
    #[serde(default)]
    pub only: bool,
    /// Whether it may have been sent before.
    #[serde(default)]
    pub resent: bool,
}
