//! The states and steps of the protocol.

mod invariants;

use shared::domain::change::{Step, step};
use shared::domain::id::{OperationId, ProjectId};
use shared::domain::job::{Job, JobKind, JobStatus};
use shared::domain::member::MemberStatus;
use shared::domain::time::Timestamp;

use super::Intent::{self, Answer, Declare, Share, Unshare};
use super::cell::{Cell, reported};
use super::{Reported, Seen};

/// How workers handle a chunk: as the product does, or in one of the ways that lose something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Product,
    CountsFirst,
    AcknowledgesFirst,
    CountsAlways,
    /// Without the condition on the operation id.
    IgnoresOrder,
    /// A share of an existing member replaces the operation that shared it.
    ForgetsTheFirstShare,
    /// A removal that finds a newer share fails.
    RefusesLateRemovals,
    /// A share does not look at the newest declaration of the image's members.
    ForgetsDeclarations,
    /// The membership that a late removal leaves is pending, whatever the member's rule.
    ForgetsTheRule,
}

/// The requests, in the order in which they are accepted.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The initial state of each membership.
    pub before: Seen,
    /// Each concerns both memberships.
    pub jobs: [Intent; 2],
    /// Each concerns the first membership, and is sent after the one before it was answered.
    pub direct: Vec<Intent>,
    /// When the direct calls were accepted: before, between or after the jobs.
    pub place: usize,
    /// Entries of a chunk: one or both.
    pub chunk_rows: usize,
    /// The status that both members' rules give to new shares.
    pub rule: MemberStatus,
    pub protocol: Protocol,
}

/// Receives before a message becomes a dead letter.
const RECEIVES: u8 = 2;
const CHUNKS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum MessageState {
    Queued(u8),
    Dead,
    Deleted,
}

