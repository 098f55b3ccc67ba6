//! Jobs: create, finish a chunk, show, list, and the keys that make a request safe to repeat.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
    Update,
};

use super::schema::{self as at, Item, n, s};
use super::{Store, Transacted, failed, item, refused};
use crate::batch::{Outcome, Slice};
use crate::error::{ApiError, ImsCode};
use crate::id::{JobId, ProjectId};
use crate::job::{Job, JobKind, JobStatus, KEPT_SECONDS, RESULTS_PAGE};
use crate::time::Timestamp;

/// Seconds for which an idempotency key stands for its first request.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 3600;
/// The most that a page of entries may weigh, in bytes: an item holds 400 KB.
const PAGE_BYTES_MAX: usize = 350 * 1024;
/// Rows of jobs that one page of the index reads.
const JOBS_PAGE: usize = 100;

/// A key that makes a request safe to repeat.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The caller's key.
    pub key: String,
    /// Digest of the request that it stands for.
    pub digest: String,
}

/// What became of a new job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    New,
    /// The same request made this job before.
    Before(JobId),
    /// The key stands for another request.
    OtherRequest,
}

/// What became of finishing a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It counts now.
    Counted,
    /// An earlier delivery had finished it; nothing was done.
    Before,
    /// The job has ended without it, or is not there any more; nothing was done.
    Over,
}

impl Store {
    /// Records a new job with its entries, in one request, before anybody knows its id.
    ///
    /// # Errors
    /// IMG.0060 if the entries do not fit the record; otherwise if the store does not answer.
    pub async fn create_job(
        &self,
        job: &Job,
        entries: &Slice,
        idempotency: Option<&Idempotency>,
    ) -> Result<Created, ApiError> {
        let expires = n(job.deadline.unix_seconds() + KEPT_SECONDS);
        let mut record = at::job_key(job.id);
        record.extend([
            (at::GPK.to_owned(), s(at::jobs_gpk(&job.project))),
            (at::GSK.to_owned(), s(job.id.to_string())),
            (at::PROJECT.to_owned(), s(job.project.as_str())),
            (at::KIND.to_owned(), s(job.kind.job_type())),
            (at::TOTAL.to_owned(), n(job.total)),
            (at::CHUNK_ROWS.to_owned(), n(job.chunk_rows)),
            (at::SUCCEEDED.to_owned(), n(job.succeeded)),
            (at::FAILED.to_owned(), n(job.failed)),
            (at::ERRORS.to_owned(), AttributeValue::M(Item::new())),
            (at::CREATED_AT.to_owned(), s(job.begin.stored())),
            (at::ADVANCED_AT.to_owned(), s(job.updated_at.stored())),
            (at::DEADLINE.to_owned(), s(job.deadline.stored())),
            (at::EXPIRES_AT.to_owned(), expires.clone()),
        ]);
        let mut items = vec![self.put_new(record, None)?];
        for page in 0..entries.rows.div_ceil(RESULTS_PAGE) {
            let text = to_json(&entries.part(page * RESULTS_PAGE, RESULTS_PAGE))?;
            if text.len() > PAGE_BYTES_MAX {
                return Err(ApiError::ims_because(
                    ImsCode::TooMany,
                    "The ids of the request are too long to be recorded: send fewer at once.",
                ));
            }
            let mut record = at::entries_key(job.id, page);
            record.insert(at::ENTRIES.to_owned(), s(text));
            record.insert(at::EXPIRES_AT.to_owned(), expires.clone());
            items.push(self.put_new(record, None)?);
        }
        if let Some(idempotency) = idempotency {
            let mut record = at::idempotency_key(&job.project, &idempotency.key);
            record.extend([
                (at::DIGEST.to_owned(), s(&idempotency.digest)),
                (at::JOB_ID.to_owned(), s(job.id.to_string())),
                (
                    at::EXPIRES_AT.to_owned(),
                    n(job.begin.unix_seconds() + IDEMPOTENCY_SECONDS),
                ),
            ]);
            items.push(self.put_new(record, Some(job.begin))?);
        }
        let reasons = match self.transact("create job", items).await? {
            Transacted::Applied => return Ok(Created::New),
            Transacted::Cancelled(reasons) => reasons,
        };
        let Some(stored) = reasons.last().and_then(|reason| reason.item()) else {
            return Err(ApiError::internal("create job: the job's id is taken"));
        };
        let read = item::Reader::new(stored);
        match idempotency {
            Some(sent) if read.text(at::DIGEST)? == sent.digest => {
                Ok(Created::Before(read.parsed(at::JOB_ID, JobId::parse)?))
            }
            _ => Ok(Created::OtherRequest),
        }
    }

