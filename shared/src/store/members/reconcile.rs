//! Reconciles memberships with their image: they end when it is deleted, they are in the indexes only
//! while it is shared, under its present owner, and they hold its projection. So a recipient's list
//! neither has to skip what an owner has taken back, nor to read the image.
//!
//! The write that deletes an image that has members, or changes it, marks the image as due; the last
//! write here clears the mark.

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem, Update};

use super::super::change_log;
use super::super::expression::{names, values};
use super::super::item;
use super::super::keys::{self as at, Item, n, s};
use super::super::table::{Known, Store};
use super::super::write::{Transacted, Tries, single, transaction_item};
use super::list::{Filter, PRESENT};
use super::tombstone::TOMBSTONE_SECONDS;
use super::{Stamp, TRANSACTION_MEMBERS};
use crate::domain::actor::{Actor, Origin};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId};
use crate::domain::member::Member;
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// The condition that the image has not been changed since.
const UNCHANGED: &str = "#op = :op";

/// The state that the memberships have to match.
#[derive(Clone, Debug)]
struct ImageState {
    id: ImageId,
    /// The last operation applied to the image. Each write is conditional on it.
    op: OperationId,
    /// Who requested that operation, if it is recorded.
    by: Option<Actor>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Deleted,
    Shared(Known),
    NotShared,
}

impl ImageState {
    /// Logs that these memberships have ended, if they have.
    fn log(&self, members: &[Member], stamp: &Stamp) {
        if self.state != State::Deleted {
            return;
        }
        for member in members {
            let line = change_log::Line {
                what: "member.remove",
                image: Some(self.id),
                member: Some(&member.member_id),
                from: member.status.as_str(),
                to: change_log::NONE,
                ..change_log::Line::default()
            };
            line.write(&stamp.by);
        }
    }
}

impl Store {
    /// Reconciles the memberships of an image with it. Returns how many were changed.
    ///
    /// It is idempotent, and safe to run several times at once.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse: the image stays due then.
    pub async fn reconcile_members(
        &self,
        image: ImageId,
        op: OperationId,
        now: Timestamp,
        by: Origin,
    ) -> Result<usize, ApiError> {
        let Some(image) = self.image_state(image).await? else {
            return Ok(0);
        };
        // Whoever deleted the image ends its memberships, whoever carries it out.
        let by = Origin {
            actor: image.by.clone(),
            ..by
        };
        let stamp = Stamp::direct(op, now, by);
        let mut changed = 0;
        let mut tries = Tries::begin();
        loop {
            let members = self.members_to_reconcile(&image).await?;
            if members.is_empty() {
                break;
            }
            let mut items = vec![self.image_is_unchanged(&image)?];
            for member in &members {
                items.push(self.reconcile_member(&image, member, &stamp)?);
            }
            match self.transact("reconcile members", items).await? {
                Transacted::Applied => {
                    changed += members.len();
                    image.log(&members, &stamp);
                }
                // A member answered meanwhile, or the image was changed: read again.
                Transacted::Cancelled(_) => {
                    if !tries.again().await {
                        return Err(ApiError::unavailable("reconcile members: races do not end"));
                    }
                }
            }
        }
        if image.state == State::Deleted {
            self.delete_all_texts(image.id).await?;
        }
        self.clear_due(&image, now).await?;
        self.freshness.reconciled(image.id, image.op);
        Ok(changed)
    }

