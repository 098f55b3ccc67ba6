//! Sharing an image with projects.

use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
};

use super::super::schema::{self as at, s};
use super::super::{RACES, Store, Transacted, item, pause, refused};
use super::{Changed, MemberChange, Order, Stamp, done_or_refused, resolve, signed, unresolved};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::{ImageId, OperationId, ProjectId};
use crate::image::Image;
use crate::member::{Member, MemberStatus, Membership};
use crate::time::Timestamp;

impl Store {
    /// Shares an image with some projects: one transaction for all that can be added.
    ///
    /// The image must be shared, belong to the caller (or the caller be an admin), and have room;
    /// no two transactions can together go over the quota. At most [`super::TRANSACTION_MEMBERS`] of
    /// them at once; each project only once.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn add_members(
        &self,
        caller: &Caller,
        image: ImageId,
        members: &[ProjectId],
        quota: i64,
        stamp: Stamp,
    ) -> Result<Changed, ApiError> {
        let Some(age) = self.image_age(image).await? else {
            return Ok(Changed::Image(None));
        };
        let mut op = stamp.op;
        let mut outcomes: Vec<Option<MemberChange>> = vec![None; members.len()];
        for race in 0..RACES {
            let open: Vec<usize> = unresolved(&outcomes);
            if open.is_empty() {
                return Ok(Changed::Members(outcomes.into_iter().flatten().collect()));
            }
            let mut items = vec![self.count(caller, image, signed(open.len()), Some(quota))?];
            for &index in &open {
                let Some(member) = members.get(index) else {
                    continue;
                };
                items.push(self.put_member(image, member, age, Stamp { op, ..stamp })?);
            }
            let reasons = match self.transact("add members", items).await? {
                Transacted::Applied => {
                    resolve(&mut outcomes, &open, |_| Some(MemberChange::Applied));
                    continue;
                }
                Transacted::Cancelled(reasons) => reasons,
            };
            for (place, &index) in open.iter().enumerate() {
                let Some(reason) = reasons.get(place + 1).filter(|r| refused(Some(r))) else {
                    continue;
                };
                let stored = stored_membership(reason)?;
                let change = match stored {
                    Membership::Present(member) => match stamp.order {
                        Order::Batch if member.added < op => {
                            let confirmed = self.confirm_member(&member, op).await?;
                            confirmed.then_some(MemberChange::Existing(member))
                        }
                        Order::Batch | Order::Direct => Some(MemberChange::Existing(member)),
                    },
                    gone @ Membership::Gone { .. } => match stamp.order {
                        Order::Batch => Some(MemberChange::Superseded(gone)),
                        Order::Direct => {
                            op = op.not_before(gone.newest());
                            None
                        }
                    },
                };
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = change;
                }
            }
            if refused(reasons.first()) {
                let stored = reasons.first().and_then(CancellationReason::item);
                let current = stored.map(item::image).transpose()?.flatten();
                let Some(current) = current.filter(|found| allows(found, caller)) else {
                    let stored = stored.map(item::image).transpose()?.flatten();
                    return Ok(Changed::Image(stored.map(Box::new)));
                };
                // Only the quota is left: keep as many of the first as there is room for.
                let room = quota - i64::try_from(current.member_count).unwrap_or(i64::MAX);
                let still_open = unresolved(&outcomes);
                let room = usize::try_from(room).unwrap_or(0);
                // A direct caller hears of the quota before it hears of a duplicate, as in Glance.
                if room == 0 && stamp.order == Order::Direct {
                    return Ok(Changed::Members(vec![MemberChange::Absent; members.len()]));
                }
                for &index in still_open.iter().skip(room) {
                    if let Some(slot) = outcomes.get_mut(index) {
                        *slot = Some(MemberChange::Absent);
                    }
                }
            }
            if race > 0 {
                pause(race).await;
            }
        }
        Err(ApiError::unavailable("add members: races do not end"))
    }

    /// When an image was created, as far as an index key needs to know.
    async fn image_age(&self, image: ImageId) -> Result<Option<Timestamp>, ApiError> {
        if let Some(age) = self.remembered_age(image) {
            return Ok(Some(age));
        }
        let found = self.image(image).await?;
        if let Some(image) = &found {
            self.remember_age(image.id, image.created_at);
        }
        Ok(found.map(|image| image.created_at))
    }

    /// Notes that a batch shares anew what is shared already, so that an older removal that is
    /// still under way does not end it. `false` if the membership has changed meanwhile.
    async fn confirm_member(&self, member: &Member, op: OperationId) -> Result<bool, ApiError> {
        let outcome = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::member_key(member.image_id, &member.member_id)))
            .update_expression("SET #added = :op")
            .condition_expression(
                "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #added < :op",
            )
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_names("#added", at::ADDED)
            .expression_attribute_values(":op", s(op.to_string()))
            .send()
            .await;
        done_or_refused("confirm member", outcome)
    }

    fn put_member(
        &self,
        image: ImageId,
        member: &ProjectId,
        age: Timestamp,
        stamp: Stamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let member = new_member(image, member.clone(), stamp);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item::member_item(&member, age)))
            .condition_expression(
                "attribute_not_exists(#pk) OR (attribute_exists(#gone) AND #op < :op)",
            )
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_names("#op", at::OP)
            .expression_attribute_values(":op", s(stamp.op.to_string()))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .map_err(|e| ApiError::internal(format!("put member: {e}")))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// The membership that an add makes.
pub fn new_member(image: ImageId, member: ProjectId, stamp: Stamp) -> Member {
    Member {
        image_id: image,
        member_id: member,
        status: MemberStatus::Pending,
        vault_id: None,
        created_at: stamp.now,
        updated_at: stamp.now,
        added: stamp.op,
        op: stamp.op,
    }
}

/// Whether the image's part of an add's condition holds but for the quota.
fn allows(image: &Image, caller: &Caller) -> bool {
    image.visibility == crate::image::Visibility::Shared
        && (caller.is_admin() || image.owner == caller.project)
}

fn stored_membership(reason: &CancellationReason) -> Result<Membership, ApiError> {
    match reason.item() {
        Some(stored) => item::membership(stored),
        None => Err(ApiError::internal(
            "a condition failed and no item came with it",
        )),
    }
}