    /// A put that succeeds if nothing is there, or only what has expired by `now`.
    fn put_new(&self, record: Item, now: Option<Timestamp>) -> Result<TransactWriteItem, ApiError> {
        let mut condition = "attribute_not_exists(#pk)".to_owned();
        let mut put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(record))
            .expression_attribute_names("#pk", at::PK)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        if let Some(now) = now {
            condition.push_str(" OR #expires <= :now");
            put = put
                .expression_attribute_names("#expires", at::EXPIRES_AT)
                .expression_attribute_values(":now", n(now.unix_seconds()));
        }
        let put = put
            .condition_expression(condition)
            .build()
            .map_err(|e| ApiError::internal(format!("put: {e}")))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Forgets an idempotency key whose job could not be started, so that the request can be
    /// sent again.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn forget_key(
        &self,
        project: &ProjectId,
        key: &str,
        job: JobId,
    ) -> Result<(), ApiError> {
        let outcome = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(at::idempotency_key(project, key)))
            .condition_expression("#job = :job")
            .expression_attribute_names("#job", at::JOB_ID)
            .expression_attribute_values(":job", s(job.to_string()))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("forget key", &error)),
        }
    }

    /// Records what became of a chunk's entries and counts them, both or neither, once.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn finish_chunk(
        &self,
        job: JobId,
        chunk: usize,
        outcomes: &[Outcome],
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<Finished, ApiError> {
        let failures: BTreeMap<usize, &str> = outcomes
            .iter()
            .enumerate()
            .filter_map(|(row, outcome)| match outcome {
                Outcome::Succeeded => None,
                Outcome::Failed(code) => Some((row, code.as_str())),
            })
            .collect();
        let first = failures.values().next().copied();
        let mut record = at::result_key(job, chunk);
        record.insert(at::OUTCOMES.to_owned(), s(to_json(&failures)?));
        record.insert(
            at::EXPIRES_AT.to_owned(),
            n(deadline.unix_seconds() + KEPT_SECONDS),
        );
        let mut set = "SET #advanced = :now".to_owned();
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::job_key(job)))
            .condition_expression("attribute_exists(#pk) AND #deadline > :now")
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#deadline", at::DEADLINE)
            .expression_attribute_names("#advanced", at::ADVANCED_AT)
            .expression_attribute_names("#succeeded", at::SUCCEEDED)
            .expression_attribute_names("#failed", at::FAILED)
            .expression_attribute_values(":now", s(now.stored()))
            .expression_attribute_values(":succeeded", n(outcomes.len() - failures.len()))
            .expression_attribute_values(":failed", n(failures.len()));
        if let Some(code) = first {
            set.push_str(", #errors.#chunk = :code");
            update = update
                .expression_attribute_names("#errors", at::ERRORS)
                .expression_attribute_names("#chunk", chunk.to_string())
                .expression_attribute_values(":code", s(code));
        }
        let update = update
            .update_expression(format!("{set} ADD #succeeded :succeeded, #failed :failed"))
            .build()
            .map_err(|e| ApiError::internal(format!("finish chunk: {e}")))?;
        let items = vec![
            self.put_new(record, None)?,
            TransactWriteItem::builder().update(update).build(),
        ];
        Ok(match self.transact("finish chunk", items).await? {
            Transacted::Applied => Finished::Counted,
            Transacted::Cancelled(reasons) if refused(reasons.first()) => Finished::Before,
            Transacted::Cancelled(_) => Finished::Over,
        })
    }

    /// Whether an earlier delivery has finished this chunk.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn is_finished(&self, job: JobId, chunk: usize) -> Result<bool, ApiError> {
        Ok(!self
            .batch_get(vec![at::result_key(job, chunk)])
            .await?
            .is_empty())
    }

    /// A job's record; `None` if there is none or its time is over.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn job(&self, id: JobId, now: Timestamp) -> Result<Option<Job>, ApiError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(at::job_key(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| failed("get job", &e))?;
        let job = answer.item().map(job_of).transpose()?;
        Ok(job.filter(|job| !job.is_forgotten(now)))
    }

    /// Rows `from..from + count` of a job's results: image, project, and what became of the
    /// entry, `None` while it is under way.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn results(
        &self,
        job: &Job,
        from: usize,
        count: usize,
    ) -> Result<Vec<(String, String, Option<Outcome>)>, ApiError> {
        let end = (from + count).min(job.total);
        if from >= end {
            return Ok(Vec::new());
        }
        let pages = from / RESULTS_PAGE..=(end - 1) / RESULTS_PAGE;
        let chunks = from / job.chunk_rows..=(end - 1) / job.chunk_rows;
        let keys = pages
            .clone()
            .map(|page| at::entries_key(job.id, page))
            .chain(chunks.map(|chunk| at::result_key(job.id, chunk)))
            .collect();
        let mut entries: BTreeMap<String, Slice> = BTreeMap::new();
        let mut results: BTreeMap<String, BTreeMap<usize, String>> = BTreeMap::new();
        for found in self.batch_get(keys).await? {
            let read = item::Reader::new(&found);
            let sk = read.text(at::SK)?.to_owned();
            if found.contains_key(at::ENTRIES) {
                entries.insert(
                    sk,
                    read.parsed(at::ENTRIES, |text| serde_json::from_str(text).ok())?,
                );
            } else {
                results.insert(
                    sk,
                    read.parsed(at::OUTCOMES, |text| serde_json::from_str(text).ok())?,
                );
            }
        }
        let mut rows = Vec::with_capacity(end - from);
        for page in pages {
            let slice = entries
                .get(&at::entries_sk(page))
                .ok_or_else(|| ApiError::internal(format!("job {} has no page {page}", job.id)))?;
            for (place, (image, project)) in slice.entries().enumerate() {
                let row = page * RESULTS_PAGE + place;
                if row < from || row >= end {
                    continue;
                }
                let outcome = match results.get(&at::result_sk(row / job.chunk_rows)) {
                    None => None,
                    Some(failures) => Some(match failures.get(&(row % job.chunk_rows)) {
                        None => Outcome::Succeeded,
                        Some(code) => Outcome::Failed(ImsCode::parse(code).ok_or_else(|| {
                            ApiError::internal(format!("job {} has a result {code:?}", job.id))
                        })?),
                    }),
                };
                rows.push((image.to_owned(), project.to_owned(), outcome));
            }
        }
        Ok(rows)
    }

    /// A page of a project's jobs, newest first: `limit` of those that match after `marker`, and
    /// whether there may be more.
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
        let mut after = marker.map(|id| id.to_string());
        loop {
            let mut request = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(at::BY_PROJECT)
                .expression_attribute_names("#gpk", at::GPK)
                .expression_attribute_values(":gpk", s(at::jobs_gpk(project)))
                .scan_index_forward(false)
                .limit(i32::try_from(JOBS_PAGE.min(limit + 1)).unwrap_or(i32::MAX));
            request = match &after {
                None => request.key_condition_expression("#gpk = :gpk"),
                Some(after) => request
                    .key_condition_expression("#gpk = :gpk AND #gsk < :after")
                    .expression_attribute_names("#gsk", at::GSK)
                    .expression_attribute_values(":after", s(after)),
            };
            let page = request.send().await.map_err(|e| failed("list jobs", &e))?;
            let mut ids: Vec<JobId> = Vec::new();
            for row in page.items() {
                ids.push(item::Reader::new(row).parsed(at::GSK, JobId::parse)?);
            }
            let mut found: BTreeMap<JobId, Job> = BTreeMap::new();
            for record in self
                .batch_get(ids.iter().map(|id| at::job_key(*id)).collect())
                .await?
            {
                let job = job_of(&record)?;
                found.insert(job.id, job);
            }
            for id in &ids {
                let Some(job) = found.remove(id) else {
                    continue;
                };
                if job.is_forgotten(now) || !filter.matches(&job, now) {
                    continue;
                }
                if jobs.len() == limit {
                    return Ok((jobs, true));
                }
                jobs.push(job);
            }
            match (ids.last(), page.last_evaluated_key) {
                (Some(last), Some(_)) => after = Some(last.to_string()),
                _ => return Ok((jobs, false)),
            }
        }
    }
}

