//! Marks: see [`super::freshness`].

use std::collections::HashSet;

use super::due::DueWork;
use super::expression::values;
use super::freshness::{Indexes, MARK_SECONDS, RENEW_SECONDS};
use super::item;
use super::keys::{self as at, Item, n, s};
use super::table::Store;
use super::write::single;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::Timestamp;

/// More images than can be due in one partition of the index.
const DUE_MAX: i32 = 10_000;

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
        let known = freshness.marked.get(project, now);
        let lasts = known.is_some_and(|until| until > now.plus_seconds(MARK_SECONDS));
        if lasts || freshness.indexes == Indexes::Immediate {
            return Ok(());
        }
        let until = now.plus_seconds(MARK_SECONDS + RENEW_SECONDS);
        let (update, condition) = (
            "SET #until = :until, #expires_at = :expires",
            "attribute_not_exists(#pk) OR #until < :until",
        );
        let request = self
            .update_if(at::fresh_key(project), update, condition)
            .set_expression_attribute_values(values([
                (":until", s(until.stored())),
                (":expires", n(until.unix_seconds())),
            ]));
        single(&self.client, "mark", request).await?;
        freshness.marked.insert(project.clone(), until, until);
        Ok(())
    }

    /// Those of some projects that this instance knows to be marked, and the others.
    pub(super) fn known_marks<'a>(
        &self,
        projects: HashSet<&'a ProjectId>,
        now: Timestamp,
    ) -> (HashSet<ProjectId>, Vec<&'a ProjectId>) {
        let is_known = |project: &&ProjectId| self.freshness.marked.get(project, now).is_some();
        let (known, unknown): (Vec<_>, Vec<_>) = projects.into_iter().partition(is_known);
        (known.into_iter().cloned().collect(), unknown)
    }

    /// The projects of some marks that have not expired. This instance remembers them.
    pub(super) fn learn(
        &self,
        marks: &[Item],
        now: Timestamp,
    ) -> Result<HashSet<ProjectId>, ApiError> {
        let mut marked = HashSet::new();
        for mark in marks {
            let read = item::Reader::of(mark)?;
            let until = read.parsed(at::UNTIL, Timestamp::parse)?;
            if until > now {
                let project = read.parsed(at::PK, at::project_of)?;
                let known = &self.freshness.marked;
                known.insert(project.clone(), until, until);
                marked.insert(project);
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
