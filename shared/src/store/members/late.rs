//! The single writes of batch entries that arrive out of order: see [`crate::domain::change::step`].

use super::super::change_log;
use super::super::keys::{self as at, Item, s};
use super::super::table::Store;
use super::super::write::single;
use super::Stamp;
use super::answer::listing;
use super::plan::NO_NEWER_SHARE;
use super::tombstone::{NO_NEWER_MEMBERSHIP, tombstone, tombstone_values};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::member::{Member, MemberStatus};

impl Store {
    /// Records a newer share of a membership that exists, and the status that it would have given to a new
    /// one. Returns `false` if the membership has changed meanwhile.
    pub(super) async fn confirm_member(
        &self,
        image: ImageId,
        member: &ProjectId,
        op: OperationId,
        shared_as: MemberStatus,
    ) -> Result<bool, ApiError> {
        let mut values = Item::from([(":op".to_owned(), s(op.to_string()))]);
        let update = if shared_as == MemberStatus::Pending {
            "SET #shared = :op REMOVE #shared_as"
        } else {
            values.insert(":status".to_owned(), s(shared_as.as_str()));
            "SET #shared = :op, #shared_as = :status"
        };
        let condition =
            format!("attribute_exists(#pk) AND attribute_not_exists(#gone) AND {NO_NEWER_SHARE}");
        let request = self
            .update_if(at::member_key(image, member), update, &condition)
            .set_expression_attribute_values(Some(values));
        let outcome = single(&self.client, "confirm member", request).await?;
        Ok(outcome.is_applied())
    }

    /// Removes a membership and creates it anew in one write; the count of members does not change.
    /// `listed` says whether the membership is in its member's lists. Returns `false` if the membership has
    /// changed meanwhile.
    pub(super) async fn renew_member(
        &self,
        seen: Member,
        listed: bool,
        removal: OperationId,
        stamp: &Stamp,
    ) -> Result<bool, ApiError> {
        let next = seen.clone().renewed(removal);
        let mut update = "SET #status = :status, #added = :added, #shared = :added, #op = :op, \
                          #ended = :ended, #created_at = :created, #updated_at = :updated"
            .to_owned();
        let condition = format!(
            "attribute_not_exists(#gone) AND #op = :seen_op AND #added = :seen_added \
             AND #shared = :seen_shared AND {}",
            listing(listed)
        );
        let mut values = Item::from([
            (":status".to_owned(), s(next.status.as_str())),
            (":added".to_owned(), s(next.added.to_string())),
            (":op".to_owned(), s(next.op.to_string())),
            (":ended".to_owned(), s(removal.to_string())),
            (":created".to_owned(), s(next.created_at.stored())),
            (":updated".to_owned(), s(next.updated_at.stored())),
            (":seen_op".to_owned(), s(seen.op.to_string())),
            (":seen_added".to_owned(), s(seen.added.to_string())),
            (":seen_shared".to_owned(), s(seen.shared.to_string())),
        ]);
        let mut remove = Vec::new();
        match stamp.actor() {
            Some(by) => {
                update.push_str(", #by = :by");
                values.insert(":by".to_owned(), s(by.stored()));
            }
            None => remove.push("#by"),
        }
        if next.vault_id.is_none() {
            remove.push("#vault_id");
        }
        if listed {
            // Its owner lists it by the share that created it.
            update.push_str(", #osk = :osk");
            let osk = at::share_osk(next.added, next.image_id, &next.member_id);
            values.insert(":osk".to_owned(), s(osk));
        }
        if listed && next.status != seen.status {
            update.push_str(", #gpk = :gpk");
            let gpk = at::status_gpk(next.status, &next.member_id);
            values.insert(":gpk".to_owned(), s(gpk));
            match next.status {
                MemberStatus::Accepted => update.push_str(", #npk = #named"),
                MemberStatus::Pending | MemberStatus::Rejected => remove.push("#npk"),
            }
        }
        if !remove.is_empty() {
            update.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        let key = at::member_key(seen.image_id, &seen.member_id);
        let request = self
            .update_if(key, &update, &condition)
            .set_expression_attribute_values(Some(values));
        let outcome = single(&self.client, "renew member", request).await?;
        if outcome.is_applied() {
            let line = change_log::Line {
                what: "member.renew",
                image: Some(seen.image_id),
                member: Some(&seen.member_id),
                from: seen.status.as_str(),
                to: next.status.as_str(),
                ..change_log::Line::default()
            };
            line.write(&stamp.by);
        }
        Ok(outcome.is_applied())
    }

    /// Leaves a tombstone where there is no membership, so that an older share that is still on its way
    /// does not create one. Returns `false` if the membership has changed meanwhile.
    pub(super) async fn leave_tombstone(
        &self,
        image: ImageId,
        member: &ProjectId,
        op: OperationId,
        stamp: &Stamp,
    ) -> Result<bool, ApiError> {
        let by = stamp.by.actor.as_ref();
        let update = format!("{}, #added = :op", tombstone(by));
        let key = at::member_key(image, member);
        let request = self
            .update_if(key, &update, NO_NEWER_MEMBERSHIP)
            .set_expression_attribute_values(tombstone_values(op, stamp.now, by));
        let outcome = single(&self.client, "leave tombstone", request).await?;
        Ok(outcome.is_applied())
    }
}
