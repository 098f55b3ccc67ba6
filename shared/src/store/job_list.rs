//! Lists of a project's jobs.

use std::collections::BTreeMap;

use super::expression::names;
use super::item;
use super::jobs::job_of;
use super::keys::{self as at, s};
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{JobId, ProjectId};
use crate::domain::job::{Job, JobKind, JobStatus, Progress};
use crate::domain::time::Timestamp;

impl Store {
    /// Returns a page of a project's jobs, newest first: at most `limit` matching jobs after `marker`,
    /// and whether more follow.
    ///
    /// With a filter, whole pages of the index are read; its rows are enough to skip most jobs that
    /// do not match.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn list_jobs(
        &self,
        project: &ProjectId,
        filter: JobFilter,
        marker: Option<JobId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Job>, bool), ApiError> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut after = marker;
        loop {
            let (ids, last) = self.job_ids(project, filter, after, limit + 1, now).await?;
            for ids in ids.chunks(limit + 1) {
                let mut found: BTreeMap<JobId, Job> = BTreeMap::new();
                for record in self
                    .batch_get(ids.iter().map(|id| at::job_key(*id)).collect())
                    .await?
                {
                    let job = job_of(&record)?;
                    found.insert(job.id, job);
                }
                for job in ids.iter().filter_map(|id| found.remove(id)) {
                    if job.is_forgotten(now) || !filter.matches(&job, now) {
                        continue;
                    }
                    if jobs.len() == limit {
                        return Ok((jobs, true));
                    }
                    jobs.push(job);
                }
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok((jobs, false)),
            }
        }
    }

    /// Reads one page of the index: the jobs that may match, and where the next page begins.
    async fn job_ids(
        &self,
        project: &ProjectId,
        filter: JobFilter,
        after: Option<JobId>,
        rows: usize,
        now: Timestamp,
    ) -> Result<(Vec<JobId>, Option<JobId>), ApiError> {
        let condition = match after {
            None => "#gpk = :gpk",
            Some(_) => "#gpk = :gpk AND #gsk < :after",
        };
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(at::BY_PROJECT)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names(&[condition]))
            .expression_attribute_values(":gpk", s(at::jobs_gpk(project)))
            .scan_index_forward(false);
        if let Some(after) = after {
            request = request.expression_attribute_values(":after", s(after.to_string()));
        }
        if filter.is_empty() {
            request = request.limit(i32::try_from(rows).unwrap_or(i32::MAX));
        }
        let page = self.client.ask("list jobs", &request).await?;
        let mut ids = Vec::new();
        let mut last = None;
        for row in page.items() {
            let read = item::Reader::of(row)?;
            let id = read.parsed(at::GSK, JobId::parse)?;
            last = Some(id);
            if filter.may_match(&read, now)? {
                ids.push(id);
            }
        }
        Ok((ids, last.filter(|_| page.last_evaluated_key.is_some())))
    }
}

/// Which jobs a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobFilter {
    /// Only jobs of this status.
    pub status: Option<JobStatus>,
    /// Only jobs of this kind.
    pub kind: Option<JobKind>,
}

impl JobFilter {
    const fn is_empty(&self) -> bool {
        self.status.is_none() && self.kind.is_none()
    }

    fn matches(&self, job: &Job, now: Timestamp) -> bool {
        self.status.is_none_or(|status| job.status(now) == status)
            && self.kind.is_none_or(|kind| job.kind == kind)
    }

    /// Whether the job of an index row may match. The row may be older than the record, so a job that
    /// has not ended in the row may have ended by now.
    fn may_match(&self, row: &item::Reader<'_>, now: Timestamp) -> Result<bool, ApiError> {
        let kind = row.optional_text(at::KIND)?.and_then(JobKind::parse);
        if let (Some(wanted), Some(kind)) = (self.kind, kind)
            && wanted != kind
        {
            return Ok(false);
        }
        let counters = (
            row.optional_number::<usize>(at::TOTAL)?,
            row.optional_number::<usize>(at::SUCCEEDED)?,
            row.optional_number::<usize>(at::FAILED)?,
            row.optional_text(at::DEADLINE)?.and_then(Timestamp::parse),
        );
        // Releases up to 0.1.0 wrote rows without counters.
        let (Some(wanted), (Some(total), Some(succeeded), Some(failed), Some(deadline))) =
            (self.status, counters)
        else {
            return Ok(true);
        };
        let progress = Progress {
            total,
            succeeded,
            failed,
            deadline,
        };
        Ok(match progress.status(now) {
            JobStatus::Init => true,
            JobStatus::Running => wanted != JobStatus::Init,
            ended @ (JobStatus::Success | JobStatus::Fail) => wanted == ended,
        })
    }
}
