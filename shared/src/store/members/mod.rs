//! Memberships: add, remove, answer, list.
//!
//! A membership is one item beside its image. Adding and removing are transactions over the two,
//! so that the count of members is exact; answering touches the membership alone, so that any
//! number of members can answer at once.

mod add;
mod answer;
mod list;
mod remove;

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::schema::{self as at, n, s};
use super::{Store, failed, item};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::{ImageId, OperationId, ProjectId};
use crate::image::Image;
use crate::member::{Member, Membership};
use crate::time::Timestamp;

pub use add::new_member;
pub use answer::Answer;

/// Most members that share one transaction with their image.
pub const TRANSACTION_MEMBERS: usize = 99;

/// Which request wins when the stored operation is not older than this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A direct call always applies: it takes an operation id just after the stored one.
    Direct,
    /// An entry of a batch applies only if its request was accepted later.
    Batch,
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

    /// The part of a transaction that counts members in or out, with all that must hold of the image.
    pub(super) fn count(
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
