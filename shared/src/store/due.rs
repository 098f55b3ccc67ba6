//! Records that are due: work is still to be done for them. Memberships are to be reconciled with
//! their image, or messages of a job are to be sent, or a job's deadline has passed.
//!
//! The write that makes work necessary marks the record: it puts it into the index `by_due`, under a
//! time that leaves the request enough time to do the work itself. The write that finishes the work
//! clears the mark. So nothing is lost with a process that dies: the function `sweep` does what is
//! overdue.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::expression::{names, values};
use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::table::Store;
use super::write::{Single, single};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, JobId};
use crate::domain::time::Timestamp;

/// Seconds until a due record is overdue: more than any function's time-out, so that the sweep does
/// not repeat work in progress.
pub const GRACE_SECONDS: i64 = 40;

/// A record that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The record and the work.
    pub work: DueWork,
    /// When its next try is due.
    pub due: Timestamp,
}

/// The work that is to be done for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueWork {
    /// Reconcile the memberships of this image with it.
    Memberships(ImageId),
    /// Send the messages of this job, or at its deadline, count it as open no longer.
    Job(JobId),
}

/// The values of [`at::DPK`] and [`at::DSK`] that mark a record as due.
pub(super) fn due_key(record: &str, now: Timestamp) -> (AttributeValue, AttributeValue) {
    let time = now.plus_seconds(GRACE_SECONDS).stored();
    (s(at::due_dpk(record)), s(time))
}

impl Store {
    /// Lists what is overdue: at most `limit` records of each partition, the longest overdue first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn overdue(&self, now: Timestamp, limit: i32) -> Result<Vec<Overdue>, ApiError> {
        let partitions = (0..at::DUE_PARTITIONS).map(|number| self.overdue_in(number, now, limit));
        Ok(futures::future::try_join_all(partitions).await?.concat())
    }

    async fn overdue_in(
        &self,
        partition: u8,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<Overdue>, ApiError> {
        let condition = "#dpk = :dpk AND #dsk <= :now";
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(at::BY_DUE)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names(&[condition]))
            .set_expression_attribute_values(values([
                (":dpk", s(at::due_partition(partition))),
                (":now", s(now.stored())),
            ]))
            .limit(limit);
        let page = self.client.ask("overdue", &request).await?;
        let mut all = Vec::new();
        for row in page.items() {
            match overdue(row) {
                Ok(record) => all.push(record),
                // It must not block the others.
                Err(corrupt) => skip(&corrupt),
            }
        }
        Ok(all)
    }

    /// Claims an overdue record. Returns since when its work has been overdue, however often it was tried;
    /// `None` if the work was done or claimed by another meanwhile. If it is not done after all, the record
    /// is overdue again after [`GRACE_SECONDS`].
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn claim(
        &self,
        overdue: Overdue,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ApiError> {
        let key = match overdue.work {
            DueWork::Memberships(image) => at::image_key(image),
            DueWork::Job(job) => at::job_key(job),
        };
        let (update, condition) = ("SET #dsk = :next", "#dsk = :due");
        let request = self
            .update_if(key, update, condition)
            .set_expression_attribute_values(values([
                (":due", s(overdue.due.stored())),
                (":next", s(now.plus_seconds(GRACE_SECONDS).stored())),
            ]))
            .return_values(ReturnValue::AllOld);
        let Single::Applied(claimed) = single(&self.client, "claim", request).await? else {
            return Ok(None);
        };
        let record = claimed.attributes.unwrap_or_default();
        let since = first_due(overdue.work, &record, now);
        // Whoever does the work finds out what is wrong with its record.
        Ok(Some(since.unwrap_or(overdue.due)))
    }
}

/// When the work of a record was overdue first. Its place in the index is that of the next try.
fn first_due(work: DueWork, record: &Item, now: Timestamp) -> Result<Timestamp, ApiError> {
    Ok(match work {
        DueWork::Memberships(_) => {
            let changed = item::Head::of(record).op()?;
            changed.time().plus_seconds(GRACE_SECONDS)
        }
        DueWork::Job(_) => {
            let read = item::Reader::of(record)?;
            let deadline = read.parsed(at::DEADLINE, Timestamp::parse)?;
            let begin = read.parsed(at::CREATED_AT, Timestamp::parse)?;
            match deadline <= now {
                true => deadline,
                false => begin.plus_seconds(GRACE_SECONDS),
            }
        }
    })
}

fn overdue(row: &Item) -> Result<Overdue, ApiError> {
    let read = item::Reader::of(row)?;
    let work = read.parsed(at::PK, |pk| {
        let image = at::image_of(pk).map(DueWork::Memberships);
        image.or_else(|| at::job_of(pk).map(DueWork::Job))
    })?;
    let due = read.parsed(at::DSK, Timestamp::parse)?;
    Ok(Overdue { work, due })
}