/// Which jobs a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobFilter {
    /// Only those that stand so.
    pub status: Option<JobStatus>,
    /// Only those of this kind.
    pub kind: Option<JobKind>,
}

impl JobFilter {
    fn matches(&self, job: &Job, now: Timestamp) -> bool {
        self.status.is_none_or(|status| job.status(now) == status)
            && self.kind.is_none_or(|kind| job.kind == kind)
    }
}

fn job_of(record: &Item) -> Result<Job, ApiError> {
    let read = item::Reader::new(record);
    let id = read.parsed(at::PK, |pk| pk.strip_prefix("JOB#").and_then(JobId::parse))?;
    let errors = read
        .text_map(at::ERRORS)?
        .into_iter()
        .map(|(chunk, code)| Some((chunk.parse().ok()?, ImsCode::parse(&code)?)))
        .collect::<Option<_>>()
        .ok_or_else(|| ApiError::internal(format!("corrupt record: errors of job {id}")))?;
    Ok(Job {
        id,
        project: read.parsed(at::PROJECT, |text| ProjectId::parse(text).ok())?,
        kind: read.parsed(at::KIND, JobKind::parse)?,
        total: read.number(at::TOTAL)?,
        chunk_rows: read.parsed_number(at::CHUNK_ROWS, |rows| rows > 0)?,
        succeeded: read.number(at::SUCCEEDED)?,
        failed: read.number(at::FAILED)?,
        errors,
        begin: read.parsed(at::CREATED_AT, Timestamp::parse)?,
        updated_at: read.parsed(at::ADVANCED_AT, Timestamp::parse)?,
        deadline: read.parsed(at::DEADLINE, Timestamp::parse)?,
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|e| ApiError::internal(format!("encode: {e}")))
}
