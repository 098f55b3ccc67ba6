//! Memberships: add, answer, remove, list.
//!
//! A membership is one item beside its image. Adding and removing are transactions over the two,
//! so that the count of members is exact; answering touches the membership alone, so that any
//! number of members can answer at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
    TransactWriteItem, Update,
};

use super::schema::{self as at, Item, n, s};
use super::{RACES, Store, TOMBSTONE_SECONDS, Transacted, failed, item, pause, refused};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::{ImageId, OperationId, ProjectId};
use crate::image::Image;
use crate::member::{Member, MemberStatus, Membership};
use crate::time::Timestamp;

/// Most members that share one transaction with their image.
pub const TRANSACTION_MEMBERS: usize = 99;
/// Rows of the first page of a list of members: a full image by the default quota in one request.
const FIRST_PAGE: i32 = 200;

/// Which request wins when the stored operation is not older than this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A direct call always applies: it takes an operation id just after the stored one.
    Direct,
    /// An entry of a batch applies only if its request was accepted later.
    Batch,
}

/// What is known of an image and of some memberships of it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The image, if there is one.
    pub image: Option<Image>,
    memberships: HashMap<ProjectId, Membership>,
}

impl Facts {
    /// The membership of a project, if its key holds anything.
    pub fn membership(&self, member: &ProjectId) -> Option<&Membership> {
        self.memberships.get(member)
    }
}

/// What became of adding or removing some members of one image.
#[derive(Clone, Debug)]
pub enum Changed {
    /// The image does not allow it; this is how it stands, `None` if there is none.
    Image(Option<Box<Image>>),
    /// One outcome a member, in their order.
    Members(Vec<MemberChange>),
}

/// What became of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// This request changed it.
    Applied,
    /// An earlier delivery of this request had changed it.
    AppliedBefore,
    /// A newer request has changed it since; nothing was done.
    Superseded(Membership),
    /// Adding: it is a member already. Removing: never reported.
    Existing(Member),
    /// Removing: it is not a member. Adding: the image is full.
    Absent,
}

impl Store {
    /// Reads an image and the memberships of these projects in one consistent request.
    ///
    /// # Errors
    /// If a record does not parse or the store does not answer.
    pub async fn facts(&self, image: ImageId, projects: &[&ProjectId]) -> Result<Facts, ApiError> {
        let mut keys = vec![at::image_key(image)];
        for (index, project) in projects.iter().enumerate() {
            if !projects
                .iter()
                .take(index)
                .any(|earlier| earlier == project)
            {
                keys.push(at::member_key(image, project));
            }
        }
        let mut facts = Facts::default();
        for found in self.batch_get(keys).await? {
            let sk = found
                .get(at::SK)
                .and_then(|sk| sk.as_s().ok())
                .map_or("", String::as_str);
            if sk == at::IMAGE {
                facts.image = item::image(&found)?;
            } else if let Some(Ok(project)) =
                sk.strip_prefix(at::MEMBER_PREFIX).map(ProjectId::parse)
            {
                facts.memberships.insert(project, item::membership(&found)?);
            }
        }
        Ok(facts)
    }

