//! A batch as it was accepted, and the messages that it becomes. Pure.
//!
//! A batch shares, answers for or unshares every one of its images with every one of its
//! projects. Its entries (image × project) are rows, image by image in the order of the request;
//! a chunk is a run of rows and one message of the queue.

use super::entries::Entries;
use super::id::OperationId;
use super::job::Job;
use super::message::{Chunk, Message};
use super::policy::Caller;
use super::task::Task;
use super::time::Timestamp;

/// Most entries of one request.
pub const ENTRIES_MAX: usize = 10_000;
/// A batch as it was accepted: the job's record and all that its messages say.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The job's record.
    pub job: Job,
    /// What is done to each entry.
    pub task: Task,
    /// Whether an admin asked.
    pub admin: bool,
    /// The entries.
    pub entries: Entries,
    /// The id of the request, for the log.
    pub request_id: String,
}

impl Batch {
    /// A batch that this caller asks for. The operation's id becomes the job's.
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

    /// The messages of all chunks.
    pub fn messages(&self) -> Vec<Message> {
        (0..self.job.chunks())
            .map(|number| self.message(number, false))
            .collect()
    }

    /// The message of one chunk, which may have been sent before.
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
