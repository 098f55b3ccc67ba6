//! Lists the members of an image that the caller may see.

use super::super::expression::{names, values};
use super::super::item;
use super::super::keys::{self as at, Item, s};
use super::super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::facts::Facts;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::image::Image;
use crate::domain::member::{Member, Membership};
use crate::domain::policy::Caller;

/// Rows of the first read: one request reads an image that is full by the default quota.
const FIRST_PAGE: i32 = 200;
/// The size of a member in an answer without its id, in bytes.
const MEMBER_BYTES: usize = 250;
/// The largest answer, in bytes: Lambda allows 6 MB.
const ANSWER_BYTES: usize = 4_000_000;
/// The condition that leaves out tombstones.
pub(super) const PRESENT: &str = "attribute_not_exists(#gone)";

/// Which members to read. It has to leave out tombstones, as [`PRESENT`] does.
pub(super) struct Filter {
    pub(super) condition: &'static str,
    pub(super) values: Item,
}

impl Filter {
    pub(super) fn of(condition: &'static str) -> Self {
        Self {
            condition,
            values: Item::new(),
        }
    }
}

impl Store {
    /// Reads an image and the members that the caller may see, in the order in which they were added.
    /// Takes one request for an image with at most the default quota of members.
    ///
    /// All members are read only for the image's owner and for an admin: to everybody else an image
    /// with many members must cost the same as an absent one.
    ///
    /// # Errors
    /// 413 if the members do not fit an answer; otherwise if the store does not answer or a record
    /// does not parse.
    pub async fn list_members(
        &self,
        caller: &Caller,
        image: ImageId,
    ) -> Result<(Facts, Vec<Member>), ApiError> {
        let remembered = self.remembered(image);
        let sees_all =
            caller.is_admin() || remembered.is_some_and(|known| known.owner == caller.project);
        if !sees_all {
            let facts = self.facts(image, &[&caller.project]).await?;
            if facts
                .image
                .as_ref()
                .is_none_or(|image| image.owner != caller.project)
            {
                let own = facts.membership(&caller.project).cloned();
                let own = own.and_then(Membership::present).into_iter().collect();
                return Ok((facts, own));
            }
        }
        let (facts, mut members) = self.all_members(caller, image).await?;
        // The image may have changed its owner since this instance last saw it.
        let owner = facts.image.as_ref().map(|image| image.owner.as_str());
        if !owner.is_some_and(|owner| caller.acts_for(owner)) {
            members.retain(|member| member.member_id == caller.project);
        }
        members.sort_by_key(|member| (member.created_at, member.added));
        Ok((facts, members))
    }

    /// Reads an image, the caller's membership of it, and all of its members.
    async fn all_members(
        &self,
        caller: &Caller,
        image: ImageId,
    ) -> Result<(Facts, Vec<Member>), ApiError> {
        let condition = "#pk = :pk AND #sk < :end";
        let mut facts = Facts::default();
        let mut members: Vec<Member> = Vec::new();
        let mut bytes = 0;
        let mut start = None;
        let mut limit = Some(FIRST_PAGE);
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression(condition)
                .set_expression_attribute_names(names(&[condition]))
                .set_expression_attribute_values(values([
                    (":pk", s(at::image_pk(image))),
                    (":end", s(at::MEMBERS_END)),
                ]))
                .consistent_read(true)
                .set_limit(limit.take())
                .set_exclusive_start_key(start.take());
            let page = self.client.ask("list members", &request).await?;
            for found in page.items() {
                if found.get(at::SK).is_some_and(|sk| *sk == s(at::IMAGE)) {
                    facts.image = item::image(found)?;
                } else if let Membership::Present(member) = item::membership(found)? {
                    bytes += MEMBER_BYTES + member.member_id.as_str().len();
                    if member.member_id == caller.project {
                        let own = Membership::Present(member.clone());
                        facts.memberships.insert(caller.project.clone(), own);
                    }
                    members.push(member);
                }
            }
            if bytes > ANSWER_BYTES {
                return Err(ApiError::too_large(
                    "The image has more members than an answer can hold: list them by pages at \
                     /v1/{project_id}/cloudimages/{image_id}/members.",
                ));
            }
            match page.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok((facts, members)),
            }
        }
    }

    /// Reads all members of an image, sorted by id; `None` if there are more than `most`.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn members_at(
        &self,
        image: &Image,
        most: usize,
    ) -> Result<Option<Vec<Member>>, ApiError> {
        let (mut members, mut start) = (Vec::new(), None);
        let present = Filter::of(PRESENT);
        loop {
            let read = self.members_from(image.id, at::MEMBER_PREFIX, &present, None, start.take());
            let (found, next) = Box::pin(read).await?;
            members.extend(found);
            match next {
                _ if members.len() > most => return Ok(None),
                Some(key) => start = Some(key),
                None => return Ok(Some(members)),
            }
        }
    }

    /// Reads one page of an image's members, sorted by id: at most `limit` after `marker`.
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
        // One row more than wanted, because the marker's own row may be among them. From the second
        // read on whole pages are read, so that tombstones do not cost a request each.
        let mut rows = Some(i32::try_from(limit + 1).unwrap_or(i32::MAX));
        let present = Filter::of(PRESENT);
        while members.len() < limit {
            let (found, next) = self
                .members_from(image, &from, &present, rows.take(), start.take())
                .await?;
            members.extend(found);
            members.retain(|member: &Member| marker != Some(&member.member_id));
            members.truncate(limit);
            match next {
                Some(key) => start = Some(key),
                None => break,
            }
        }
        Ok(members)
    }

    /// Reads one page of an image's members that match a filter, from a sort key on, and where the next
    /// page begins if there is one.
    pub(super) async fn members_from(
        &self,
        image: ImageId,
        from: &str,
        filter: &Filter,
        limit: Option<i32>,
        start: Option<Item>,
    ) -> Result<(Vec<Member>, Option<Item>), ApiError> {
        let condition = "#pk = :pk AND #sk BETWEEN :from AND :end";
        let mut values = filter.values.clone();
        values.extend([
            (":pk".to_owned(), s(at::image_pk(image))),
            (":from".to_owned(), s(from)),
            (":end".to_owned(), s(at::MEMBERS_END)),
        ]);
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression(condition)
            .filter_expression(filter.condition)
            .set_expression_attribute_names(names(&[condition, filter.condition]))
            .set_expression_attribute_values(Some(values))
            .consistent_read(true)
            .set_limit(limit)
            .set_exclusive_start_key(start);
        let page = self.client.ask("page members", &request).await?;
        let mut members = Vec::new();
        for found in page.items() {
            members.extend(item::membership(found)?.present());
        }
        Ok((members, page.last_evaluated_key))
    }
}
