//! Counts what a project has in records of its own, within the writes that change it, so that its limits hold
//! however many requests race.
//!
//! **Jobs** are counted in the transaction that creates one, and given back in the one that ends it: the
//! transaction that finishes its last chunk, or the sweep's after its deadline. All entries of a job count
//! until it ends: so a job costs one write at its beginning and one at its end, and not one for each chunk. The
//! count expires when the project has had no job for a day, which mends what a worker of a release up to 0.2.0 has not
//! given back during a deployment.
//!
//! **Images** are counted only while there is a limit: then an image is created and deleted in one transaction
//! with its owner's count. The count is good for a day. The next creation after that counts anew in
//! the index, and so does the first one after the limit was set: no error stays for longer. That count
//! may miss images that were created within the last second, which is how far the index may lag.

use aws_sdk_dynamodb::types::{
    ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::expression::names;
use super::item;
use super::keys::{self as at, Item, n};
use super::table::Store;
use super::write::{Single, Transacted, condition_failed, single, transaction_item};
use crate::domain::error::ApiError;
use crate::domain::id::{JobId, ProjectId};
use crate::domain::image::Image;
use crate::domain::job::Job;
use crate::domain::limits::{JobLimit, bound};
use crate::domain::time::Timestamp;

/// How long after the deadline of a project's last job its count of jobs is kept, in seconds: longer than the sweep
/// takes to give back what is left of it.
const IDLE_SECONDS: i64 = 3600;
/// How long a count of images is good, in seconds.
const COUNTED_SECONDS: i64 = 24 * 3600;

/// How often a creation is sent when the count of images is not known.
const COUNTS: usize = 4;

/// The count of a project's images, when a creation was refused by it.
enum Counted {
    /// There is no count, or it is too old: then as it is stored.
    Unknown(Option<i64>),
    /// The project has as many as it may have.
    Full(u64),
}

impl Store {
    /// Builds the update that counts a new job of a project, if there is room for it.
    pub(super) fn count_job(&self, job: &Job) -> Result<TransactWriteItem, ApiError> {
        let mut conditions = Vec::new();
        let mut update = Update::builder()
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":total", n(job.total));
        if let Some(most) = bound(self.limits.jobs) {
            conditions.push("(attribute_not_exists(#open_jobs) OR #open_jobs < :jobs)");
            update = update.expression_attribute_values(":jobs", n(most));
        }
        if let Some(most) = bound(self.limits.entries) {
            conditions.push("(attribute_not_exists(#waiting) OR #waiting <= :room)");
            let total = i64::try_from(job.total).unwrap_or(i64::MAX);
            let room = i64::try_from(most)
                .unwrap_or(i64::MAX)
                .saturating_sub(total);
            update = update.expression_attribute_values(":room", n(room));
        }
        let count = "ADD #open_jobs :one, #waiting :total SET #expires_at = :until";
        let until = job.deadline.unix_seconds() + IDLE_SECONDS;
        update = update.expression_attribute_values(":until", n(until));
        let condition = (!conditions.is_empty()).then(|| conditions.join(" AND "));
        let update = update
            .table_name(&self.table)
            .set_key(Some(at::usage_key(&job.project)))
            .set_expression_attribute_names(names(&[count, condition.as_deref().unwrap_or("")]))
            .update_expression(count)
            .set_condition_expression(condition)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        transaction_item("count job", update)
    }

    /// Which limit [`Store::count_job`] has refused a job by, from what the project had.
    pub(super) fn exceeded(&self, usage: &Item) -> Result<JobLimit, ApiError> {
        let jobs = item::Reader::of(usage)?.optional_number::<i64>(at::OPEN_JOBS)?;
        let full = bound(self.limits.jobs)
            .is_some_and(|most| jobs.unwrap_or(0) >= i64::try_from(most).unwrap_or(i64::MAX));
        Ok(match full {
            true => JobLimit::Jobs,
            false => JobLimit::Entries,
        })
    }

    /// Builds the update that gives back what a job of `total` entries counts.
    pub(super) fn give_back_job(
        &self,
        project: &ProjectId,
        total: usize,
    ) -> Result<TransactWriteItem, ApiError> {
        let count = "ADD #open_jobs :one, #waiting :total";
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::usage_key(project)))
            .set_expression_attribute_names(names(&[count]))
            .update_expression(count)
            .expression_attribute_values(":one", n(-1))
            .expression_attribute_values(":total", n(format!("-{total}")))
            .build();
        transaction_item("give back job", update)
    }

    /// Clears the due mark of a job that has ended, and gives back what it counts unless its last chunk has
    /// done so. Returns whether it has: whether the job ended unfinished.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn release_job(&self, id: JobId) -> Result<bool, ApiError> {
        let Some(record) = self.single_item(at::job_key(id)).await? else {
            return Ok(false);
        };
        let read = item::Reader::of(&record)?;
        let remaining = read.optional_number::<i64>(at::REMAINING)?.unwrap_or(0);
        let project = read.parsed(at::PROJECT, |text| ProjectId::parse(text).ok())?;
        if remaining <= 0 {
            self.nothing_due(id).await?;
            return Ok(false);
        }
        let (update, condition) = (
            "SET #remaining = :none REMOVE #dpk, #dsk",
            "#remaining = :seen",
        );
        let ends = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::job_key(id)))
            .set_expression_attribute_names(names(&[update, condition]))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_values(":none", n(0))
            .expression_attribute_values(":seen", n(remaining))
            .build();
        let items = vec![
            transaction_item("release job", ends)?,
            self.give_back_job(&project, read.number(at::TOTAL)?)?,
        ];
        // If it is cancelled, another has done it.
        let released = self.transact("release job", items).await?;
        Ok(matches!(released, Transacted::Applied))
    }

    async fn nothing_due(&self, id: JobId) -> Result<(), ApiError> {
        let (update, condition) = ("REMOVE #dpk, #dsk", "attribute_exists(#dpk)");
        let request = self.update_if(at::job_key(id), update, condition);
        single(&self.client, "nothing due", request).await?;
        Ok(())
    }

    /// What a project's open jobs count: how many they are, and their entries.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn open_jobs(&self, project: &ProjectId) -> Result<(i64, i64), ApiError> {
        let Some(usage) = self.single_item(at::usage_key(project)).await? else {
            return Ok((0, 0));
        };
        let read = item::Reader::of(&usage)?;
        let jobs = read.optional_number(at::OPEN_JOBS)?;
        let entries = read.optional_number(at::WAITING)?;
        Ok((jobs.unwrap_or(0), entries.unwrap_or(0)))
    }

    /// Puts a new image with its owner's count.
    ///
    /// # Errors
    /// 413 if the owner has as many images as it may have; otherwise if the store does not answer.
    pub(super) async fn put_counted_image(
        &self,
        image: &Image,
        puts: Vec<TransactWriteItem>,
        most: u64,
    ) -> Result<Single<()>, ApiError> {
        // Not the time of its creation, which an admin may choose.
        let (owner, now) = (&image.owner, image.op.time());
        for _ in 0..COUNTS {
            let mut items = puts.clone();
            items.push(self.count_image(owner, most, now)?);
            let reasons = match self.transact("create image", items).await? {
                Transacted::Applied => return Ok(Single::Applied(())),
                Transacted::Cancelled(reasons) => reasons,
            };
            if condition_failed(reasons.first()) {
                return Ok(Transacted::Cancelled(reasons).first());
            }
            let count = reasons.last().and_then(|reason| reason.item());
            match Self::counted(count, now)? {
                Counted::Full(used) => {
                    return Err(ApiError::too_large(format!(
                        "Project {owner} is over a limit for [Resource image_count_total is over \
                         limit of {most} due to current usage {used} and delta 1]"
                    )));
                }
                Counted::Unknown(seen) => self.recount_images(owner, seen, now).await?,
            }
        }
        Err(ApiError::unavailable(
            "create image: the count of images does not stay",
        ))
    }

    /// Builds the update that counts a new image of a project that may have `most`.
    fn count_image(
        &self,
        owner: &ProjectId,
        most: u64,
        now: Timestamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let (count, condition) = ("ADD #images :one", "#expires_at > :now AND #images < :most");
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::images_key(owner)))
            .set_expression_attribute_names(names(&[count, condition]))
            .update_expression(count)
            .condition_expression(condition)
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":most", n(most))
            .expression_attribute_values(":now", n(now.unix_seconds()))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        transaction_item("count image", update)
    }

    /// Builds the update that counts an image of a project more (1) or no more (-1), whatever its limit. A
    /// count that is not known stays so: what is written then is out of date at once.
    pub(super) fn count_moved(
        &self,
        owner: &ProjectId,
        by: i64,
        now: Timestamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let count = "ADD #images :one SET #expires_at = if_not_exists(#expires_at, :now)";
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::images_key(owner)))
            .set_expression_attribute_names(names(&[count]))
            .update_expression(count)
            .expression_attribute_values(":one", n(by))
            .expression_attribute_values(":now", n(now.unix_seconds()))
            .build();
        transaction_item("count images", update)
    }

    /// Why [`Store::count_image`] has refused an image, from the count as it is stored.
    fn counted(found: Option<&Item>, now: Timestamp) -> Result<Counted, ApiError> {
        let Some(found) = found else {
            return Ok(Counted::Unknown(None));
        };
        let read = item::Reader::of(found)?;
        let images = read.number::<i64>(at::IMAGES)?;
        if read.number::<i64>(at::EXPIRES_AT)? <= now.unix_seconds() {
            return Ok(Counted::Unknown(Some(images)));
        }
        Ok(Counted::Full(u64::try_from(images).unwrap_or(0)))
    }

    /// Counts the images of a project anew, unless another has just done so, or the count is no longer as it
    /// was seen: an image that is deleted meanwhile may or may not be in the index.
    async fn recount_images(
        &self,
        owner: &ProjectId,
        seen: Option<i64>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let images = self.rows_of(at::owner_gpk(owner)).await?;
        let update = "SET #images = :images, #expires_at = :until";
        let mut found = Item::from([
            (":images".to_owned(), n(images)),
            (":until".to_owned(), n(now.unix_seconds() + COUNTED_SECONDS)),
        ]);
        let condition = match seen {
            None => "attribute_not_exists(#pk)",
            Some(seen) => {
                found.insert(":now".to_owned(), n(now.unix_seconds()));
                found.insert(":seen".to_owned(), n(seen));
                "#expires_at <= :now AND #images = :seen"
            }
        };
        let request = self
            .update_if(at::images_key(owner), update, condition)
            .set_expression_attribute_values(Some(found));
        single(&self.client, "count images", request).await?;
        Ok(())
    }
}
