//! A job and the rows of its results, as their reader sees them. Pure.

use serde::{Serialize, Serializer};

use super::{Job, JobKind, JobStatus};
use crate::domain::id::{JobId, ProjectId};
use crate::domain::ims_code::ImsCode;
use crate::domain::member::MemberStatus;
use crate::domain::outcome::Outcome;
use crate::domain::time::{Millis, Timestamp};

/// A job without the rows of its results.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Job))]
pub struct JobView {
    /// The outcome of the job as a whole.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// The outcomes of its entries.
    pub entities: JobCounts,
}

/// The outcome of a job as a whole.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobSummary {
    /// Where the job stands; it never goes back.
    pub status: JobStatus,
    /// Its id.
    pub job_id: JobId,
    /// What it does.
    pub job_type: JobType,
    /// When it was accepted.
    pub begin_time: Millis,
    /// When it ended.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub end_time: Option<Millis>,
    /// The code of the first entry that failed.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub error_code: Option<ImsCode>,
    /// How many entries failed.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub fail_reason: Option<String>,
}

/// The outcomes of a job's entries.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobCounts {
    /// Entries of the job.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub total: usize,
    /// Entries that have succeeded.
    pub succeeded: usize,
    /// Entries that have failed.
    pub failed: usize,
    /// The part of the entries that is done, from 0 to 1.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1))]
    pub process_percent: f64,
    /// What the job does, in words.
    pub current_task: &'static str,
    /// Always empty: a job has no parts.
    #[serde(rename = "subJobId")]
    #[cfg_attr(feature = "openapi", schema(max_length = 0))]
    pub sub_job_id: &'static str,
}

/// What a job does to its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobType(pub JobKind);

impl Serialize for JobType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.job_type())
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for JobType {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let words = JobKind::ALL.map(JobKind::job_type);
        crate::domain::openapi::words(words, "What a job does to its entries.")
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for JobType {}

/// One row of the results: an entry and its outcome.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Result))]
pub struct ResultRow<'a> {
    /// The image, as the request named it.
    pub image_id: &'a str,
    /// The project.
    pub project_id: &'a ProjectId,
    /// Its outcome.
    pub status: ResultStatus,
    /// Whether this job has changed the membership; false too for one that was already as it should
    /// be.
    pub changed: bool,
    /// The status that a rule of the member's trusted owners gave to the new membership; without such a
    /// rule it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub member_status: Option<MemberStatus>,
    /// Why the entry failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error_code: Option<ImsCode>,
    /// The sentence of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub fail_reason: Option<&'static str>,
}

/// The outcome of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ResultStatus {
    /// The membership is as the request wants it.
    Success,
    /// It is not, and the row says why.
    Failed,
    /// The entry is under way.
    Running,
}

impl Job {
    /// What the job's reader sees, without the rows of its results.
    pub fn view(&self, now: Timestamp) -> JobView {
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
        let summary = JobSummary {
            status,
            job_id: self.id,
            job_type: JobType(self.kind),
            begin_time: Millis(self.begin),
            end_time: self.end(now).map(Millis),
            error_code: self.error_code(now),
            fail_reason: failed.map(|failed| format!("{failed} of {} entries failed", self.total)),
        };
        let entities = JobCounts {
            total: self.total,
            succeeded: self.succeeded,
            failed: failed.unwrap_or(self.failed),
            process_percent: f64::from(u32::try_from(percent).unwrap_or(100)) / 100.0,
            current_task: self.kind.task(),
            sub_job_id: "",
        };
        JobView { summary, entities }
    }

    /// One row of the results: an entry and its outcome, `None` while it is under way.
    pub fn row<'a>(
        &self,
        image_id: &'a str,
        project_id: &'a ProjectId,
        outcome: Option<Outcome>,
        now: Timestamp,
    ) -> ResultRow<'a> {
        let ended = matches!(self.status(now), JobStatus::Success | JobStatus::Fail);
        let outcome = outcome.or(ended.then_some(Outcome::Failed(self.kind.gave_up())));
        let (status, changed, code) = match outcome {
            None => (ResultStatus::Running, false, None),
            Some(Outcome::Changed | Outcome::Answered(_)) => (ResultStatus::Success, true, None),
            Some(Outcome::Unchanged) => (ResultStatus::Success, false, None),
            Some(Outcome::Failed(code)) => (ResultStatus::Failed, false, Some(code)),
        };
        ResultRow {
            image_id,
            project_id,
            status,
            changed,
            member_status: match outcome {
                Some(Outcome::Answered(status)) => Some(status),
                Some(Outcome::Changed | Outcome::Unchanged | Outcome::Failed(_)) | None => None,
            },
            error_code: code,
            fail_reason: code.map(ImsCode::reason),
        }
    }
}
