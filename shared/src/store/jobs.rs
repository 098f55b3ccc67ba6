//! Jobs: create, finish a chunk, show, and the keys that make a request safe to repeat.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
    Update,
};

use super::due::due_keys;
use super::item;
use super::keys::{self as at, Item, n, s};
use super::sdk_error::failed;
use super::table::Store;
use super::write::{Transacted, condition_failed, single};
use crate::domain::batch::Batch;
use crate::domain::entries::Entries;
use crate::domain::error::ApiError;
use crate::domain::id::{JobId, ProjectId};
use crate::domain::ims_code::ImsCode;
use crate::domain::job::{Job, JobKind, KEPT_SECONDS, RESULTS_PAGE};
use crate::domain::message::Chunk;
use crate::domain::outcome::Outcome;
use crate::domain::time::Timestamp;

/// Seconds for which an idempotency key stands for its first request.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 3600;
/// The most that a page of entries may weigh, in bytes: an item holds 400 KB.
const PAGE_BYTES_MAX: usize = 350 * 1024;
/// What the results of a chunk say of an entry that had nothing to change.
const UNCHANGED: &str = "unchanged";

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
    /// Records a new job with its entries, in one request, before anybody knows its id. The record
    /// says that the job's messages are owed.
    ///
    /// # Errors
    /// IMG.0060 if the entries do not fit the record; otherwise if the store does not answer.
    pub async fn create_job(
        &self,
        batch: &Batch,
        idempotency: Option<&Idempotency>,
    ) -> Result<Created, ApiError> {
        let (job, entries) = (&batch.job, &batch.entries);
        let expires = n(job.deadline.unix_seconds() + KEPT_SECONDS);
        let mut record = at::job_key(job.id);
        record.extend(due_keys(&job.id.to_string(), job.begin));
        record.extend([
            (at::GPK.to_owned(), s(at::jobs_gpk(&job.project))),
            (at::GSK.to_owned(), s(job.id.to_string())),
            (at::PROJECT.to_owned(), s(job.project.as_str())),
            (at::KIND.to_owned(), s(job.kind.job_type())),
            (at::TASK.to_owned(), s(to_json(&batch.task)?)),
            (at::ADMIN.to_owned(), AttributeValue::Bool(batch.admin)),
            (at::REQUEST_ID.to_owned(), s(&batch.request_id)),
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

    /// Notes that all messages of a job were sent. A job of one chunk needs no such note: its chunk
    /// is finished only if its message was sent.
    ///
    /// # Errors
    /// If the store does not answer: then the messages are sent once more, which changes nothing.
    pub async fn messages_sent(&self, job: JobId) -> Result<(), ApiError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::job_key(job)))
            .update_expression("REMOVE #dpk, #dsk")
            .condition_expression("attribute_exists(#dpk)")
            .expression_attribute_names("#dpk", at::DPK)
            .expression_attribute_names("#dsk", at::DSK);
        single("messages sent", || request.clone().send()).await?;
        Ok(())
    }

    /// The batch of a job whose messages are owed, and which of its chunks are not finished; `None`
    /// if there is no such job, or it has ended.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn owed_batch(
        &self,
        id: JobId,
        now: Timestamp,
    ) -> Result<Option<(Batch, Vec<usize>)>, ApiError> {
        let Some(record) = self.job_record(id).await? else {
            return Ok(None);
        };
        let job = job_of(&record)?;
        if job.end(now).is_some() {
            return Ok(None);
        }
        let read = item::Reader::new(&record);
        let task = read.parsed(at::TASK, |text| serde_json::from_str(text).ok())?;
        let (admin, request_id) = (read.flag(at::ADMIN)?, read.text(at::REQUEST_ID)?.to_owned());
        let rows = self.results(&job, 0, job.total).await?;
        let open = (0..job.chunks()).filter(|chunk| {
            rows.get(chunk * job.chunk_rows)
                .is_some_and(|(_, _, outcome)| outcome.is_none())
        });
        let open = open.collect();
        let entries = Entries::of_rows(
            rows.iter()
                .map(|(image, project, _)| (&**image, &**project)),
        );
        let batch = Batch {
            job,
            task,
            admin,
            entries,
            request_id,
        };
        Ok(Some((batch, open)))
    }

    /// Records what became of a chunk's entries and counts them, both or neither, once.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn finish_chunk(
        &self,
        chunk: &Chunk,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<Finished, ApiError> {
        // What is not named has changed something.
        let named: BTreeMap<usize, &str> = outcomes
            .iter()
            .enumerate()
            .filter_map(|(row, outcome)| match outcome {
                Outcome::Changed => None,
                Outcome::Unchanged => Some((row, UNCHANGED)),
                Outcome::Failed(code) => Some((row, code.as_str())),
            })
            .collect();
        let failed = outcomes
            .iter()
            .filter(|outcome| !outcome.succeeded())
            .count();
        let first = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Failed(code) => Some(code.as_str()),
            Outcome::Changed | Outcome::Unchanged => None,
        });
        let job = chunk.job;
        let mut record = at::result_key(job, chunk.number);
        record.insert(at::OUTCOMES.to_owned(), s(to_json(&named)?));
        record.insert(
            at::EXPIRES_AT.to_owned(),
            n(chunk.deadline.unix_seconds() + KEPT_SECONDS),
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
            .expression_attribute_values(":succeeded", n(outcomes.len() - failed))
            .expression_attribute_values(":failed", n(failed));
        if let Some(code) = first {
            set.push_str(", #errors.#chunk = :code");
            update = update
                .expression_attribute_names("#errors", at::ERRORS)
                .expression_attribute_names("#chunk", chunk.number.to_string())
                .expression_attribute_values(":code", s(code));
        }
        let mut expression = format!("{set} ADD #succeeded :succeeded, #failed :failed");
        if chunk.only {
            // Its message was sent, and there is no other.
            expression.push_str(" REMOVE #dpk, #dsk");
            update = update
                .expression_attribute_names("#dpk", at::DPK)
                .expression_attribute_names("#dsk", at::DSK);
        }
        let update = update
            .update_expression(expression)
            .build()
            .map_err(|e| ApiError::internal(format!("finish chunk: {e}")))?;
        let items = vec![
            self.put_new(record, None)?,
            TransactWriteItem::builder().update(update).build(),
        ];
        Ok(match self.transact("finish chunk", items).await? {
            Transacted::Applied => Finished::Counted,
            Transacted::Cancelled(reasons) if condition_failed(reasons.first()) => Finished::Before,
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
        let job = self
            .job_record(id)
            .await?
            .as_ref()
            .map(job_of)
            .transpose()?;
        Ok(job.filter(|job| !job.is_forgotten(now)))
    }

    async fn job_record(&self, id: JobId) -> Result<Option<Item>, ApiError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(at::job_key(id)))
            .consistent_read(true);
        let answer = request.send().await.map_err(|e| failed("get job", &e))?;
        Ok(answer.item)
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
        let end = from.saturating_add(count).min(job.total);
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
        let mut entries: BTreeMap<String, Entries> = BTreeMap::new();
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
                        None => Outcome::Changed,
                        Some(word) if word == UNCHANGED => Outcome::Unchanged,
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
}

pub(super) fn job_of(record: &Item) -> Result<Job, ApiError> {
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
