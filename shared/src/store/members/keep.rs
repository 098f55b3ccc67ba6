//! Keeping memberships in line with their image: they end when it is deleted, and they are in the
//! index only while it is shared. So nobody's list has to skip what its owner has taken back.
//!
//! The write that deletes an image or changes its visibility says that this is owed; the write that
//! ends it here says that nothing is owed any more.

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem, Update};

use super::super::expression::{names, values};
use super::super::item;
use super::super::keys::{self as at, Item, n, s};
use super::super::sdk_error::failed;
use super::super::table::Store;
use super::super::write::{Transacted, Tries, single};
use super::tombstone::TOMBSTONE_SECONDS;
use super::{Order, Stamp, TRANSACTION_MEMBERS};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId};
use crate::domain::member::{Member, Membership};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// The condition that the image has not been changed since.
const UNCHANGED: &str = "#op = :op";

/// The image as the memberships have to follow it.
#[derive(Clone, Copy, Debug)]
struct Leader {
    id: ImageId,
    /// The last operation applied to it: what is written holds only while this is the last.
    op: OperationId,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Deleted,
    Shared { created_at: Timestamp },
    NotShared,
}

impl Store {
    /// Brings the memberships of an image in line with it. Returns how many were changed.
    ///
    /// It may be called at any time and by several at once; what is in line is left alone.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse: it is still owed then.
    pub async fn keep_members(
        &self,
        image: ImageId,
        op: OperationId,
        now: Timestamp,
    ) -> Result<usize, ApiError> {
        let Some(leader) = self.leader(image).await? else {
            return Ok(0);
        };
        let mut changed = 0;
        let mut tries = Tries::begin();
        loop {
            let members = self.members_out_of_line(leader).await?;
            if members.is_empty() {
                break;
            }
            let mut items = vec![self.still_leads(leader)?];
            for member in &members {
                items.push(self.line_up(leader, member, op, now)?);
            }
            match self.transact("keep members", items).await? {
                Transacted::Applied => changed += members.len(),
                // Somebody answered meanwhile, or the image was changed: look again.
                Transacted::Cancelled(_) => {
                    if !tries.again().await {
                        return Err(ApiError::unavailable("keep members: races do not end"));
                    }
                }
            }
        }
        if leader.state == State::Deleted {
            self.delete_all_texts(image).await?;
        }
        self.nothing_owed(leader, now).await?;
        Ok(changed)
    }

    /// Deletes the long texts that a deleted image has left.
    async fn delete_all_texts(&self, image: ImageId) -> Result<(), ApiError> {
        let condition = "#pk = :pk AND begins_with(#sk, :texts)";
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression(condition)
            .projection_expression("#pk, #sk")
            .set_expression_attribute_names(names(&[condition]))
            .set_expression_attribute_values(values([
                (":pk", s(at::image_pk(image))),
                (":texts", s(at::TEXT_PREFIX)),
            ]))
            .consistent_read(true);
        let found = request.send().await.map_err(|e| failed("find texts", &e))?;
        for key in found.items() {
            let request = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()));
            single("delete texts", || request.clone().send()).await?;
        }
        Ok(())
    }

    async fn leader(&self, id: ImageId) -> Result<Option<Leader>, ApiError> {
        let Some(stored) = self.image_item(id).await? else {
            return Ok(None);
        };
        let state = match item::image(&stored)? {
            None => State::Deleted,
            Some(image) => match image.visibility {
                Visibility::Shared => State::Shared {
                    created_at: image.created_at,
                },
                Visibility::Public | Visibility::Private | Visibility::Community => {
                    State::NotShared
                }
            },
        };
        let op = item::Reader::new(&stored).parsed(at::OP, OperationId::parse)?;
        Ok(Some(Leader { id, op, state }))
    }

    /// Some memberships that are not as the image's state wants them; none if all are.
    async fn members_out_of_line(&self, leader: Leader) -> Result<Vec<Member>, ApiError> {
        let filter = match leader.state {
            State::Deleted => "attribute_not_exists(#gone)",
            State::Shared { .. } => "attribute_not_exists(#gone) AND attribute_not_exists(#gpk)",
            State::NotShared => "attribute_not_exists(#gone) AND attribute_exists(#gpk)",
        };
        let condition = "#pk = :pk AND begins_with(#sk, :members)";
        let mut members = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression(condition)
                .filter_expression(filter)
                .set_expression_attribute_names(names(&[condition, filter]))
                .set_expression_attribute_values(values([
                    (":pk", s(at::image_pk(leader.id))),
                    (":members", s(at::MEMBER_PREFIX)),
                ]))
                .consistent_read(true)
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|e| failed("keep members", &e))?;
            for found in page.items() {
                if let Membership::Present(member) = item::membership(found)? {
                    members.push(member);
                }
            }
            members.truncate(TRANSACTION_MEMBERS);
            match page.last_evaluated_key {
                Some(key) if members.len() < TRANSACTION_MEMBERS => start = Some(key),
                Some(_) | None => return Ok(members),
            }
        }
    }

    /// The part of a transaction that holds while the image has not been changed again.
    fn still_leads(&self, leader: Leader) -> Result<TransactWriteItem, ApiError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(at::image_key(leader.id)))
            .condition_expression(UNCHANGED)
            .set_expression_attribute_names(names(&[UNCHANGED]))
            .set_expression_attribute_values(values([(":op", s(leader.op.to_string()))]))
            .build()
            .map_err(|e| ApiError::internal(format!("keep members: {e}")))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    fn line_up(
        &self,
        leader: Leader,
        member: &Member,
        op: OperationId,
        now: Timestamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let condition = "attribute_not_exists(#gone) AND #op = :seen";
        let seen = s(member.op.to_string());
        let (update, values) = match leader.state {
            State::Deleted => {
                let stamp = Stamp {
                    op: op.not_before(member.newest()),
                    now,
                    order: Order::Direct,
                };
                return self.remove_member(leader.id, &member.member_id, stamp);
            }
            State::Shared { created_at } => (
                "SET #gpk = :gpk, #gsk = :gsk",
                values([
                    (":seen", seen),
                    (":gpk", s(at::status_gpk(member.status, &member.member_id))),
                    (":gsk", s(at::image_gsk(created_at, leader.id))),
                ]),
            ),
            State::NotShared => ("REMOVE #gpk, #gsk", values([(":seen", seen)])),
        };
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::member_key(leader.id, &member.member_id)))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(names(&[update, condition]))
            .set_expression_attribute_values(values)
            .build()
            .map_err(|e| ApiError::internal(format!("keep members: {e}")))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Notes that the memberships are in line, unless the image was changed again. A tombstone of an
    /// image ends some time after that, and not before.
    async fn nothing_owed(&self, leader: Leader, now: Timestamp) -> Result<(), ApiError> {
        let condition = format!("{UNCHANGED} AND attribute_exists(#dpk)");
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::image_key(leader.id)))
            .expression_attribute_values(":op", s(leader.op.to_string()));
        let mut update = "REMOVE #dpk, #dsk".to_owned();
        if leader.state == State::Deleted {
            update.push_str(" SET #expires_at = :expires");
            let expires = now.unix_seconds() + TOMBSTONE_SECONDS;
            request = request.expression_attribute_values(":expires", n(expires));
        }
        let request = request
            .set_expression_attribute_names(names(&[&update, &condition]))
            .update_expression(update)
            .condition_expression(condition);
        single("keep members", || request.clone().send()).await?;
        Ok(())
    }
}
