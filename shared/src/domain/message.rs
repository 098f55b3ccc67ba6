//! The messages that functions send each other through the queue.

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
    /// Reconcile the memberships of an image that was deleted or changed its visibility. Releases up to
    /// Release 0.1.0 sent it under the name `bury`, which is still read.
    #[serde(alias = "bury")]
    Memberships {
        /// The image.
        image: ImageId,
    },
}

/// A chunk of a batch, with everything that its worker needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The job.
    pub job: JobId,
    /// The number of the chunk, from 0.
    pub number: usize,
    /// The project that requested the batch.
    pub project: ProjectId,
    /// Whether an admin requested it.
    pub admin: bool,
    /// What to do to each entry.
    #[serde(flatten)]
    pub task: Task,
    /// When the job ends at the latest.
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
