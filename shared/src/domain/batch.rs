//! An accepted batch, and its messages.
//!
//! A batch shares each of its images with each of its projects, unshares them, or answers for them.
//! Its entries (image × project) are rows, image by image in the order of the request. A chunk is a
//! run of rows, and becomes one message.

use super::entries::Entries;
use super::id::OperationId;
use super::job::Job;
use super::message::{Chunk, Message};
use super::policy::Caller;
use super::task::Task;
use super::time::Timestamp;

/// Most entries of one request.
pub const ENTRIES_MAX: usize = 10_000;
/// An accepted batch: its job, and all that its messages contain.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The job's record.
    pub job: Job,
    /// What to do to each entry.
    pub task: Task,
    /// Whether an admin requested it.
    pub admin: bool,
    /// The entries.
    pub entries: Entries,
    /// The id of the request, for the log.
    pub request_id: String,
}

impl Batch {
    /// Accepts a batch. The operation id of the request becomes the job's id.
    pub fn new(
        caller: &Caller,
        task: Task,
        entries: Entries,
        op: OperationId,
        now: Timestamp,
        request_id: String,
    ) -> Self {
        let job = Job::new(op, caller.project.clone(), task.kind(), &entries, now);
        Self {
            job,
            task,
            admin: caller.is_admin(),
            entries,
            request_id,
        }
    }

    /// Builds the messages of all chunks.
    pub fn messages(&self) -> Vec<Message> {
        (0..self.job.chunks())
            .map(|number| self.message(number, false))
            .collect()
    }

    /// Builds the message of one chunk. `resent` says that it may have been sent before.
    pub fn message(&self, number: usize, resent: bool) -> Message {
        let job = &self.job;
        Message::Chunk(Chunk {
            job: job.id,
            number,
            project: job.project.clone(),
            admin: self.admin,
            task: self.task.clone(),
            deadline: job.deadline,
            entries: self.entries.part(number * job.chunk_rows, job.chunk_rows),
            only: job.chunks() == 1,
            resent,
        })
    }
}
