//! Ending memberships. What is left under the key of each is a tombstone.

use aws_sdk_dynamodb::types::{
    CancellationReason, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::super::schema as at;
use super::super::{
    RACES, Store, TOMBSTONE, Transacted, item, pause, refused, tombstone_names, tombstone_values,
};
use super::{
    Changed, MemberChange, Order, Stamp, TRANSACTION_MEMBERS, done_or_refused, resolve, signed,
    unresolved,
};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::{ImageId, OperationId, ProjectId};
use crate::member::Membership;
use crate::time::Timestamp;

impl Store {
    /// Ends the memberships of some projects: one transaction for all that exist.
    ///
    /// The image must be shared and belong to the caller (or the caller be an admin, or be the
    /// one member that leaves). What is left under each key is a tombstone.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn remove_members(
        &self,
        caller: &Caller,
        image: ImageId,
        members: &[ProjectId],
        leaving: bool,
        stamp: Stamp,
    ) -> Result<Changed, ApiError> {
        let mut op = stamp.op;
        let mut outcomes: Vec<Option<MemberChange>> = vec![None; members.len()];
        for race in 0..RACES {
            let open = unresolved(&outcomes);
            if open.is_empty() {
                return Ok(Changed::Members(outcomes.into_iter().flatten().collect()));
            }
            let anyone = Caller {
                role: crate::auth::Role::Admin,
                ..caller.clone()
            };
            let on_behalf = if leaving { &anyone } else { caller };
            let mut items = vec![self.count(on_behalf, image, -signed(open.len()), None)?];
            for &index in &open {
                let Some(member) = members.get(index) else {
                    continue;
                };
                items.push(self.bury_member(image, member, Stamp { op, ..stamp })?);
            }
            let reasons = match self.transact("remove members", items).await? {
                Transacted::Applied => {
                    resolve(&mut outcomes, &open, |_| Some(MemberChange::Applied));
                    continue;
                }
                Transacted::Cancelled(reasons) => reasons,
            };
            if refused(reasons.first()) {
                let stored = reasons.first().and_then(CancellationReason::item);
                let stored = stored.map(item::image).transpose()?.flatten();
                return Ok(Changed::Image(stored.map(Box::new)));
            }
            for (place, &index) in open.iter().enumerate() {
                let Some(reason) = reasons.get(place + 1).filter(|r| refused(Some(r))) else {
                    continue;
                };
                let stored = reason.item().map(item::membership).transpose()?;
                let change = match (stored, stamp.order) {
                    (Some(Membership::Present(member)), Order::Direct) => {
                        op = op.not_before(member.newest());
                        None
                    }
                    (Some(present @ Membership::Present(_)), Order::Batch) => {
                        Some(MemberChange::Superseded(present))
                    }
                    (Some(Membership::Gone { .. }) | None, Order::Direct) => {
                        Some(MemberChange::Absent)
                    }
                    (Some(gone @ Membership::Gone { .. }), Order::Batch) if gone.op() == op => {
                        // Left by this removal, whether or not there was a member to remove.
                        Some(match gone {
                            Membership::Gone { added, .. } if added == op => MemberChange::Absent,
                            _ => MemberChange::AppliedBefore,
                        })
                    }
                    (Some(gone @ Membership::Gone { .. }), Order::Batch) if gone.op() > op => {
                        Some(MemberChange::Superseded(gone))
                    }
                    (Some(Membership::Gone { .. }) | None, Order::Batch) => {
                        let member = members.get(index);
                        let member = member.ok_or_else(|| ApiError::internal("no such row"))?;
                        let left = self.leave_tombstone(image, member, op, stamp.now).await?;
                        left.then_some(MemberChange::Absent)
                    }
                };
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = change;
                }
            }
            if race > 0 {
                pause(race).await;
            }
        }
        Err(ApiError::unavailable("remove members: races do not end"))
    }

    /// Buries every membership of an image that is gone, for the message that its deletion sends.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn bury_members_of(&self, image: ImageId, stamp: Stamp) -> Result<usize, ApiError> {
        let mut buried = 0;
        let mut marker: Option<ProjectId> = None;
        loop {
            let members = self
                .page_members(image, marker.as_ref(), TRANSACTION_MEMBERS)
                .await?;
            let Some(last) = members.last() else {
                return Ok(buried);
            };
            marker = Some(last.member_id.clone());
            let mut items = Vec::with_capacity(members.len());
            for member in &members {
                let op = stamp.op.not_before(member.newest());
                items.push(self.bury_member(image, &member.member_id, Stamp { op, ..stamp })?);
            }
            match self.transact("bury members", items).await? {
                Transacted::Applied => buried += members.len(),
                // Somebody answered meanwhile: look at this page again.
                Transacted::Cancelled(_) => marker = None,
            }
        }
    }

    /// Notes that a batch removed what was not there, so that an older share that is still under
    /// way does not bring it about. `false` if the membership has changed meanwhile.
    async fn leave_tombstone(
        &self,
        image: ImageId,
        member: &ProjectId,
        op: OperationId,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let outcome = self
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
            .set_expression_attribute_values(tombstone_values(op, now))
            .send()
            .await;
        done_or_refused("leave tombstone", outcome)
    }

    fn bury_member(
        &self,
        image: ImageId,
        member: &ProjectId,
        stamp: Stamp,
    ) -> Result<TransactWriteItem, ApiError> {
        // A batch outranks what its member answered meanwhile, but not a newer share. A direct call
        // outranks both, by an id that is newer than either.
        let outranked = match stamp.order {
            Order::Direct => "#added < :op AND #op < :op",
            Order::Batch => "#added < :op",
        };
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::member_key(image, member)))
            .update_expression(format!(
                "{TOMBSTONE} REMOVE #gpk, #gsk, #status, #vault, #created, #updated"
            ))
            .condition_expression(format!(
                "attribute_exists(#pk) AND attribute_not_exists(#gone) AND {outranked}"
            ))
            .set_expression_attribute_names(tombstone_names())
            .expression_attribute_names("#added", at::ADDED)
            .expression_attribute_names("#gpk", at::GPK)
            .expression_attribute_names("#gsk", at::GSK)
            .expression_attribute_names("#status", at::STATUS)
            .expression_attribute_names("#vault", at::VAULT_ID)
            .expression_attribute_names("#created", at::CREATED_AT)
            .expression_attribute_names("#updated", at::UPDATED_AT)
            .set_expression_attribute_values(tombstone_values(stamp.op, stamp.now))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .map_err(|e| ApiError::internal(format!("bury member: {e}")))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}
