//! Adds and removes members of one image: one transaction for all of them, repeated until each has a
//! result. A removed membership leaves a tombstone under its key.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::CancellationReason;

use super::super::item;
use super::super::keys as at;
use super::super::table::{Known, Store};
use super::super::write::{Transacted, Tries, condition_failed};
use super::plan::{Direction, Plan};
use super::{Changed, Order, Stamp};
use crate::domain::change::{Change, Step, after_declaration, step};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::image::Image;
use crate::domain::member::{MemberStatus, Membership};
use crate::domain::policy::Caller;

/// One member that is added or removed.
struct Entry<'a> {
    member: &'a ProjectId,
    /// The operation's id. A direct call moves it past the stored one.
    op: OperationId,
    change: Option<Change>,
}

impl Store {
    /// Shares an image with some projects.
    ///
    /// The image must be shared, belong to the caller (or the caller be an admin) and have room below
    /// the quota, which holds exactly under races. `members` are distinct, and at most
    /// [`super::TRANSACTION_MEMBERS`].
    ///
    /// No transaction is started for a caller that neither owns the image nor is an admin: a hidden
    /// image must cost a stranger the same requests as an absent one.
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
        let mut known = match self.may_change_members(caller, image).await? {
            MayChange::Now(known) => known,
            MayChange::Not(image) => return Ok(Changed::Image(image)),
        };
        let mut tries = Tries::begin();
        loop {
            // On the heap, here and below: these futures are part of many others.
            let by_rule = Box::pin(self.answers_by_rule(&known.owner, members, stamp.now));
            let plan = Plan {
                image,
                owner: Some(known.owner.clone()),
                by_rule: by_rule.await?,
                direction: Direction::Add {
                    quota,
                    image: Arc::clone(&known),
                },
                stamp: stamp.clone(),
            };
            let changed = Box::pin(self.change_members(plan, members)).await?;
            match self.other_owner(caller, &known, &changed) {
                Some(next) if tries.again().await => known = next,
                _ => return Ok(changed),
            }
        }
    }

    /// Ends the memberships of some projects, the counterpart of [`Store::add_members`].
    ///
    /// The image must be shared and belong to the caller (or the caller be an admin). With `leaving`
    /// the caller need not own it: it ends its own membership.
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
        let plan = |owner: Option<&ProjectId>| Plan {
            image,
            owner: owner.cloned(),
            by_rule: HashMap::new(),
            direction: Direction::Remove,
            stamp: stamp.clone(),
        };
        if leaving {
            self.mark(&caller.project, stamp.now).await?;
            return self.change_members(plan(None), members).await;
        }
        let mut known = match self.may_change_members(caller, image).await? {
            MayChange::Now(known) => known,
            MayChange::Not(image) => return Ok(Changed::Image(image)),
        };
        let mut tries = Tries::begin();
        loop {
            // The transaction has this owner as a condition: another one would have to be marked.
            self.mark(&known.owner, stamp.now).await?;
            let changed = self.change_members(plan(Some(&known.owner)), members);
            let changed = changed.await?;
            match self.other_owner(caller, &known, &changed) {
                Some(next) if tries.again().await => known = next,
                _ => return Ok(changed),
            }
        }
    }

    /// What is known of an image whose owner was another one than was known, if the caller may act for that
    /// one, as an admin may: then it is to be tried again.
    fn other_owner(&self, caller: &Caller, known: &Known, changed: &Changed) -> Option<Arc<Known>> {
        let Changed::Image(Some(stored)) = changed else {
            return None;
        };
        self.remember(stored);
        let is_other = stored.owner != known.owner && caller.acts_for(stored.owner.as_str());
        is_other.then(|| Arc::new(Known::of(stored)))
    }

    /// Checks, before any transaction, that the caller owns the image or is an admin.
    async fn may_change_members(
        &self,
        caller: &Caller,
        id: ImageId,
    ) -> Result<MayChange, ApiError> {
        if let Some(known) = self.remembered(id)
            && caller.acts_for(known.owner.as_str())
        {
            return Ok(MayChange::Now(known));
        }
        let Some(image) = self.image(id).await? else {
            return Ok(MayChange::Not(None));
        };
        self.remember(&image);
        if caller.acts_for(image.owner.as_str()) {
            Ok(MayChange::Now(Arc::new(Known::of(&image))))
        } else {
            Ok(MayChange::Not(Some(Box::new(image))))
        }
    }

    async fn change_members(
        &self,
        mut plan: Plan,
        members: &[ProjectId],
    ) -> Result<Changed, ApiError> {
        let mut entries: Vec<Entry<'_>> = members
            .iter()
            .map(|member| Entry {
                member,
                op: plan.stamp.op,
                change: None,
            })
            .collect();
        let mut tries = Tries::begin();
        let mut first = true;
        // Whether the image's count has turned out to be lower than its number of members. It may be mended
        // between two attempts.
        let mut count_is_low = false;
        loop {
            let mut open: Vec<&mut Entry<'_>> = entries
                .iter_mut()
                .filter(|entry| entry.change.is_none())
                .collect();
            if open.is_empty() {
                let changes = entries.into_iter().filter_map(|entry| entry.change);
                return Ok(Changed::Members(changes.collect()));
            }
            match self.attempt(&plan, &mut open, count_is_low).await? {
                Attempt::Applied => continue,
                Attempt::Image(image) => return Ok(Changed::Image(image)),
                Attempt::NewerImage(image) => {
                    self.remember(&image);
                    if let Direction::Add { image: known, .. } = &mut plan.direction {
                        *known = Arc::new(Known::of(&image));
                    }
                }
                Attempt::MiscountedImage => {
                    count_is_low = !count_is_low;
                    tracing::error!(image.id = %plan.image, "the count of members is wrong");
                }
                Attempt::Again => {}
            }
            // The first attempt only finds out what is stored. That is no race, so there is no pause.
            if !std::mem::take(&mut first) && !tries.again().await {
                return Err(ApiError::unavailable("change members: races do not end"));
            }
        }
    }

    /// Sends one transaction for the open entries. If it is cancelled, resolves each entry whose own
    /// condition failed; entries that are still open take part in the next attempt.
    async fn attempt(
        &self,
        plan: &Plan,
        open: &mut [&mut Entry<'_>],
        count_is_low: bool,
    ) -> Result<Attempt, ApiError> {
        // They differ for direct calls only, which have one entry.
        let op = open.first().map_or(plan.stamp.op, |entry| entry.op);
        let mut items = vec![self.count_item(plan, op, open.len(), count_is_low)?];
        for entry in open.iter() {
            items.push(self.member_write(plan, entry.member, entry.op)?);
        }
        let reasons = match self.transact("change members", items).await? {
            Transacted::Applied => {
                for entry in open {
                    plan.log(entry.member);
                    entry.change = Some(match plan.status(entry.member) {
                        MemberStatus::Pending => Change::Applied,
                        status => Change::Answered(status),
                    });
                }
                return Ok(Attempt::Applied);
            }
            Transacted::Cancelled(reasons) => reasons,
        };
        let mut all_are_there = true;
        for (entry, reason) in open.iter_mut().zip(reasons.iter().skip(1)) {
            if condition_failed(Some(reason)) {
                all_are_there = false;
                self.resolve(plan, entry, reason).await?;
            }
        }
        let Some(reason) = reasons
            .first()
            .filter(|reason| condition_failed(Some(reason)))
        else {
            return Ok(Attempt::Again);
        };
        let image = reason.item().map(item::image).transpose()?.flatten();
        Ok(match (image, &plan.direction) {
            (Some(image), Direction::Add { image: known, .. })
                if plan.allows(&image) && known.op != image.op =>
            {
                Attempt::NewerImage(Box::new(image))
            }
            (Some(image), Direction::Add { quota, .. }) if plan.allows(&image) => {
                match image.declared.filter(|declared| *declared > op) {
                    Some(declared) => outdated(plan, open, declared),
                    None => full(plan, open, *quota, &image),
                }
                Attempt::Again
            }
            (Some(image), Direction::Remove) if plan.allows(&image) => match all_are_there {
                true => Attempt::MiscountedImage,
                // Some are not members any more: the next attempt counts fewer.
                false => Attempt::Again,
            },
            (image, _) => Attempt::Image(image.map(Box::new)),
        })
    }

    /// Classifies an entry whose condition failed by what is stored, and does single writes that it
    /// needs.
    async fn resolve(
        &self,
        plan: &Plan,
        entry: &mut Entry<'_>,
        reason: &CancellationReason,
    ) -> Result<(), ApiError> {
        let stored = reason.item().map(item::membership).transpose()?;
        if plan.stamp.order == Order::Direct {
            entry.change = match (&stored, &plan.direction) {
                (Some(Membership::Present(_)), Direction::Add { .. })
                | (None | Some(Membership::Gone { .. }), Direction::Remove) => {
                    Some(Change::Unneeded)
                }
                (Some(stored), _) => {
                    entry.op = entry.op.not_before(stored.newest());
                    None
                }
                (None, Direction::Add { .. }) => None,
            };
            return Ok(());
        }
        let (image, member, op) = (plan.image, entry.member, entry.op);
        entry.change = match step(stored.as_ref(), plan.kind(), op) {
            Step::Write => None,
            Step::Done(change) => Some(change),
            Step::Confirm => {
                let done = self
                    .confirm_member(image, member, op, plan.status(member))
                    .await?;
                done.then_some(Change::Unneeded)
            }
            Step::LeaveTombstone => {
                let done = self.leave_tombstone(image, member, op, &plan.stamp).await?;
                done.then_some(Change::Unneeded)
            }
            Step::Renew(seen) => {
                let listed = reason.item().is_some_and(|item| item.contains_key(at::GPK));
                let done = self.renew_member(seen, listed, op, &plan.stamp).await?;
                done.then_some(Change::Applied)
            }
        };
        Ok(())
    }
}

