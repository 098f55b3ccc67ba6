//! Completes records that earlier releases have written.

use std::collections::BTreeSet;

use super::expression::{names, values};
use super::item;
use super::keys::{self as at, Item, s};
use super::sdk_error::failed;
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId};
use crate::domain::time::Timestamp;

impl Store {
    /// Gives memberships the index keys that they lack, by reconciling them with their images. Releases
    /// up to 0.1.0 did not write the keys of [`at::BY_OWNER`]. It may be repeated at any time, and reads
    /// the whole table. Returns how many memberships were changed.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn complete_memberships(
        &self,
        op: OperationId,
        now: Timestamp,
    ) -> Result<usize, ApiError> {
        let mut changed = 0;
        let mut start: Option<Item> = None;
        loop {
            let (images, next) = self.images_to_complete(start.take()).await?;
            for image in images {
                changed += self.reconcile_members(image, op, now).await?;
            }
            match next {
                Some(key) => start = Some(key),
                None => return Ok(changed),
            }
        }
    }

    /// Reads one page of the table: the images with memberships that have no key of their owner, and
    /// where the next page begins.
    async fn images_to_complete(
        &self,
        start: Option<Item>,
    ) -> Result<(BTreeSet<ImageId>, Option<Item>), ApiError> {
        let filter = "begins_with(#sk, :member) AND attribute_not_exists(#gone) \
                      AND attribute_not_exists(#opk)";
        let page = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression(filter)
            .projection_expression("#pk")
            .set_expression_attribute_names(names(&[filter, "#pk"]))
            .set_expression_attribute_values(values([(":member", s(at::MEMBER_PREFIX))]))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|e| failed("find memberships to complete", &e))?;
        let images = page.items().iter().filter_map(item::image_id_of).collect();
        Ok((images, page.last_evaluated_key))
    }
}
