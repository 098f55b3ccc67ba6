//! An accepted batch, and its messages.
//!
//! A batch shares each of its images with each of its projects, unshares them, or answers for them.
//! Its entries (image × project) are rows, image by image in the order of the request. A chunk is a
//! run of rows, and becomes one message.

use std::collections::HashSet;

use super::actor::Actor;
use super::entries::Entries;
use super::id::{OperationId, ProjectId};
use super::image::Image;
use super::job::Job;
use super::member::Member;
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
    /// The user that requested it; empty if the record of an earlier release does not name it.
    pub user: String,
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
        Self {
            job: Job {
                removes: task.removes(),
                ..Job::new(op, caller.project.clone(), task.kind(), &entries, now)
            },
            task,
            user: caller.user.clone(),
            admin: caller.is_admin(),
            entries,
            request_id,
        }
    }

    /// Accepts the declaration of all members of an image, on top of those that were read. Returns the batch
    /// that leads from these to the declared ones, and whether it changes any.
    ///
    /// Its entries are first the members that are not declared, then the declared projects in the order of
    /// the request, members or not: an older removal that arrives later must not end what is declared.
    pub fn replacing(
        caller: &Caller,
        (image, members): (&Image, &[Member]),
        declared: &[ProjectId],
        (op, now): (OperationId, Timestamp),
        request_id: String,
    ) -> (Self, bool) {
        let kept: HashSet<&ProjectId> = declared.iter().collect();
        let undeclared = members
            .iter()
            .map(|member| &member.member_id)
            .filter(|member| !kept.contains(member));
        let mut projects: Vec<ProjectId> = undeclared.cloned().collect();
        let removes = projects.len();
        projects.extend_from_slice(declared);
        // Newer than all that was seen, although clocks differ.
        let stored = members.iter().map(Member::newest).chain(image.declared);
        let op = stored.max().map_or(op, |newest| op.not_before(newest));
        let entries = Entries::of_request(&[image.id.to_string()], &projects);
        let task = Task::Replace { removes };
        let changes = removes > 0 || members.len() != kept.len();
        let batch = Self::new(caller, task, entries, op, now, request_id);
        (batch, changes)
    }

    /// Who requested it.
    pub fn actor(&self) -> Actor {
        Actor::new(&self.user, self.job.project.clone())
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
            user: self.user.clone(),
            admin: self.admin,
            task: self.task.part(number * job.chunk_rows, job.chunk_rows),
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
            user: "u-asks".to_owned(),
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
    fn a_declaration_ends_first_what_is_not_declared() {
        let batch = batch(Role::Member, 1, 1);
        let caller = Caller {
            user: "u-asks".to_owned(),
            project: project("asks"),
            role: Role::Member,
        };
        let (op, now) = (OperationId::at(1_000_000), batch.job.begin);
        let body = serde_json::json!({});
        let image = Image::from_request(body, Default::default(), &caller, op, now).unwrap();
        let newer = OperationId::at(9_000_000);
        let member = |id: &str, op| Member::new(image.id, project(id), op, now);
        let members = [member("a", op), member("b", newer), member("c", op)];
        let declared = ["d", "b", "e"].map(project);
        let replace = |members: &[Member], declared: &[ProjectId]| {
            let (id, at) = (OperationId::at(5_000_000), now);
            let of = (&image, members);
            Batch::replacing(&caller, of, declared, (id, at), "req".to_owned())
        };
        let (batch, changes) = replace(&members, &declared);
        assert_eq!(
            batch.entries.projects,
            ["a", "c", "d", "b", "e"].map(project)
        );
        assert_eq!(
            (&batch.task, changes),
            (&Task::Replace { removes: 2 }, true)
        );
        assert_eq!((batch.job.removes, batch.job.total), (2, 5));
        // It is newer than all that it has seen.
        assert!(batch.job.id > newer);
        let (same, changes) = replace(&members, &["c", "a", "b"].map(project));
        assert_eq!(
            (&same.task, changes),
            (&Task::Replace { removes: 0 }, false)
        );
        let (none, changes) = replace(&members, &[]);
        assert_eq!((&none.task, changes), (&Task::Replace { removes: 3 }, true));
        let (nothing, changes) = replace(&[], &[]);
        assert_eq!((nothing.job.chunks(), changes), (0, false));
        // Each message says of its own entries which end memberships.
        let many: Vec<_> = (0..1_500).map(|i| member(&format!("m{i}"), op)).collect();
        let (large, _) = replace(&many, &declared);
        let tasks: Vec<_> = chunks(&large).into_iter().map(|chunk| chunk.task).collect();
        let expected = [1_000, 500].map(|removes| Task::Replace { removes });
        assert_eq!(tasks, expected);
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
                user: "u-asks".to_owned(),
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
