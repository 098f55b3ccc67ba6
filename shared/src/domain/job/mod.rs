//! Jobs: the progress of a batch. A job's status is derived from its counters and the time.

pub mod view;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::change::EntryKind;
use crate::domain::entries::Entries;
use crate::domain::id::{JobId, ProjectId};
use crate::domain::ims_code::ImsCode;
use crate::domain::outcome::Outcome;
use crate::domain::time::Timestamp;

/// Seconds after which a job ends, whatever happens: the retention of messages in the queue.
pub const DEADLINE_SECONDS: i64 = 24 * 3600;
/// How long a job is kept after its end, in seconds.
pub const KEPT_SECONDS: i64 = 7 * 24 * 3600;
/// The most rows of results in one answer.
pub const RESULTS_PAGE: usize = 1000;

/// The kind of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Shares images with projects.
    Add,
    /// Accepts or rejects.
    Update,
    /// Ends memberships.
    Remove,
    /// Makes the members of an image those that were declared.
    Replace,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Add, Self::Update, Self::Remove, Self::Replace];

    /// The job type in the API.
    pub const fn job_type(self) -> &'static str {
        match self {
            Self::Add => "imsAddImageMembersJob",
            Self::Update => "imsUpdateImageMembersJob",
            Self::Remove => "imsDelImageMembersJob",
            Self::Replace => "imsReplaceImageMembersJob",
        }
    }

    /// Parses a job type.
    pub fn parse(job_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.job_type() == job_type)
    }

    /// What the entry in this row does. Of a job that replaces members, the first `removes` entries end
    /// memberships.
    pub const fn entry_kind(self, row: usize, removes: usize) -> EntryKind {
        match self {
            Self::Update => EntryKind::Update,
            Self::Remove => EntryKind::Remove,
            Self::Replace if row < removes => EntryKind::Remove,
            Self::Add | Self::Replace => EntryKind::Add,
        }
    }

    const fn task(self) -> &'static str {
        match self {
            Self::Add => "add image members",
            Self::Update => "update image members",
            Self::Remove => "delete image members",
            Self::Replace => "replace image members",
        }
    }
}

/// The status of a job: `SUCCESS` if every entry succeeded, `FAIL` if at least one did not. What
/// succeeded stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum JobStatus {
    /// Accepted; no chunk is finished yet.
    Init,
    /// Some chunks are finished.
    Running,
    /// Every entry succeeded.
    Success,
    /// It ended, and at least one entry failed.
    Fail,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Init, Self::Running, Self::Success, Self::Fail];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Fail => "FAIL",
        }
    }

    /// Parses a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id, which is also the operation id of its entries.
    pub id: JobId,
    /// The project that requested it.
    pub project: ProjectId,
    /// Its kind.
    pub kind: JobKind,
    /// The number of its entries.
    pub total: usize,
    /// Of a job that replaces members: how many of its entries, the first ones, end memberships.
    pub removes: usize,
    /// The number of rows of each chunk but the last.
    pub chunk_rows: usize,
    /// Entries that succeeded.
    pub succeeded: usize,
    /// Entries that failed.
    pub failed: usize,
    /// Chunks with failed entries, and the code of the first of each.
    pub errors: BTreeMap<usize, ImsCode>,
    /// When it was accepted.
    pub begin: Timestamp,
    /// When a chunk was last finished.
    pub updated_at: Timestamp,
    /// When it ends, even if chunks are unfinished.
    pub deadline: Timestamp,
}

/// The counters of a job, from which its status is derived.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The number of entries.
    pub total: usize,
    /// Entries that succeeded.
    pub succeeded: usize,
    /// Entries that failed.
    pub failed: usize,
    /// When the job ends, even if chunks are unfinished.
    pub deadline: Timestamp,
}

impl Progress {
    /// The status. It never goes back, because counters and time only grow.
    pub fn status(self, now: Timestamp) -> JobStatus {
        let done = self.succeeded + self.failed;
        if done >= self.total {
            match self.failed {
                0 => JobStatus::Success,
                _ => JobStatus::Fail,
            }
        } else if now >= self.deadline {
            JobStatus::Fail
        } else if done == 0 {
            JobStatus::Init
        } else {
            JobStatus::Running
        }
    }
}

impl Job {
    /// The job of a request that was accepted at `now`.
    pub fn new(
        id: JobId,
        project: ProjectId,
        kind: JobKind,
        entries: &Entries,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            project,
            kind,
            removes: 0,
            total: entries.rows,
            chunk_rows: entries.chunk_rows(),
            succeeded: 0,
            failed: 0,
            errors: BTreeMap::new(),
            begin: now,
            updated_at: now,
            deadline: now.plus_seconds(DEADLINE_SECONDS),
        }
    }

    /// The number of its chunks.
    pub fn chunks(&self) -> usize {
        self.total.div_ceil(self.chunk_rows.max(1))
    }

    /// What the entry in this row does.
    pub const fn entry_kind(&self, row: usize) -> EntryKind {
        self.kind.entry_kind(row, self.removes)
    }

    /// The outcome of the entry in this row, which is `None` while its chunk is unfinished: an entry of a
    /// job that ended without it has failed.
    pub fn outcome(
        &self,
        row: usize,
        recorded: Option<Outcome>,
        now: Timestamp,
    ) -> Option<Outcome> {
        let over = || self.end(now).is_some();
        recorded.or_else(|| over().then(|| Outcome::Failed(self.entry_kind(row).gave_up())))
    }

    /// Whether an entry in these rows may have failed, as far as its record says.
    pub fn may_have_failed(&self, rows: std::ops::Range<usize>, now: Timestamp) -> bool {
        let unfinished = self.done() < self.total && self.end(now).is_some();
        let chunk = |row: usize| row / self.chunk_rows.max(1);
        let chunks = chunk(rows.start)..=chunk(rows.end.saturating_sub(1));
        unfinished || self.errors.range(chunks).next().is_some()
    }

    fn done(&self) -> usize {
        self.succeeded + self.failed
    }

    /// Its status.
    pub fn status(&self, now: Timestamp) -> JobStatus {
        Progress {
            total: self.total,
            succeeded: self.succeeded,
            failed: self.failed,
            deadline: self.deadline,
        }
        .status(now)
    }

    /// When it ended; `None` while it runs.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        match self.status(now) {
            JobStatus::Init | JobStatus::Running => None,
            JobStatus::Success | JobStatus::Fail if self.done() >= self.total => {
                Some(self.updated_at)
            }
            JobStatus::Success | JobStatus::Fail => Some(self.deadline),
        }
    }

    /// Whether its retention is over.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.end(now)
            .is_some_and(|end| end.plus_seconds(KEPT_SECONDS) <= now)
    }

    /// The code of the first failed entry, in the order of the request.
    pub fn error_code(&self, now: Timestamp) -> Option<ImsCode> {
        match self.status(now) {
            JobStatus::Init | JobStatus::Running | JobStatus::Success => None,
            // Unfinished chunks have failed too, but only finished ones have codes.
            JobStatus::Fail => Some(
                self.errors
                    .values()
                    .next()
                    .copied()
                    .unwrap_or(self.entry_kind(0).gave_up()),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
