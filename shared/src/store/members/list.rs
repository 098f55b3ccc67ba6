//! Listing the members of an image, as far as the caller may see them.

use super::super::schema::{self as at, Item, s};
use super::super::{Store, failed, item};
use super::Facts;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::{ImageId, ProjectId};
use crate::member::{Member, Membership};

/// Rows of the first page of a list of members: a full image by the default quota in one request.
const FIRST_PAGE: i32 = 200;

impl Store {
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
}