    /// The memberships under these keys, tombstones included; missing ones are missing.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn memberships(
        &self,
        keys: &[(ImageId, ProjectId)],
    ) -> Result<HashMap<(ImageId, ProjectId), Membership>, ApiError> {
        let wanted = keys
            .iter()
            .map(|(image, member)| at::member_key(*image, member))
            .collect();
        let mut all = HashMap::new();
        for found in self.batch_get(wanted).await? {
            all.insert(item::member_key_of(&found)?, item::membership(&found)?);
        }
        Ok(all)
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

    /// Shares an image with some projects: one transaction for all that can be added.
    ///
    /// The image must be shared, belong to the caller (or the caller be an admin), and have room;
    /// no two transactions can together go over the quota. At most [`TRANSACTION_MEMBERS`] of
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
                            op = op.not_before(gone.op());
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
                        op = op.not_before(member.op);
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
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
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

    /// All members of an image in the order in which they were added, as far as the caller may
    /// see them, and the image itself; one request for an image with the default quota.
    ///
    /// Pages end early when all that the caller can see is its own row.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn list_members(
        &self,
        caller: &Caller,
        image: ImageId,
    ) -> Result<(Facts, Vec<Member>), ApiError> {
        let mut facts = Facts::default();
        let mut members = Vec::new();
        let mut start = None;
        let mut limit = Some(FIRST_PAGE);
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :pk")
                .expression_attribute_names("#pk", at::PK)
                .expression_attribute_values(":pk", s(at::image_pk(image)))
                .consistent_read(true)
                .set_limit(limit.take())
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|e| failed("list members", &e))?;
            for found in page.items() {
                let sk = found.get(at::SK).and_then(|sk| sk.as_s().ok());
                if sk.is_some_and(|sk| sk == at::IMAGE) {
                    facts.image = item::image(found)?;
                } else if let Membership::Present(member) = item::membership(found)? {
                    if member.member_id == caller.project {
                        let own = Membership::Present(member.clone());
                        facts.memberships.insert(caller.project.clone(), own);
                    }
                    members.push(member);
                }
            }
            let sees_all = facts
                .image
                .as_ref()
                .is_some_and(|image| caller.is_admin() || image.owner == caller.project);
            match page.last_evaluated_key {
                Some(key) if sees_all => start = Some(key),
                // Only the caller's own row matters; it is read by its key if the page ended before.
                Some(_) if facts.image.is_some() && facts.membership(&caller.project).is_none() => {
                    let facts = self.facts(image, &[&caller.project]).await?;
                    let own = facts.membership(&caller.project).cloned();
                    let own = own.and_then(Membership::present).into_iter().collect();
                    return Ok((facts, own));
                }
                Some(_) | None => break,
            }
        }
        members.sort_by_key(|member| (member.created_at, member.added));
        Ok((facts, members))
    }

    /// One page of an image's members by id, for the paged API: at most `limit` after `marker`.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn page_members(
        &self,
        image: ImageId,
        marker: Option<&ProjectId>,
        limit: usize,
    ) -> Result<Vec<Member>, ApiError> {
        let from = marker.map_or_else(|| at::MEMBER_PREFIX.to_owned(), at::member_sk);
        let mut members = Vec::new();
        let mut start: Option<Item> = None;
        while members.len() < limit {
            let room = i32::try_from(limit - members.len()).unwrap_or(i32::MAX);
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :pk AND #sk > :from")
                .filter_expression("attribute_not_exists(#gone)")
                .expression_attribute_names("#pk", at::PK)
                .expression_attribute_names("#sk", at::SK)
                .expression_attribute_names("#gone", at::GONE)
                .expression_attribute_values(":pk", s(at::image_pk(image)))
                .expression_attribute_values(":from", s(&from))
                .consistent_read(true)
                .limit(room)
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|e| failed("page members", &e))?;
            for found in page.items() {
                members.extend(item::membership(found)?.present());
            }
            match page.last_evaluated_key {
                Some(key) => start = Some(key),
                None => break,
            }
        }
        Ok(members)
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
                let op = stamp.op.not_before(member.op);
                items.push(self.bury_member(image, &member.member_id, Stamp { op, ..stamp })?);
            }
            match self.transact("bury members", items).await? {
                Transacted::Applied => buried += members.len(),
                // Somebody answered meanwhile: look at this page again.
                Transacted::Cancelled(_) => marker = None,
            }
        }
    }

    /// The part of a transaction that counts members in or out, with all that must hold of the image.
    fn count(
        &self,
        caller: &Caller,
        image: ImageId,
        change: i64,
        quota: Option<i64>,
    ) -> Result<TransactWriteItem, ApiError> {
        let mut condition =
            "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #visibility = :shared"
                .to_owned();
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::image_key(image)))
            .update_expression("ADD #count :change")
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_names("#visibility", at::VISIBILITY)
            .expression_attribute_names("#count", at::MEMBER_COUNT)
            .expression_attribute_values(":change", n(change))
            .expression_attribute_values(":shared", s(crate::image::Visibility::Shared.as_str()))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        if !caller.is_admin() {
            condition.push_str(" AND #owner = :owner");
            update = update
                .expression_attribute_names("#owner", at::OWNER)
                .expression_attribute_values(":owner", s(caller.project.as_str()));
        }
        if let Some(quota) = quota.filter(|quota| *quota >= 0) {
            condition.push_str(" AND #count <= :most");
            update = update.expression_attribute_values(":most", n(quota - change));
        }
        let update = update
            .condition_expression(condition)
            .build()
            .map_err(|e| ApiError::internal(format!("count members: {e}")))?;
        Ok(TransactWriteItem::builder().update(update).build())
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
            .update_expression("SET #gone = :true, #op = :op, #added = :op, #expires = :expires")
            .condition_expression(
                "attribute_not_exists(#pk) OR (attribute_exists(#gone) AND #op < :op)",
            )
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_names("#op", at::OP)
            .expression_attribute_names("#added", at::ADDED)
            .expression_attribute_names("#expires", at::EXPIRES_AT)
            .expression_attribute_values(
                ":true",
                aws_sdk_dynamodb::types::AttributeValue::Bool(true),
            )
            .expression_attribute_values(":op", s(op.to_string()))
            .expression_attribute_values(":expires", n(now.unix_seconds() + TOMBSTONE_SECONDS))
            .send()
            .await;
        done_or_refused("leave tombstone", outcome)
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

    fn bury_member(
        &self,
        image: ImageId,
        member: &ProjectId,
        stamp: Stamp,
    ) -> Result<TransactWriteItem, ApiError> {
        // A batch outranks what its member answered meanwhile, but not a newer share.
        let outranks = match stamp.order {
            Order::Direct => at::OP,
            Order::Batch => at::ADDED,
        };
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::member_key(image, member)))
            .update_expression(
                "SET #gone = :true, #op = :op, #expires = :expires \
                 REMOVE #gpk, #gsk, #status, #vault, #created, #updated",
            )
            .condition_expression(
                "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #outranks < :op",
            )
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#outranks", outranks)
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_names("#op", at::OP)
            .expression_attribute_names("#expires", at::EXPIRES_AT)
            .expression_attribute_names("#gpk", at::GPK)
            .expression_attribute_names("#gsk", at::GSK)
            .expression_attribute_names("#status", at::STATUS)
            .expression_attribute_names("#vault", at::VAULT_ID)
            .expression_attribute_names("#created", at::CREATED_AT)
            .expression_attribute_names("#updated", at::UPDATED_AT)
            .expression_attribute_values(
                ":true",
                aws_sdk_dynamodb::types::AttributeValue::Bool(true),
            )
            .expression_attribute_values(":op", s(stamp.op.to_string()))
            .expression_attribute_values(
                ":expires",
                n(stamp.now.unix_seconds() + TOMBSTONE_SECONDS),
            )
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .map_err(|e| ApiError::internal(format!("bury member: {e}")))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// Whether a conditional update was done; `false` if its condition did not hold.
fn done_or_refused<T>(
    what: &str,
    outcome: Result<T, aws_sdk_dynamodb::error::SdkError<UpdateItemError>>,
) -> Result<bool, ApiError> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(failed(what, &error)),
        },
    }
}

/// When and as which operation a request was accepted, and which wins in a race.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The operation's id.
    pub op: OperationId,
    /// The time that the record will show.
    pub now: Timestamp,
    /// Direct call or batch entry.
    pub order: Order,
}

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

fn unresolved(outcomes: &[Option<MemberChange>]) -> Vec<usize> {
    (0..outcomes.len())
        .filter(|&index| matches!(outcomes.get(index), Some(None)))
        .collect()
}

fn resolve(
    outcomes: &mut [Option<MemberChange>],
    open: &[usize],
    change: impl Fn(usize) -> Option<MemberChange>,
) {
    for &index in open {
        if let Some(slot) = outcomes.get_mut(index) {
            *slot = change(index);
        }
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
