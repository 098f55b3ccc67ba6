//! What entries of batches write at a membership beside adding, answering and removing, so that the
//! order in which they arrive does not matter: see [`crate::domain::change::step`].

use super::super::keys::{self as at, s};
use super::super::table::Store;
use super::super::write::single;
use super::change::SHARED_BEFORE;
use super::tombstone::{TOMBSTONE, tombstone_names, tombstone_values};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::member::Member;
use crate::domain::time::Timestamp;

impl Store {
    /// Notes that a batch shares anew what is shared already. `false` if the membership has
    /// changed meanwhile.
    pub(super) async fn confirm_member(
        &self,
        image: ImageId,
        member: &ProjectId,
        op: OperationId,
    ) -> Result<bool, ApiError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::member_key(image, member)))
            .update_expression("SET #shared = :op")
            .condition_expression(format!(
                "attribute_exists(#pk) AND attribute_not_exists(#gone) AND {SHARED_BEFORE}"
            ))
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_names("#added", at::ADDED)
            .expression_attribute_names("#shared", at::SHARED)
            .expression_attribute_values(":op", s(op.to_string()));
        let outcome = single("confirm member", || request.clone().send()).await?;
        Ok(outcome.is_applied())
    }

    /// Removes a membership and shares anew, in one write: the count of members stays.
    pub(super) async fn renew_member(
        &self,
        seen: Member,
        removal: OperationId,
    ) -> Result<bool, ApiError> {
        let next = seen.clone().renewed(removal);
        let mut update = "SET #status = :status, #added = :added, #shared = :added, #op = :op, \
                          #ended = :ended, #created = :created, #updated = :updated"
            .to_owned();
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::member_key(seen.image_id, &seen.member_id)))
            .condition_expression(
                "attribute_not_exists(#gone) AND #op = :seen_op AND #added = :seen_added \
                 AND #shared = :seen_shared",
            )
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_names("#status", at::STATUS)
            .expression_attribute_names("#added", at::ADDED)
            .expression_attribute_names("#shared", at::SHARED)
            .expression_attribute_names("#op", at::OP)
            .expression_attribute_names("#ended", at::ENDED)
            .expression_attribute_names("#created", at::CREATED_AT)
            .expression_attribute_names("#updated", at::UPDATED_AT)
            .expression_attribute_values(":status", s(next.status.as_str()))
            .expression_attribute_values(":added", s(next.added.to_string()))
            .expression_attribute_values(":op", s(next.op.to_string()))
            .expression_attribute_values(":ended", s(removal.to_string()))
            .expression_attribute_values(":created", s(next.created_at.stored()))
            .expression_attribute_values(":updated", s(next.updated_at.stored()))
            .expression_attribute_values(":seen_op", s(seen.op.to_string()))
            .expression_attribute_values(":seen_added", s(seen.added.to_string()))
            .expression_attribute_values(":seen_shared", s(seen.shared.to_string()));
        if next.status != seen.status {
            update.push_str(", #gpk = :gpk");
            request = request
                .expression_attribute_names("#gpk", at::GPK)
                .expression_attribute_values(
                    ":gpk",
                    s(at::status_gpk(next.status, &next.member_id)),
                );
        }
        if next.vault_id.is_none() {
            update.push_str(" REMOVE #vault");
            request = request.expression_attribute_names("#vault", at::VAULT_ID);
        }
        let request = request.update_expression(update);
        let outcome = single("renew member", || request.clone().send()).await?;
        Ok(outcome.is_applied())
    }

    /// Notes that a batch removed what was not there, so that an older share that is still under
    /// way does not create it. `false` if the membership has changed meanwhile.
    pub(super) async fn leave_tombstone(
        &self,
        image: ImageId,
        member: &ProjectId,
        op: OperationId,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::member_key(image, member)))
            .update_expression(format!("{TOMBSTONE}, #added = :op"))
            .condition_expression(
                "attribute_not_exists(#pk) OR (attribute_exists(#gone) AND #op < :op)",
            )
            .set_expression_attribute_names(tombstone_names())
            .expression_attribute_names("#added", at::ADDED)
            .set_expression_attribute_values(tombstone_values(op, now));
        let outcome = single("leave tombstone", || request.clone().send()).await?;
        Ok(outcome.is_applied())
    }
}
