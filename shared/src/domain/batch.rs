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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ProjectId;
    use crate::domain::policy::Role;

    fn project(text: &str) -> ProjectId {
        ProjectId::parse(text).unwrap()
    }

    fn batch(role: Role, images: usize, projects: usize) -> Batch {
        let caller = Caller {
            project: project("asks"),
            role,
        };
        let images: Vec<_> = (0..images).map(|i| format!("i{i}")).collect();
        let projects: Vec<_> = (0..projects).map(|i| project(&format!("p{i}"))).collect();
        let entries = Entries::of_request(&images, &projects);
        let now = Timestamp::from_micros(1_000_000);
        let op = OperationId::at(now.micros());
        Batch::new(&caller, Task::Share, entries, op, now, "req-1".to_owned())
    }

    fn chunks(batch: &Batch) -> Vec<Chunk> {
        let messages = batch.messages().into_iter();
        messages
            .map(|message| match message {
                Message::Chunk(chunk) => chunk,
                other @ Message::Memberships { .. } => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_messages_of_a_batch_are_its_entries_in_order() {
        for (images, projects, sizes) in [
            (1, 1, vec![1]),
            (120, 1, vec![50, 50, 20]),
            (5, 33, vec![99, 66]),
            (1, 1_500, vec![1_000, 500]),
        ] {
            let batch = batch(Role::Member, images, projects);
            let chunks = chunks(&batch);
            let found: Vec<usize> = chunks.iter().map(|chunk| chunk.entries.rows).collect();
            assert_eq!(found, sizes);
            let rows = chunks.iter().flat_map(|chunk| chunk.entries.entries());
            assert!(rows.eq(batch.entries.entries()));
            for (place, chunk) in chunks.iter().enumerate() {
                assert_eq!((chunk.number, chunk.only), (place, sizes.len() == 1));
            }
        }
    }

    #[test]
    fn a_message_says_all_that_its_worker_must_know() {
        for role in [Role::Member, Role::Admin] {
            let batch = batch(role, 120, 1);
            let resent = batch.message(2, true);
            let expected = Chunk {
                job: batch.job.id,
                number: 2,
                project: project("asks"),
                admin: role == Role::Admin,
                task: Task::Share,
                deadline: batch.job.begin.plus_seconds(24 * 3600),
                entries: batch.entries.part(100, 50),
                only: false,
                resent: true,
            };
            assert_eq!(resent, Message::Chunk(expected));
            assert!(chunks(&batch).iter().all(|chunk| !chunk.resent));
        }
    }
}
