//! Jobs: create, show, and the keys that make a request safe to repeat.

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
};

use super::due::due_key;
use super::expression::names;
use super::item;
use super::keys::{self as at, Item, n, s};
use super::table::Store;
use super::write::{Transacted, condition_failed, single, transaction_item};
use crate::domain::batch::Batch;
use crate::domain::entries::Entries;
use crate::domain::error::ApiError;
use crate::domain::id::{JobId, ProjectId};
use crate::domain::image::Image;
use crate::domain::ims_code::ImsCode;
use crate::domain::job::{Job, JobKind, KEPT_SECONDS, RESULTS_PAGE};
use crate::domain::limits::JobLimit;
use crate::domain::time::Timestamp;

/// How long an idempotency key is bound to its first request, in seconds.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 3600;
/// The largest page of entries, in bytes: DynamoDB limits an item to 400 KB.
const PAGE_BYTES_MAX: usize = 350 * 1024;

/// A key that makes a request safe to repeat.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The key as the caller sent it.
    pub key: String,
    /// SHA-256 of the request that the key is bound to, in hex.
    pub digest: String,
}

/// The result of creating a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The job was created.
    New,
    /// The same request with the same key created this job before.
    Before(JobId),
    /// The key is bound to another request.
    OtherRequest,
    /// The image whose members are to be replaced has changed since it was read. Nothing was created.
    ImageChanged,
    /// The project has as much open work as it may have. Nothing was created.
    Limited(JobLimit),
}

impl Store {
    /// Creates a job with its entries in one transaction, before its id is answered. The record is
    /// marked as due until its messages are sent.
    ///
    /// # Errors
    /// IMG.0060 if the entries do not fit the record; otherwise if the store does not answer.
    pub async fn create_job(
        &self,
        batch: &Batch,
        idempotency: Option<&Idempotency>,
    ) -> Result<Created, ApiError> {
        self.create_job_if(batch, idempotency, None).await
    }

    /// Creates a job that replaces the members of an image, if the image and the set of its members are
    /// still as they were read, and records on the image that they are declared. `changes` says whether
    /// the declared set differs from the present one.
    ///
    /// # Errors
    /// As [`Store::create_job`].
    pub async fn create_replacement(
        &self,
        batch: &Batch,
        idempotency: Option<&Idempotency>,
        seen: &Image,
        changes: bool,
    ) -> Result<Created, ApiError> {
        let declared = self.declare_members(seen, batch.job.id, &batch.actor(), changes)?;
        self.create_job_if(batch, idempotency, Some(declared)).await
    }

    /// The job that a key is bound to by the same request, if it is.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn job_of_key(
        &self,
        project: &ProjectId,
        sent: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<JobId>, ApiError> {
        let found = self.single_item(at::idempotency_key(project, &sent.key));
        let Some(found) = found.await? else {
            return Ok(None);
        };
        let read = item::Reader::of(&found)?;
        let bound = read.number::<i64>(at::EXPIRES_AT)? > now.unix_seconds()
            && read.text(at::DIGEST)? == sent.digest;
        let job = read.parsed(at::JOB_ID, JobId::parse)?;
        Ok(bound.then_some(job))
    }

    async fn create_job_if(
        &self,
        batch: &Batch,
        idempotency: Option<&Idempotency>,
        condition: Option<TransactWriteItem>,
    ) -> Result<Created, ApiError> {
        let mut items = vec![self.put_new(record_of(batch)?, None)?];
        for page in pages_of(batch)? {
            items.push(self.put_new(page, None)?);
        }
        let conditional = condition.is_some().then_some(items.len());
        items.extend(condition);
        // A job without entries has ended as soon as it begins.
        let counted = (batch.job.total > 0).then_some(items.len());
        if counted.is_some() {
            items.push(self.count_job(&batch.job)?);
        }
        if let Some(idempotency) = idempotency {
            let record = idempotency.record(&batch.job);
            items.push(self.put_new(record, Some(batch.job.begin))?);
        }
        let reasons = match self.transact("create job", items).await? {
            Transacted::Applied => return Ok(Created::New),
            Transacted::Cancelled(reasons) => reasons,
        };
        let bound = reasons.last().and_then(|reason| reason.item());
        if let (Some(sent), Some(stored)) = (idempotency, bound) {
            let read = item::Reader::of(stored)?;
            return Ok(match read.text(at::DIGEST)? == sent.digest {
                true => Created::Before(read.parsed(at::JOB_ID, JobId::parse)?),
                false => Created::OtherRequest,
            });
        }
        let condition = conditional.and_then(|place| reasons.get(place));
        if condition_failed(condition) {
            return Ok(Created::ImageChanged);
        }
        let counted = counted.and_then(|place| reasons.get(place));
        match counted.filter(|reason| condition_failed(Some(reason))) {
            Some(full) => {
                let usage = full.item().cloned().unwrap_or_default();
                Ok(Created::Limited(self.exceeded(&usage)?))
            }
            None => Err(ApiError::internal("create job: the job's id is taken")),
        }
    }