/// Whether a caller may change an image's members, as far as it is known before a transaction.
enum MayChange {
    Now(Arc<Known>),
    /// It may not. The image as it is stored; `None` if it does not exist.
    Not(Option<Box<Image>>),
}

/// The result of one attempt.
enum Attempt {
    /// All open entries were applied.
    Applied,
    /// The image does not allow it. The image as it is stored; `None` if it does not exist.
    Image(Option<Box<Image>>),
    /// The image is not as the plan knows it.
    NewerImage(Box<Image>),
    /// The image's record counts fewer members than there are.
    MiscountedImage,
    /// It was cancelled; open entries may be tried again.
    Again,
}

/// Resolves shares of projects that are no members, on an image whose members were declared later: a
/// direct call moves its id past the declaration.
fn outdated(plan: &Plan, open: &mut [&mut Entry<'_>], declared: OperationId) {
    for entry in open.iter_mut().filter(|entry| entry.change.is_none()) {
        match plan.stamp.order {
            Order::Direct => entry.op = entry.op.not_before(declared),
            Order::Batch => {
                let found = after_declaration(None, Some(declared));
                if let Step::Done(change) = step(found.as_ref(), plan.kind(), entry.op) {
                    entry.change = Some(change);
                }
            }
        }
    }
}

/// Leaves as many entries open as there is room for; the rest exceed the quota.
fn full(plan: &Plan, open: &mut [&mut Entry<'_>], quota: i64, image: &Image) {
    let room = quota - i64::try_from(image.member_count).unwrap_or(i64::MAX);
    let room = usize::try_from(room).unwrap_or(0);
    // A direct call reports the quota before a duplicate, as Glance does.
    let direct = plan.stamp.order == Order::Direct && room == 0;
    let mut kept = 0;
    for entry in open.iter_mut() {
        if direct {
            entry.change = Some(Change::QuotaFull);
        } else if entry.change.is_none() {
            kept += 1;
            if kept > room {
                entry.change = Some(Change::QuotaFull);
            }
        }
    }
}
