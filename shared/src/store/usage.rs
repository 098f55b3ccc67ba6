//! Counts what a project uses of its quotas. It counts rows of an index and reads none.

use aws_sdk_dynamodb::types::Select;

use super::expression::names;
use super::keys::{self as at, Item, s};
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::member::MemberStatus;

/// How many pages of 1 MB are counted of one kind: more than ten thousand rows. Rows beyond are not
/// counted, which bounds the cost of a request.
const PAGES_MAX: usize = 16;

/// What a project uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images that it owns.
    pub images: u64,
    /// Images of other projects that it has accepted.
    pub accepted: u64,
    /// Images of other projects that are shared with it, in any status.
    pub memberships: u64,
}

impl Store {
    /// Counts what a project uses, eventually consistent.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn usage(&self, project: &ProjectId) -> Result<Usage, ApiError> {
        let status = |status| self.rows_of(at::status_gpk(status, project));
        let (images, pending, accepted, rejected) = futures::try_join!(
            self.rows_of(at::owner_gpk(project)),
            status(MemberStatus::Pending),
            status(MemberStatus::Accepted),
            status(MemberStatus::Rejected),
        )?;
        Ok(Usage {
            images,
            accepted,
            memberships: pending + accepted + rejected,
        })
    }

    /// Counts the rows of one partition of the index.
    pub(super) async fn rows_of(&self, partition: String) -> Result<u64, ApiError> {
        let condition = "#gpk = :gpk";
        let mut count = 0;
        let mut start: Option<Item> = None;
        for _ in 0..PAGES_MAX {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(at::BY_PROJECT)
                .select(Select::Count)
                .key_condition_expression(condition)
                .set_expression_attribute_names(names(&[condition]))
                .expression_attribute_values(":gpk", s(&partition))
                .set_exclusive_start_key(start.take());
            let page = self.client.ask("count usage", &request).await?;
            count += u64::try_from(page.count).unwrap_or_default();
            match page.last_evaluated_key {
                Some(key) => start = Some(key),
                None => break,
            }
        }
        Ok(count)
    }
}