    /// Builds a put that succeeds if the key is free, or holds only an item that has expired by `now`.
    pub(super) fn put_new(
        &self,
        record: Item,
        now: Option<Timestamp>,
    ) -> Result<TransactWriteItem, ApiError> {
        let mut condition = "attribute_not_exists(#pk)".to_owned();
        let mut put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(record))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        if let Some(now) = now {
            condition.push_str(" OR #expires_at <= :now");
            put = put.expression_attribute_values(":now", n(now.unix_seconds()));
        }
        let put = put
            .set_expression_attribute_names(names(&[&condition]))
            .condition_expression(condition)
            .build();
        transaction_item("put", put)
    }

    /// Call it once all of a job's messages are sent: the job is not due again before its deadline. Finishing its
    /// last chunk clears the mark; so a job of one chunk needs no call.
    ///
    /// # Errors
    /// If the store does not answer: then the messages are sent again, which changes nothing.
    pub async fn messages_sent(&self, job: JobId) -> Result<(), ApiError> {
        let (update, condition) = ("SET #dsk = #deadline", "attribute_exists(#dpk)");
        let request = self.update_if(at::job_key(job), update, condition);
        single(&self.client, "messages sent", request).await?;
        Ok(())
    }

    /// Restores the batch of a job that is due, and lists its unfinished chunks. `None` if the job does
    /// not exist or has ended.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn due_batch(
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
        let read = item::Reader::of(&record)?;
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
                .map(|(image, project, _)| (image.as_str(), project)),
        );
        let batch = Batch {
            job,
            task,
            user: read
                .actor()?
                .map_or_else(String::new, |by| by.user().to_owned()),
            admin,
            entries,
            request_id,
        };
        Ok(Some((batch, open)))
    }

    /// Returns a job; `None` if it does not exist or its retention is over.
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
        self.single_item(at::job_key(id)).await
    }
}

/// Builds the item of a new job, marked as due unless it has nothing to do.
fn record_of(batch: &Batch) -> Result<Item, ApiError> {
    let job = &batch.job;
    let (dpk, dsk) = due_key(&job.id.to_string(), job.begin);
    let mut record = at::job_key(job.id);
    if job.total > 0 {
        record.extend([
            (at::DPK.to_owned(), dpk),
            (at::DSK.to_owned(), dsk),
            (at::REMAINING.to_owned(), n(job.total)),
        ]);
    }
    record.extend([
        (at::GPK.to_owned(), s(at::jobs_gpk(&job.project))),
        (at::GSK.to_owned(), s(job.id.to_string())),
        (at::PROJECT.to_owned(), s(job.project.as_str())),
        (at::KIND.to_owned(), s(job.kind.job_type())),
        (at::TASK.to_owned(), s(to_json(&batch.task)?)),
        (at::ADMIN.to_owned(), AttributeValue::Bool(batch.admin)),
        (at::REQUEST_ID.to_owned(), s(&batch.request_id)),
        (at::TOTAL.to_owned(), n(job.total)),
        (at::REMOVES.to_owned(), n(job.removes)),
        (at::CHUNK_ROWS.to_owned(), n(job.chunk_rows)),
        (at::SUCCEEDED.to_owned(), n(job.succeeded)),
        (at::FAILED.to_owned(), n(job.failed)),
        (at::ERRORS.to_owned(), AttributeValue::M(Item::new())),
        (at::CREATED_AT.to_owned(), s(job.begin.stored())),
        (at::ADVANCED_AT.to_owned(), s(job.updated_at.stored())),
        (at::DEADLINE.to_owned(), s(job.deadline.stored())),
        (at::EXPIRES_AT.to_owned(), expires(job.deadline)),
    ]);
    record.extend(item::by(Some(&batch.actor())));
    Ok(record)
}

/// Builds the items of a batch's entries, one for each page.
fn pages_of(batch: &Batch) -> Result<Vec<Item>, ApiError> {
    let pages = 0..batch.entries.rows.div_ceil(RESULTS_PAGE);
    let pages = pages.map(|page| {
        let entries = batch.entries.part(page * RESULTS_PAGE, RESULTS_PAGE);
        let text = to_json(&entries)?;
        if text.len() > PAGE_BYTES_MAX {
            return Err(ApiError::ims_because(
                ImsCode::TooMany,
                "The ids of the request are too long to be recorded: send fewer at once.",
            ));
        }
        let mut record = at::entries_key(batch.job.id, page);
        record.insert(at::ENTRIES.to_owned(), s(text));
        record.insert(at::EXPIRES_AT.to_owned(), expires(batch.job.deadline));
        Ok(record)
    });
    pages.collect()
}

/// The expiry of a job's items, from the job's deadline.
pub(super) fn expires(deadline: Timestamp) -> AttributeValue {
    n(deadline.unix_seconds() + KEPT_SECONDS)
}

impl Idempotency {
    fn record(&self, job: &Job) -> Item {
        let mut record = at::idempotency_key(&job.project, &self.key);
        let until = job.begin.unix_seconds() + IDEMPOTENCY_SECONDS;
        record.extend([
            (at::DIGEST.to_owned(), s(&self.digest)),
            (at::JOB_ID.to_owned(), s(job.id.to_string())),
            (at::EXPIRES_AT.to_owned(), n(until)),
        ]);
        record
    }
}

pub(super) fn job_of(record: &Item) -> Result<Job, ApiError> {
    let read = item::Reader::of(record)?;
    let id = read.parsed(at::PK, at::job_of)?;
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
        removes: read.optional_number(at::REMOVES)?.unwrap_or(0),
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

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|e| ApiError::internal(format!("encode: {e}")))
}
