//! Answers for members: accept, reject, back to pending. The image's item is never written, so that
//! thousands of members can answer for one image at once.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure};

use super::super::change_log;
use super::super::item;
use super::super::keys::{self as at, Item, s};
use super::super::table::Store;
use super::super::write::{Single, Tries, single};
use super::Stamp;
use crate::domain::change::{Change, EntryKind, Step, step};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::member::{Member, MemberStatus, Membership};
use crate::domain::task::Answer;
use crate::domain::time::Timestamp;

/// The condition that a membership is in its member's lists, or that it is not because its image is not
/// shared. It will be when its memberships are reconciled.
pub(super) const fn listing(listed: bool) -> &'static str {
    match listed {
        true => "attribute_exists(#gpk)",
        false => "attribute_not_exists(#gpk)",
    }
}

impl Store {
    /// Answers for one member by a direct call.
    ///
    /// `seen` is the membership as it was read; if it has changed since, the write is repeated on top
    /// of the change. The same status again leaves `updated_at` unchanged but counts as the newest
    /// decision.
    ///
    /// Returns the new membership, or `None` if it has been removed.
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
        let (mut seen, mut listed) = (seen, true);
        let mut tries = Tries::begin();
        loop {
            let op = stamp.op.not_before(seen.newest());
            let changes = answer.changes(&seen);
            let updated_at = if changes { stamp.now } else { seen.updated_at };
            let next = Member {
                status: answer.status,
                vault_id: answer.vault_id.clone().or(seen.vault_id.clone()),
                updated_at,
                op,
                by: stamp.actor(),
                ..seen.clone()
            };
            let condition = "#op = :seen AND attribute_not_exists(#gone)";
            let write = self
                .answer_request(&next, listed, condition)
                .expression_attribute_values(":seen", s(seen.op.to_string()));
            let written = match single(&self.client, "update member", write).await? {
                Single::Applied(_) => next,
                Single::ConditionFailed(stored) => {
                    listed = stored.as_ref().is_none_or(is_listed);
                    let stored = stored.as_ref().map(item::membership).transpose()?;
                    match stored.and_then(Membership::present) {
                        // The answer of the first try was lost, and the SDK tried again: the write is ours.
                        Some(member) if member.op == op => member,
                        Some(member) if tries.again().await => {
                            seen = member;
                            continue;
                        }
                        Some(_) => {
                            return Err(ApiError::unavailable("update member: races do not end"));
                        }
                        None => return Ok(None),
                    }
                }
            };
            if changes {
                log(&written, seen.status.as_str(), &stamp);
            }
            if listed {
                let gpk = at::status_gpk(written.status, &written.member_id);
                let position = at::image_gsk(image_created_at, written.image_id);
                let updated_at = s(written.updated_at.stored());
                let shown = |row: &Item| row.get(at::UPDATED_AT) == Some(&updated_at);
                self.await_index(&gpk, &position, shown).await;
            }
            return Ok(Some(written));
        }
    }

    /// Answers for one member as an entry of a batch, by one conditional write.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn update_member_in_batch(
        &self,
        image: ImageId,
        member: &ProjectId,
        answer: &Answer,
        stamp: Stamp,
    ) -> Result<Change, ApiError> {
        let next = Member {
            status: answer.status,
            vault_id: answer.vault_id.clone(),
            by: stamp.actor(),
            ..Member::new(image, member.clone(), stamp.op, stamp.now)
        };
        let condition = "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #op < :op";
        let mut listed = true;
        let mut tries = Tries::begin();
        loop {
            let write = self
                .answer_request(&next, listed, condition)
                // The old values tell whether the write changed anything.
                .return_values(ReturnValue::UpdatedOld);
            let stored = match single(&self.client, "update member in batch", write).await? {
                Single::Applied(output) => {
                    let old = output.attributes.unwrap_or_default();
                    let was = |name: &str| old.get(name).and_then(|value| value.as_s().ok());
                    let same = was(at::STATUS)
                        .is_some_and(|status| *status == *next.status.as_str())
                        && (next.vault_id.is_none() || was(at::VAULT_ID) == next.vault_id.as_ref());
                    if same {
                        return Ok(Change::Unneeded);
                    }
                    let from = was(at::STATUS).map_or(change_log::MEMBER, String::as_str);
                    log(&next, from, &stamp);
                    return Ok(Change::Applied);
                }
                Single::ConditionFailed(stored) => {
                    listed = stored.as_ref().is_none_or(is_listed);
                    stored.as_ref().map(item::membership).transpose()?
                }
            };
            match step(stored.as_ref(), EntryKind::Update, stamp.op) {
                Step::Done(change) => return Ok(change),
                // It has changed between the write and its failure: try again.
                Step::Write | Step::Confirm | Step::Renew(_) | Step::LeaveTombstone => {}
            }
            if !tries.again().await {
                return Err(ApiError::unavailable(
                    "update member in batch: races do not end",
                ));
            }
        }
    }

    fn answer_request(
        &self,
        next: &Member,
        listed: bool,
        condition: &str,
    ) -> UpdateItemFluentBuilder {
        let condition = format!("{condition} AND {}", listing(listed));
        let mut update = "SET #status = :status, #op = :op, #updated_at = :updated".to_owned();
        let mut remove = Vec::new();
        let mut values = Item::from([
            (":status".to_owned(), s(next.status.as_str())),
            (":op".to_owned(), s(next.op.to_string())),
            (":updated".to_owned(), s(next.updated_at.stored())),
        ]);
        match &next.by {
            Some(by) => {
                update.push_str(", #by = :by");
                values.insert(":by".to_owned(), s(by.stored()));
            }
            None => remove.push("#by"),
        }
        if let Some(vault) = &next.vault_id {
            update.push_str(", #vault_id = :vault");
            values.insert(":vault".to_owned(), s(vault));
        }
        if listed {
            let gpk = at::status_gpk(next.status, &next.member_id);
            values.insert(":gpk".to_owned(), s(gpk));
            update.push_str(", #gpk = :gpk");
            match next.status {
                MemberStatus::Accepted => update.push_str(", #npk = #named"),
                MemberStatus::Pending | MemberStatus::Rejected => remove.push("#npk"),
            }
        }
        if !remove.is_empty() {
            update.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        let key = at::member_key(next.image_id, &next.member_id);
        self.update_if(key, &update, &condition)
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    }
}

/// Logs an answer. One that names another vault alone leaves the status as it was.
fn log(next: &Member, from: &str, stamp: &Stamp) {
    let line = change_log::Line {
        what: "member.answer",
        image: Some(next.image_id),
        member: Some(&next.member_id),
        from,
        to: next.status.as_str(),
        ..change_log::Line::default()
    };
    line.write(&stamp.by);
}

/// Whether an item of a membership is in its member's lists. A tombstone is in none, and nothing is
/// tried again because of it.
fn is_listed(item: &Item) -> bool {
    item.contains_key(at::GPK)
}
