//! Marks: see [`super::freshness`].

use std::collections::HashSet;

use super::due::DueWork;
use super::expression::{names, values};
use super::freshness::{Indexes, MARK_SECONDS, RENEW_SECONDS};
use super::item;
use super::keys::{self as at, n, s};
use super::table::Store;
use super::write::single;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::Timestamp;

/// More images than can be due in one partition of the index.
const DUE_MAX: i32 = 10_000;

/// What the row of an index is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    pub(super) image: ImageId,
    /// The image's owner, if the row holds the image.
    pub(super) owner: Option<&'a ProjectId>,
    pub(super) is_membership: bool,
}

impl Store {
    /// Call it before a write after which an image's memberships have to be reconciled with it.
    pub(super) async fn unsettle(
        &self,
        image: ImageId,
        op: OperationId,
        owner: &ProjectId,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        if self.freshness.indexes == Indexes::Immediate {
            self.freshness.unreconciled().insert((image, op));
        }
        self.mark(owner, now).await
    }

    /// Call it before a write that ends access: lists read the table for this project's images.
    pub(super) async fn mark(&self, project: &ProjectId, now: Timestamp) -> Result<(), ApiError> {
        let freshness = &self.freshness;
        if freshness.indexes == Indexes::Immediate || freshness.marked.get(project, now).is_some() {
            return Ok(());
        }
        let until = now.plus_seconds(MARK_SECONDS + RENEW_SECONDS);
        let (update, condition) = (
            "SET #until = :until, #expires_at = :expires",
            "attribute_not_exists(#pk) OR #until < :until",
        );
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::fresh_key(project)))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(names(&[update, condition]))
            .set_expression_attribute_values(values([
                (":until", s(until.stored())),
                (":expires", n(until.unix_seconds())),
            ]));
        single("mark", || request.clone().send()).await?;
        let renew = now.plus_seconds(RENEW_SECONDS);
        freshness.marked.insert(project.clone(), (), renew);
        Ok(())
    }

    /// For each row, whether the table has to be read because the index may be wrong about it.
    pub(super) async fn may_be_stale<'a>(
        &self,
        caller: &'a ProjectId,
        rows: impl Iterator<Item = Held<'a>> + Clone,
        now: Timestamp,
    ) -> Result<Vec<bool>, ApiError> {
        if self.freshness.indexes == Indexes::Immediate {
            let unreconciled = self.freshness.unreconciled();
            let due: HashSet<ImageId> = unreconciled.iter().map(|(image, _)| *image).collect();
            return Ok(rows.map(|row| due.contains(&row.image)).collect());
        }
        let mut projects: HashSet<_> = rows.clone().filter_map(|row| row.owner).collect();
        if projects.is_empty() {
            return Ok(vec![false; rows.count()]);
        }
        projects.insert(caller);
        let marked = self.marked(projects, now).await?;
        let stale = |row: Held<'_>| {
            let of_caller = row.is_membership && marked.contains(caller);
            of_caller || row.owner.is_some_and(|owner| marked.contains(owner))
        };
        Ok(rows.map(stale).collect())
    }

    /// Those of some projects that are marked.
    async fn marked(
        &self,
        projects: HashSet<&ProjectId>,
        now: Timestamp,
    ) -> Result<HashSet<ProjectId>, ApiError> {
        let keys = projects.iter().map(|project| at::fresh_key(project));
        let mut marked = HashSet::new();
        for found in self.batch_get(keys.collect()).await? {
            let read = item::Reader::of(&found)?;
            if read.parsed(at::UNTIL, Timestamp::parse)? > now {
                let project = |pk: &str| ProjectId::parse(pk.strip_prefix("PROJECT#")?).ok();
                marked.insert(read.parsed(at::PK, project)?);
            }
        }
        Ok(marked)
    }

    /// Finds the images whose memberships a process before this one has not reconciled. Call it once,
    /// before the first list, if the indexes do not lag.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn recall_unreconciled(&self, now: Timestamp) -> Result<(), ApiError> {
        // What is due at all is overdue by then.
        let later = now.plus_seconds(24 * 3600);
        for overdue in self.overdue(later, DUE_MAX).await? {
            let DueWork::Memberships(image) = overdue.work else {
                continue;
            };
            if let Some(stored) = self.image_item(image).await? {
                let op = item::Head::of(&stored).op()?;
                self.freshness.unreconciled().insert((image, op));
            }
        }
        Ok(())
    }
}