    /// Deletes the items of long texts of a deleted image.
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
        let found = self.client.ask("find texts", &request).await?;
        for key in found.items() {
            let request = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()));
            single(&self.client, "delete texts", request).await?;
        }
        Ok(())
    }

    async fn image_state(&self, id: ImageId) -> Result<Option<ImageState>, ApiError> {
        let Some(stored) = self.image_item(id).await? else {
            return Ok(None);
        };
        let state = match item::image(&stored)? {
            None => State::Deleted,
            Some(image) => match image.visibility {
                Visibility::Shared => State::Shared(Known::of(&image)),
                Visibility::Public | Visibility::Private | Visibility::Community => {
                    State::NotShared
                }
            },
        };
        let read = item::Reader::of(&stored)?;
        Ok(Some(ImageState {
            id,
            op: read.parsed(at::OP, OperationId::parse)?,
            by: read.actor()?,
            state,
        }))
    }

    /// Returns up to one transaction's worth of memberships that do not match the image's state.
    async fn members_to_reconcile(&self, image: &ImageState) -> Result<Vec<Member>, ApiError> {
        let filter = match &image.state {
            State::Deleted => Filter::of(PRESENT),
            State::Shared(_) => Filter {
                condition: "attribute_not_exists(#gone) AND (attribute_not_exists(#projection) OR NOT \
                            begins_with(#projection, :op))",
                values: Item::from([(":op".to_owned(), s(image.op.to_string()))]),
            },
            State::NotShared => Filter::of(
                "attribute_not_exists(#gone) AND (attribute_exists(#gpk) OR \
                 attribute_exists(#projection))",
            ),
        };
        let mut members = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let (found, next) = self
                .members_from(image.id, at::MEMBER_PREFIX, &filter, None, start.take())
                .await?;
            members.extend(found);
            members.truncate(TRANSACTION_MEMBERS);
            match next {
                Some(key) if members.len() < TRANSACTION_MEMBERS => start = Some(key),
                Some(_) | None => return Ok(members),
            }
        }
    }

    /// Builds the check that the image has not been changed since its state was read.
    fn image_is_unchanged(&self, image: &ImageState) -> Result<TransactWriteItem, ApiError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(at::image_key(image.id)))
            .condition_expression(UNCHANGED)
            .set_expression_attribute_names(names(&[UNCHANGED]))
            .set_expression_attribute_values(values([(":op", s(image.op.to_string()))]))
            .build();
        transaction_item("reconcile members", check)
    }

    fn reconcile_member(
        &self,
        image: &ImageState,
        member: &Member,
        stamp: &Stamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let attributes = match &image.state {
            State::Deleted => {
                let stamp = Stamp {
                    op: stamp.op.not_before(member.newest()),
                    ..stamp.clone()
                };
                return self.remove_member(image.id, &member.member_id, &stamp);
            }
            State::Shared(known) => item::listed(member, known),
            State::NotShared => Item::new(),
        };
        let condition = "attribute_not_exists(#gone) AND #op = :seen";
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for name in item::LISTED {
            match attributes.contains_key(name) {
                true => set.push(format!("#{name} = :{name}")),
                false => remove.push(format!("#{name}")),
            }
        }
        let clause = |word: &str, parts: Vec<String>| match parts.is_empty() {
            true => String::new(),
            false => format!("{word} {} ", parts.join(", ")),
        };
        let update = clause("SET", set) + &clause("REMOVE", remove);
        let attributes = attributes.into_iter();
        let mut values: Item = attributes
            .map(|(name, value)| (format!(":{name}"), value))
            .collect();
        values.insert(":seen".to_owned(), s(member.op.to_string()));
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::member_key(image.id, &member.member_id)))
            .set_expression_attribute_names(names(&[&update, condition]))
            .set_expression_attribute_values(Some(values))
            .update_expression(update)
            .condition_expression(condition)
            .build();
        transaction_item("reconcile members", update)
    }

    /// Clears the image's due mark, unless the image was changed again. Only now does the tombstone of
    /// a deleted image get its expiry: it must outlive its memberships.
    async fn clear_due(&self, image: &ImageState, now: Timestamp) -> Result<(), ApiError> {
        let condition = format!("{UNCHANGED} AND attribute_exists(#dpk)");
        let mut values = Item::from([(":op".to_owned(), s(image.op.to_string()))]);
        let mut update = "REMOVE #dpk, #dsk".to_owned();
        if image.state == State::Deleted {
            update.push_str(" SET #expires_at = :expires");
            let expires = now.unix_seconds() + TOMBSTONE_SECONDS;
            values.insert(":expires".to_owned(), n(expires));
        }
        let request = self
            .update_if(at::image_key(image.id), &update, &condition)
            .set_expression_attribute_values(Some(values));
        single(&self.client, "reconcile members", request).await?;
        Ok(())
    }
}
