//! Answering: accept, reject, back to pending. The image's item is never written.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure};

use super::super::schema::{self as at, s};
use super::super::{RACES, Store, failed, item, pause};
use super::{MemberChange, Stamp};
use crate::error::ApiError;
use crate::id::{ImageId, ProjectId};
use crate::member::{Member, MemberStatus, Membership};
use crate::time::Timestamp;

/// What a member answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: MemberStatus,
    /// The vault for an image made from a backup.
    pub vault_id: Option<String>,
}

impl Answer {
    fn changes(&self, member: &Member) -> bool {
        self.status != member.status || self.vault_id.is_some() && self.vault_id != member.vault_id
    }
}

impl Store {
    /// Answers for one member, and nothing else waits for it: the direct call.
    ///
    /// `seen` is the membership as the caller was shown it; if it has changed since, the change
    /// counts and the write is tried again on top of it. The same status again leaves
    /// `updated_at` as it is but counts as the newest decision.
    ///
    /// Returns the membership as it stands, or `None` if it is gone.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn update_member(
        &self,
        seen: Member,
        image_created_at: Timestamp,
        answer: &Answer,
        stamp: Stamp,
    ) -> Result<Option<Member>, ApiError> {
        let mut seen = seen;
        for race in 0..RACES {
            let op = stamp.op.not_before(seen.op);
            let changes = answer.changes(&seen);
            let updated_at = if changes { stamp.now } else { seen.updated_at };
            let next = Member {
                status: answer.status,
                vault_id: answer.vault_id.clone().or(seen.vault_id.clone()),
                updated_at,
                op,
                ..seen.clone()
            };
            let write = self
                .update_member_request(&next, image_created_at)
                .condition_expression("#op = :seen AND attribute_not_exists(#gone)")
                .expression_attribute_names("#gone", at::GONE)
                .expression_attribute_values(":seen", s(seen.op.to_string()));
            let error = match write.send().await {
                Ok(_) => return Ok(Some(next)),
                Err(error) => error,
            };
            let Some(UpdateItemError::ConditionalCheckFailedException(lost)) =
                error.as_service_error()
            else {
                return Err(failed("update member", &error));
            };
            match lost.item().map(item::membership).transpose()? {
                // A lost answer and a second try by the client library: it is ours.
                Some(Membership::Present(member)) if member == next => return Ok(Some(member)),
                Some(Membership::Present(member)) => seen = member,
                Some(Membership::Gone { .. }) | None => return Ok(None),
            }
            pause(race).await;
        }
        Err(ApiError::unavailable("update member: races do not end"))
    }

    /// Answers for one member as an entry of a batch: one conditional write tells all apart.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn update_member_in_batch(
        &self,
        image: ImageId,
        image_created_at: Timestamp,
        member: &ProjectId,
        answer: &Answer,
        stamp: Stamp,
    ) -> Result<MemberChange, ApiError> {
        let next = Member {
            image_id: image,
            member_id: member.clone(),
            status: answer.status,
            vault_id: answer.vault_id.clone(),
            created_at: stamp.now,
            updated_at: stamp.now,
            added: stamp.op,
            op: stamp.op,
        };
        let write = self
            .update_member_request(&next, image_created_at)
            .condition_expression(
                "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #op < :op",
            )
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#gone", at::GONE);
        let error = match write.send().await {
            Ok(_) => return Ok(MemberChange::Applied),
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(lost)) = error.as_service_error()
        else {
            return Err(failed("update member in batch", &error));
        };
        Ok(match lost.item().map(item::membership).transpose()? {
            None => MemberChange::Absent,
            Some(Membership::Gone { .. }) => MemberChange::Absent,
            Some(stored) if stored.op() == stamp.op => MemberChange::AppliedBefore,
            Some(stored) => MemberChange::Superseded(stored),
        })
    }

    fn update_member_request(
        &self,
        next: &Member,
        image_created_at: Timestamp,
    ) -> UpdateItemFluentBuilder {
        let mut set = "#status = :status, #op = :op, #updated = :updated, #gpk = :gpk, #gsk = :gsk"
            .to_owned();
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::member_key(next.image_id, &next.member_id)))
            .expression_attribute_names("#status", at::STATUS)
            .expression_attribute_names("#op", at::OP)
            .expression_attribute_names("#updated", at::UPDATED_AT)
            .expression_attribute_names("#gpk", at::GPK)
            .expression_attribute_names("#gsk", at::GSK)
            .expression_attribute_values(":status", s(next.status.as_str()))
            .expression_attribute_values(":op", s(next.op.to_string()))
            .expression_attribute_values(":updated", s(next.updated_at.stored()))
            .expression_attribute_values(":gpk", s(at::status_gpk(next.status, &next.member_id)))
            .expression_attribute_values(":gsk", s(at::image_gsk(image_created_at, next.image_id)))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        if let Some(vault) = &next.vault_id {
            set.push_str(", #vault = :vault");
            request = request
                .expression_attribute_names("#vault", at::VAULT_ID)
                .expression_attribute_values(":vault", s(vault));
        }
        request.update_expression(format!("SET {set}"))
    }
}
