//! What adding and removing members writes: the parts of one transaction, each with its conditions.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::super::change_log;
use super::super::expression::{names, values};
use super::super::item;
use super::super::keys::{self as at, n, s};
use super::super::table::{Known, Store};
use super::super::write::transaction_item;
use super::tombstone::{NO_NEWER_MEMBERSHIP, tombstone, tombstone_values};
use super::{Order, Stamp};
use crate::domain::actor::{Automatic, Origin};
use crate::domain::change::EntryKind;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::image::Image;
use crate::domain::member::{Member, MemberStatus};
use crate::domain::visibility::Visibility;

/// The condition that no share of a membership is newer than `:op`. Releases up to 0.1.0 did not
/// store `shared`.
pub(super) const NO_NEWER_SHARE: &str =
    "#added < :op AND (attribute_not_exists(#shared) OR #shared < :op)";

/// The condition, added to others, that no newer request than `:op` has declared the members.
const NO_NEWER_DECLARATION: &str = " AND (attribute_not_exists(#declared) OR #declared <= :op)";

/// What is done to the members, and the conditions on their image.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) image: ImageId,
    /// The project that must own the image; `None` for any.
    pub(super) owner: Option<ProjectId>,
    pub(super) direction: Direction,
    /// The statuses of new members who have a rule for the image's owner.
    pub(super) by_rule: HashMap<ProjectId, MemberStatus>,
    pub(super) stamp: Stamp,
}

#[derive(Clone, Debug)]
pub(super) enum Direction {
    /// Adds them, up to a quota; negative for none. Each holds what is known of the image, which must be so
    /// when the transaction is applied.
    Add {
        quota: i64,
        image: Arc<Known>,
    },
    Remove,
}

impl Plan {
    pub(super) const fn kind(&self) -> EntryKind {
        match &self.direction {
            Direction::Add { .. } => EntryKind::Add,
            Direction::Remove => EntryKind::Remove,
        }
    }

    /// The status of a new membership of this project.
    pub(super) fn status(&self, member: &ProjectId) -> MemberStatus {
        let by_rule = self.by_rule.get(member).copied();
        by_rule.unwrap_or(MemberStatus::Pending)
    }

    /// Logs that this member was added or removed.
    pub(super) fn log(&self, member: &ProjectId) {
        let status = self.status(member);
        let (what, from, to) = match &self.direction {
            Direction::Add { .. } => ("member.add", change_log::NONE, status.as_str()),
            Direction::Remove => ("member.remove", change_log::MEMBER, change_log::NONE),
        };
        let line = change_log::Line {
            what,
            image: Some(self.image),
            member: Some(member),
            from,
            to,
            ..change_log::Line::default()
        };
        match status {
            MemberStatus::Pending => line.write(&self.stamp.by),
            MemberStatus::Accepted | MemberStatus::Rejected => line.write(&Origin {
                automatic: Some(Automatic::TrustedOwner),
                ..(*self.stamp.by).clone()
            }),
        }
    }

    /// Whether the image meets the conditions, apart from its count of members.
    pub(super) fn allows(&self, image: &Image) -> bool {
        image.visibility == Visibility::Shared
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| *owner == image.owner)
    }
}

impl Store {
    /// Builds the update of the image's count of members, with all conditions on the image: among them,
    /// that no newer request than `op` has declared the members to be added to. The count never goes below zero; a count that is too low becomes zero.
    pub(super) fn count_item(
        &self,
        plan: &Plan,
        op: OperationId,
        members: usize,
        count_is_low: bool,
    ) -> Result<TransactWriteItem, ApiError> {
        let members = i64::try_from(members).unwrap_or(i64::MAX);
        let mut condition =
            "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #visibility = :shared"
                .to_owned();
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::image_key(plan.image)))
            .expression_attribute_values(":shared", s(Visibility::Shared.as_str()))
            .expression_attribute_values(":one", n(1))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        if let Some(owner) = &plan.owner {
            condition.push_str(" AND #owner = :owner");
            update = update.expression_attribute_values(":owner", s(owner.as_str()));
        }
        let expression = match &plan.direction {
            Direction::Add { quota, image } => {
                condition.push_str(" AND #op = :seen");
                update = update.expression_attribute_values(":seen", s(image.op.to_string()));
                if *quota >= 0 {
                    condition.push_str(" AND #member_count <= :most");
                    update = update.expression_attribute_values(":most", n(quota - members));
                }
                condition.push_str(NO_NEWER_DECLARATION);
                update = update
                    .expression_attribute_values(":change", n(members))
                    .expression_attribute_values(":op", s(op.to_string()));
                "ADD #member_count :change, #member_version :one"
            }
            Direction::Remove if count_is_low => {
                condition.push_str(" AND #member_count < :members");
                update = update
                    .expression_attribute_values(":members", n(members))
                    .expression_attribute_values(":zero", n(0));
                "SET #member_count = :zero ADD #member_version :one"
            }
            Direction::Remove => {
                condition.push_str(" AND #member_count >= :members");
                update = update
                    .expression_attribute_values(":members", n(members))
                    .expression_attribute_values(":change", n(-members));
                "ADD #member_count :change, #member_version :one"
            }
        };
        let update = update
            .set_expression_attribute_names(names(&[expression, &condition]))
            .update_expression(expression)
            .condition_expression(condition)
            .build();
        transaction_item("count members", update)
    }

    pub(super) fn member_write(
        &self,
        plan: &Plan,
        member: &ProjectId,
        op: OperationId,
    ) -> Result<TransactWriteItem, ApiError> {
        match &plan.direction {
            Direction::Add { image, .. } => {
                let new = Member::new(plan.image, member.clone(), op, plan.stamp.now);
                let new = new.by(plan.stamp.actor());
                self.put_member(&new.answered_by_rule(plan.status(member)), image)
            }
            Direction::Remove => {
                let stamp = Stamp {
                    op,
                    ..plan.stamp.clone()
                };
                self.remove_member(plan.image, member, &stamp)
            }
        }
    }

    fn put_member(&self, member: &Member, image: &Known) -> Result<TransactWriteItem, ApiError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item::member_item(member, image)))
            .set_expression_attribute_names(names(&[NO_NEWER_MEMBERSHIP]))
            .set_expression_attribute_values(values([(":op", s(member.op.to_string()))]))
            .condition_expression(NO_NEWER_MEMBERSHIP)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        transaction_item("put member", put)
    }

    /// Builds the update that turns a membership into a tombstone.
    pub(super) fn remove_member(
        &self,
        image: ImageId,
        member: &ProjectId,
        stamp: &Stamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let by = stamp.by.actor.as_ref();
        // A batch outranks a newer answer but not a newer share. A direct call outranks both: its id
        // is newer than either.
        let outranked = match stamp.order {
            Order::Direct => format!("{NO_NEWER_SHARE} AND #op < :op"),
            Order::Batch => NO_NEWER_SHARE.to_owned(),
        };
        let mut update = format!(
            "{} REMOVE #gpk, #gsk, #npk, #named, #opk, #osk, #projection, #status, #vault_id, \
             #created_at, #updated_at, #shared, #shared_as, #ended",
            tombstone(by)
        );
        if by.is_none() {
            update.push_str(", #by");
        }
        let condition =
            format!("attribute_exists(#pk) AND attribute_not_exists(#gone) AND {outranked}");
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::member_key(image, member)))
            .set_expression_attribute_names(names(&[&update, &condition]))
            .set_expression_attribute_values(tombstone_values(stamp.op, stamp.now, by))
            .update_expression(update)
            .condition_expression(condition)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        transaction_item("remove member", update)
    }
}
