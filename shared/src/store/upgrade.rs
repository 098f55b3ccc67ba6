//! Brings the records of earlier releases into their present form.

use super::expression::{names, values};
use super::images::Written;
use super::item::{self, REPLACED};
use super::keys::{self as at, s};
use super::sdk_error::failed;
use super::table::Store;
use super::write::single;
use crate::domain::actor::{Automatic, Origin};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId};
use crate::domain::image::Image;
use crate::domain::time::Timestamp;

/// How often an image is tried again that is being changed.
const RACES: u32 = 20;

impl Store {
    /// Gives images that releases up to 0.1.0 wrote their projection and their names in indexes, and
    /// their memberships as well. Returns the number of images. It reads the whole table, and is safe to
    /// repeat.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn upgrade_records(
        &self,
        op: OperationId,
        now: Timestamp,
    ) -> Result<usize, ApiError> {
        let filter = "#sk = :image AND attribute_not_exists(#projection) AND \
                      attribute_not_exists(#gone)";
        let mut upgraded = 0;
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression(filter)
            .set_expression_attribute_names(names(&[filter]))
            .set_expression_attribute_values(values([(":image", s(at::IMAGE))]));
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("upgrade records", &error))?;
            for found in page.items() {
                if let Ok(id) = item::Head::of(found).image_id() {
                    self.upgrade_image(id, op, now).await?;
                    upgraded += 1;
                }
            }
        }
        Ok(upgraded)
    }

    async fn upgrade_image(
        &self,
        id: ImageId,
        op: OperationId,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        for _ in 0..RACES {
            let Some(seen) = self.image(id).await? else {
                return Ok(());
            };
            let Some(seen) = self.complete(seen).await? else {
                continue;
            };
            let next = Image {
                op: op.not_before(seen.op),
                ..seen.clone()
            };
            if let Written::ConditionFailed(_) = self.replace_image(&seen, &next, now).await? {
                continue;
            }
            self.remove_replaced(&next).await?;
            let by = Origin::automatic(Automatic::Sweep, "-");
            self.reconcile_members(id, op, now, by).await?;
            return Ok(());
        }
        Err(ApiError::unavailable("upgrade records: races do not end"))
    }

    /// Removes the attributes that the image's projection holds.
    async fn remove_replaced(&self, image: &Image) -> Result<(), ApiError> {
        let mut replaced = REPLACED.to_vec();
        if !image.has_texts_apart() {
            replaced.extend([at::SKETCH, at::WEIGHT]);
        }
        let replaced: Vec<_> = replaced.iter().map(|name| format!("#{name}")).collect();
        let update = format!("REMOVE {}", replaced.join(", "));
        let condition = "#op = :op";
        let request = self
            .update_if(at::image_key(image.id), &update, condition)
            .set_expression_attribute_values(values([(":op", s(image.op.to_string()))]));
        single(&self.client, "upgrade records", request).await?;
        Ok(())
    }
}