type Rows = [Option<Reported>; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Worker {
    Idle,
    Applying {
        chunk: usize,
        rows: Rows,
        counted: bool,
    },
    Settling {
        chunk: usize,
        rows: Rows,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Waiting,
    /// An answer has read the membership that it will write.
    Read(OperationId),
    Applied(OperationId),
    Refused,
}

/// Applies a step to the state.
type Add<'a> = &'a mut dyn FnMut(&dyn Fn(&mut State));

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    cells: [Cell; 2],
    messages: [MessageState; CHUNKS],
    results: [Option<Rows>; CHUNKS],
    /// Succeeded and failed entries of each job.
    counters: [(u8, u8); 2],
    workers: [Worker; 2],
    calls: [Call; 2],
}

impl State {
    /// A worker has finished a chunk. Its message is deleted unless the worker dies first.
    fn release(&mut self, worker: usize, chunk: usize, dead: bool, acknowledged: bool) {
        // A worker that received it before it became a dead letter cannot delete it there.
        if acknowledged && dead == (self.messages[chunk] == MessageState::Dead) {
            self.messages[chunk] = MessageState::Deleted;
        }
        self.workers[worker] = Worker::Idle;
    }
}

impl Scenario {
    fn op(&self, accepted: usize) -> OperationId {
        thread_local!(static OPS: Vec<OperationId> =
            (0..6).map(|at| OperationId::at(1_000_000 * (at + 1))).collect());
        OPS.with(|ops| ops[accepted])
    }

    fn job_op(&self, job: usize) -> OperationId {
        self.op(1
            + job
            + if job >= self.place {
                self.direct.len()
            } else {
                0
            })
    }

    /// The newest declaration. All jobs are accepted before any is carried out.
    pub(super) fn declared(&self) -> Option<OperationId> {
        let declares = |job: &usize| matches!(self.jobs[*job], Declare(_));
        (0..2).filter(declares).map(|job| self.job_op(job)).max()
    }

    /// Whether a job has no entry for a membership: it was none when the job was accepted, and is not
    /// declared.
    fn has_no_entry(&self, job: usize) -> bool {
        self.jobs[job] == Declare(false) && self.before.is_none()
    }

    fn call_op(&self, call: usize) -> OperationId {
        self.op(1 + self.place + call)
    }

    fn chunks_of_a_job(&self) -> usize {
        2 / self.chunk_rows
    }

    fn job_of(&self, chunk: usize) -> usize {
        chunk / self.chunks_of_a_job()
    }

    fn cells_of(&self, chunk: usize) -> std::ops::Range<usize> {
        let first = chunk % self.chunks_of_a_job() * self.chunk_rows;
        first..first + self.chunk_rows
    }

    fn start(&self) -> State {
        let op = self.op(0);
        let cell = match self.before {
            Some(status) => Cell::new(status, op),
            None => Cell::Nothing,
        };
        let chunks = 2 * self.chunks_of_a_job();
        State {
            cells: [cell; 2],
            messages: std::array::from_fn(|at| {
                if at < chunks {
                    MessageState::Queued(0)
                } else {
                    MessageState::Deleted
                }
            }),
            results: [None; CHUNKS],
            counters: [(0, 0); 2],
            workers: [Worker::Idle; 2],
            calls: std::array::from_fn(|at| {
                if at < self.direct.len() {
                    Call::Waiting
                } else {
                    Call::Refused
                }
            }),
        }
    }

    fn job(&self, state: &State, job: usize) -> Job {
        let (succeeded, failed) = state.counters[job];
        let time = Timestamp::from_micros(0);
        Job {
            id: self.job_op(job),
            project: ProjectId::parse("p").unwrap(),
            kind: match self.jobs[job] {
                Share => JobKind::Add,
                Answer(_) => JobKind::Update,
                Unshare => JobKind::Remove,
                Declare(_) => JobKind::Replace,
            },
            removes: 0,
            total: 2,
            chunk_rows: self.chunk_rows,
            succeeded: succeeded.into(),
            failed: failed.into(),
            errors: Default::default(),
            begin: time,
            updated_at: time,
            deadline: time.plus_seconds(1),
        }
    }

    fn status(&self, state: &State, job: usize) -> JobStatus {
        self.job(state, job).status(Timestamp::from_micros(0))
    }

    /// Writes results and counters, both or neither, once.
    fn finish(&self, state: &mut State, chunk: usize, rows: Rows) {
        if state.results[chunk].is_some() && self.protocol != Protocol::CountsAlways {
            return;
        }
        state.results[chunk] = Some(rows);
        let (succeeded, failed) = &mut state.counters[self.job_of(chunk)];
        for row in rows.into_iter().flatten() {
            *(if row == Reported::Succeeded {
                &mut *succeeded
            } else {
                &mut *failed
            }) += 1;
        }
    }

    /// All states that one step leads to.
    fn next(&self, state: &State) -> Vec<State> {
        let mut found = Vec::new();
        let mut add = |change: &dyn Fn(&mut State)| {
            let mut next = *state;
            change(&mut next);
            // Workers are interchangeable.
            next.workers.sort();
            found.push(next);
        };
        for chunk in 0..CHUNKS {
            if state.messages[chunk] == MessageState::Queued(RECEIVES) {
                add(&|next| next.messages[chunk] = MessageState::Dead);
            }
        }
        for at in 0..2 {
            if state.workers[at] != Worker::Idle {
                add(&|next| next.workers[at] = Worker::Idle);
            }
            match state.workers[at] {
                Worker::Idle => {
                    for chunk in 0..CHUNKS {
                        self.receive(state, chunk, at, &mut add);
                    }
                }
                Worker::Applying {
                    chunk,
                    rows,
                    counted,
                } => {
                    let (job, cells) = (self.job_of(chunk), self.cells_of(chunk));
                    if self.protocol == Protocol::CountsFirst && !counted {
                        let rows = rows.map(|_| None);
                        let all = std::array::from_fn(|row| {
                            (row < cells.len()).then_some(Reported::Succeeded)
                        });
                        add(&|next| {
                            self.finish(next, chunk, all);
                            next.workers[at] = Worker::Applying {
                                chunk,
                                rows,
                                counted: true,
                            };
                        });
                        continue;
                    }
                    let mut open = false;
                    for (row, cell) in cells.enumerate().filter(|(row, _)| rows[*row].is_none()) {
                        open = true;
                        add(&|next| {
                            let mut rows = rows;
                            let (intent, op) = (self.jobs[job], self.job_op(job));
                            let (written, reported) = match self.protocol {
                                _ if self.has_no_entry(job) => {
                                    (state.cells[cell], Reported::Succeeded)
                                }
                                Protocol::IgnoresOrder => {
                                    state.cells[cell].forced(intent, op, self.rule)
                                }
                                _ => state.cells[cell].entry(intent, op, self),
                            };
                            next.cells[cell] = written;
                            rows[row] = Some(reported);
                            next.workers[at] = Worker::Applying {
                                chunk,
                                rows,
                                counted,
                            };
                        });
                    }
                    if !open {
                        for acknowledged in [true, false] {
                            add(&|next| {
                                self.finish(next, chunk, rows);
                                next.release(at, chunk, false, acknowledged);
                            });
                        }
                    }
                }
                Worker::Settling { chunk, rows } => {
                    for acknowledged in [true, false] {
                        add(&|next| {
                            self.finish(next, chunk, rows);
                            next.release(at, chunk, true, acknowledged);
                        });
                    }
                }
            }
        }
        self.call(state, &mut add);
        found
    }

    fn receive(&self, state: &State, chunk: usize, at: usize, add: Add<'_>) {
        match state.messages[chunk] {
            MessageState::Queued(receives) if receives < RECEIVES => add(&|next| {
                next.messages[chunk] = match self.protocol {
                    Protocol::AcknowledgesFirst => MessageState::Deleted,
                    _ => MessageState::Queued(receives + 1),
                };
                if receives > 0 && state.results[chunk].is_some() {
                    next.release(at, chunk, false, true);
                } else {
                    next.workers[at] = Worker::Applying {
                        chunk,
                        rows: [None; 2],
                        counted: false,
                    };
                }
            }),
            MessageState::Dead => add(&|next| {
                let (job, mut rows) = (self.job_of(chunk), [None; 2]);
                let (intent, op) = (self.jobs[job], self.job_op(job));
                for (row, cell) in self.cells_of(chunk).enumerate() {
                    let stored = state.cells[cell].membership(self.rule);
                    rows[row] = Some(match step(stored.as_ref(), intent.kind(), op) {
                        _ if self.has_no_entry(job) => Reported::Succeeded,
                        Step::Done(change) => reported(intent, &change, op),
                        _ => Reported::GaveUp,
                    });
                }
                next.workers[at] = Worker::Settling { chunk, rows };
            }),
            MessageState::Queued(_) | MessageState::Deleted => {}
        }
    }

    /// The next step of the direct calls.
    fn call(&self, state: &State, add: Add<'_>) {
        let done = |call: &Call| matches!(call, Call::Applied(_) | Call::Refused);
        let Some(at) = state.calls.iter().position(|call| !done(call)) else {
            return;
        };
        let (intent, op) = (self.direct[at], self.call_op(at));
        let cell = state.cells[0];
        let stored = cell.membership(self.rule).map(|stored| stored.newest());
        let declared = self.declared().filter(|_| intent == Share);
        let newest = stored.max(declared);
        let newest = newest.map_or(op, |newest| op.not_before(newest));
        let allowed = matches!(cell, Cell::Present { .. }) != (intent == Share);
        add(&|next| match (state.calls[at], intent, cell) {
            _ if !allowed => next.calls[at] = Call::Refused,
            (Call::Read(seen), Answer(_), Cell::Present { op: stored, .. }) if seen != stored => {
                next.calls[at] = Call::Read(stored);
            }
            (Call::Waiting, Answer(_), Cell::Present { op: stored, .. }) => {
                next.calls[at] = Call::Read(stored);
            }
            _ => {
                next.cells[0] = cell.written(intent, newest, self.rule);
                next.calls[at] = Call::Applied(newest);
            }
        });
    }

    fn is_last(&self, state: &State) -> bool {
        state
            .messages
            .iter()
            .all(|message| *message == MessageState::Deleted)
            && state.workers == [Worker::Idle; 2]
            && state
                .calls
                .iter()
                .all(|call| matches!(call, Call::Applied(_) | Call::Refused))
    }
}
