//! What records oblige somebody to do: bring memberships in line with their image, send the
//! messages of a job.
//!
//! The write that makes an obligation puts its record into the index `by_due`, under a time that
//! leaves its request enough time to fulfil it. The write that fulfils it takes the record out.
//! What is left there after its time is done by the function `sweep`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::{names, values};
use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::sdk_error::failed;
use super::table::Store;
use super::write::single;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, JobId};
use crate::domain::time::Timestamp;

/// Seconds that a request has to fulfil an obligation that it made: more than any function's own
/// time, so that the sweep does not do what is being done.
pub const GRACE_SECONDS: i64 = 40;

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// By which record, and what.
    pub what: Obligation,
    /// From when on the sweep does it.
    pub due: Timestamp,
}

/// What a record obliges somebody to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obligation {
    /// Bring the memberships of this image in line with it.
    Memberships(ImageId),
    /// Send the messages of this job.
    Messages(JobId),
}

/// The values of [`at::DPK`] and [`at::DSK`] that put a record into the index of what is owed.
pub(super) fn due_key(record: &str, now: Timestamp) -> (AttributeValue, AttributeValue) {
    let time = now.plus_seconds(GRACE_SECONDS).stored();
    (s(at::due_dpk(record)), s(time))
}

impl Store {
    /// What is overdue now: at most `limit` of each partition, the longest overdue first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn overdue(&self, now: Timestamp, limit: i32) -> Result<Vec<Owed>, ApiError> {
        let partitions = (0..at::DUE_PARTITIONS).map(|number| self.overdue_in(number, now, limit));
        Ok(futures::future::try_join_all(partitions).await?.concat())
    }

    async fn overdue_in(
        &self,
        partition: u8,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<Owed>, ApiError> {
        let condition = "#dpk = :dpk AND #dsk <= :now";
        let page = self
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
            .limit(limit)
            .send()
            .await
            .map_err(|e| failed("overdue", &e))?;
        let mut all = Vec::new();
        for row in page.items() {
            match owed(row) {
                Ok(owed) => all.push(owed),
                // It must not keep the others from being done.
                Err(corrupt) => skip(&corrupt),
            }
        }
        Ok(all)
    }

    /// Takes it on to do what is owed, once: `false` if it has been done or taken on meanwhile. If it
    /// is not done after all, it is due again after [`GRACE_SECONDS`], behind what is due by then.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn take_on(&self, owed: Owed, now: Timestamp) -> Result<bool, ApiError> {
        let key = match owed.what {
            Obligation::Memberships(image) => at::image_key(image),
            Obligation::Messages(job) => at::job_key(job),
        };
        let (update, condition) = ("SET #dsk = :next", "#dsk = :due");
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(names(&[update, condition]))
            .set_expression_attribute_values(values([
                (":due", s(owed.due.stored())),
                (":next", s(now.plus_seconds(GRACE_SECONDS).stored())),
            ]));
        let outcome = single("take on", || request.clone().send()).await?;
        Ok(outcome.is_applied())
    }
}

fn owed(row: &Item) -> Result<Owed, ApiError> {
    let read = item::Reader::new(row);
    let what = read.parsed(at::PK, |pk| match pk.split_once('#')? {
        ("IMAGE", id) => ImageId::canonical(id).map(Obligation::Memberships),
        ("JOB", id) => JobId::parse(id).map(Obligation::Messages),
        _ => None,
    })?;
    let due = read.parsed(at::DSK, Timestamp::parse)?;
    Ok(Owed { what, due })
}
