//! Jobs: the progress of a batch. A job's status is derived from its counters and the time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entries::Entries;
use super::ims_code::ImsCode;
use super::outcome::Outcome;
use crate::domain::id::{JobId, ProjectId};
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
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Add, Self::Update, Self::Remove];

    /// The job type in the API.
    pub const fn job_type(self) -> &'static str {
        match self {
            Self::Add => "imsAddImageMembersJob",
            Self::Update => "imsUpdateImageMembersJob",
            Self::Remove => "imsDelImageMembersJob",
        }
    }

    /// Parses a job type.
    pub fn parse(job_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.job_type() == job_type)
    }

    /// The code of an entry that could not be applied after all retries.
    pub const fn gave_up(self) -> ImsCode {
        match self {
            Self::Add => ImsCode::AddFailed,
            Self::Update | Self::Remove => ImsCode::DeleteFailed,
        }
    }

    const fn task(self) -> &'static str {
        match self {
            Self::Add => "add image members",
            Self::Update => "update image members",
            Self::Remove => "delete image members",
        }
    }
}

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
                    .unwrap_or(self.kind.gave_up()),
            ),
        }
    }

    /// What the job's reader sees, without the rows of its results.
    pub fn view(&self, now: Timestamp) -> Value {
        let status = self.status(now);
        let failed = match status {
            JobStatus::Fail => Some(self.total - self.succeeded),
            JobStatus::Init | JobStatus::Running | JobStatus::Success => None,
        };
        // Rounded down to a hundredth, so that 1.0 means all.
        let percent = match status {
            JobStatus::Success | JobStatus::Fail => 100,
            JobStatus::Init | JobStatus::Running => self.done() * 100 / self.total.max(1),
        };
        json!({
            "status": status.as_str(),
            "job_id": self.id.to_string(),
            "job_type": self.kind.job_type(),
            "begin_time": self.begin.millis(),
            "end_time": self.end(now).map(Timestamp::millis),
            "error_code": self.error_code(now).map(ImsCode::as_str),
            "fail_reason": failed.map(|failed| format!("{failed} of {} entries failed", self.total)),
            "entities": {
                "total": self.total,
                "succeeded": self.succeeded,
                "failed": failed.unwrap_or(self.failed),
                "process_percent": f64::from(u32::try_from(percent).unwrap_or(100)) / 100.0,
                "current_task": self.kind.task(),
                "subJobId": "",
            },
        })
    }

    /// One row of the results: an entry and what became of it, `None` while it is under way.
    pub fn row(
        &self,
        image: &str,
        project: &str,
        outcome: Option<Outcome>,
        now: Timestamp,
    ) -> Value {
        let ended = matches!(self.status(now), JobStatus::Success | JobStatus::Fail);
        let outcome = outcome.or(ended.then_some(Outcome::Failed(self.kind.gave_up())));
        let (status, changed) = match outcome {
            None => ("running", false),
            Some(Outcome::Changed) => ("success", true),
            Some(Outcome::Unchanged) => ("success", false),
            Some(Outcome::Failed(_)) => ("failed", false),
        };
        let mut row = json!({
            "image_id": image,
            "project_id": project,
            "status": status,
            "changed": changed,
        });
        if let (Some(Outcome::Failed(code)), Some(row)) = (outcome, row.as_object_mut()) {
            row.insert("error_code".to_owned(), json!(code.as_str()));
            row.insert("fail_reason".to_owned(), json!(code.reason()));
        }
        row
    }
}

#[cfg(test)]
mod tests;
