//! Images: create, show, change.

use aws_sdk_dynamodb::types::{
    Delete, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::due::due_key;
use super::expression::names;
use super::item;
use super::keys::{self as at, Item, n, s};
use super::table::Store;
use super::write::{Single, single, transaction_item};
use crate::domain::error::ApiError;
use crate::domain::id::ImageId;
use crate::domain::image::Image;
use crate::domain::limits::bound;
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// The result of a write to an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// It was applied.
    Done,
    /// It was applied, and the image's memberships are to be reconciled with it.
    Owing,
    /// Its condition failed. The image as it is stored; `None` if it does not exist.
    ConditionFailed(Option<Box<Image>>),
}

/// The condition for creating an item.
const IS_NEW: &str = "attribute_not_exists(#pk)";
/// The condition for replacing an image.
const REPLACES: &str = "#op = :seen AND attribute_not_exists(#gone)";
/// The same, for a shared image without members. One that was added meanwhile would keep a projection of
/// the image as it was.
const REPLACES_WITHOUT_MEMBERS: &str =
    "#op = :seen AND attribute_not_exists(#gone) AND #member_count <= :none";

/// An update of an image's item.
pub(super) struct ImageUpdate {
    pub(super) expression: String,
    pub(super) condition: String,
    pub(super) values: Item,
}

impl Store {
    /// Creates an image. Returns `false` if the id is taken, be it by a tombstone.
    ///
    /// # Errors
    /// 413 if the owner has as many images as it may have; otherwise if the store does not answer.
    pub async fn create_image(&self, image: &Image) -> Result<bool, ApiError> {
        let mut new = item::image_attributes(image);
        new.extend(at::image_key(image.id));
        new.insert(at::MEMBER_COUNT.to_owned(), n(0));
        let put = match (item::texts_item(image), bound(self.limits.images)) {
            (None, None) => self.put_image(new).await?,
            (texts, most) => self.put_image_with(image, new, texts, most).await?,
        };
        let created = match put {
            Single::Applied(()) => true,
            // The answer of the first try was lost, and the SDK tried again: the write is ours.
            Single::ConditionFailed(taken) => {
                let stored = taken.as_ref().map(item::image).transpose()?.flatten();
                stored.is_some_and(|stored| stored.op == image.op)
            }
        };
        if created {
            self.remember(image);
            self.await_image(image).await;
        }
        Ok(created)
    }

    async fn put_image(&self, new: Item) -> Result<Single<()>, ApiError> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(new))
            .condition_expression(IS_NEW)
            .set_expression_attribute_names(names(&[IS_NEW]))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let put = single(&self.client, "create image", request).await?;
        Ok(put.without_output())
    }

    /// Puts a new image together with the item of its texts and its owner's count of images.
    async fn put_image_with(
        &self,
        image: &Image,
        new: Item,
        texts: Option<Item>,
        most: Option<u64>,
    ) -> Result<Single<()>, ApiError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(new))
            .condition_expression(IS_NEW)
            .set_expression_attribute_names(names(&[IS_NEW]))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        let mut puts = vec![transaction_item("create image", put)?];
        if let Some(texts) = texts {
            puts.push(self.put_texts(texts)?);
        }
        match most {
            Some(most) => self.put_counted_image(image, puts, most).await,
            None => Ok(self.transact("create image", puts).await?.first()),
        }
    }

    fn put_texts(&self, texts: Item) -> Result<TransactWriteItem, ApiError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(texts))
            .build();
        transaction_item("put texts", put)
    }

    fn delete_texts(&self, image: &Image) -> Result<TransactWriteItem, ApiError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(at::texts_key(image.id, image.op)))
            .build();
        transaction_item("delete texts", delete)
    }

    /// Completes an image with its tags and properties. Returns `None` if it has been changed since it
    /// was read. Call it only for callers that may see the image: long texts take a request.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn complete(&self, mut image: Image) -> Result<Option<Image>, ApiError> {
        if !image.incomplete {
            return Ok(Some(image));
        }
        let found = self
            .batch_get(vec![at::texts_key(image.id, image.op)])
            .await?;
        let Some(texts) = found.first() else {
            return Ok(None);
        };
        item::complete(&mut image, texts)?;
        Ok(Some(image))
    }

    async fn await_image(&self, image: &Image) {
        let (gpk, position) = (at::owner_gpk(&image.owner), Self::position(image));
        let op = image.op.to_string();
        let written = |row: &Item| {
            let projection = row.get(at::PROJECTION).and_then(|text| text.as_s().ok());
            projection.is_some_and(|text| text.starts_with(&op))
        };
        self.await_index(&gpk, &position, written).await;
    }

    /// Reads an image, strongly consistent; `None` if it does not exist.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn image(&self, id: ImageId) -> Result<Option<Image>, ApiError> {
        let stored = self.image_item(id).await?;
        Ok(stored.as_ref().map(item::image).transpose()?.flatten())
    }

    /// Reads an image's item, strongly consistent: its record or its tombstone.
    pub(super) async fn image_item(&self, id: ImageId) -> Result<Option<Item>, ApiError> {
        self.single_item(at::image_key(id)).await
    }

    /// Replaces an image, if it is still as it was read (`seen`).
    ///
    /// A change to or from `shared`, and any change of an image that has members, marks the image as due
    /// ([`Written::Owing`]): its memberships are to be reconciled ([`Store::reconcile_members`]).
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn replace_image(
        &self,
        seen: &Image,
        next: &Image,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let (was_shared, is_shared) = (
            seen.visibility == Visibility::Shared,
            next.visibility == Visibility::Shared,
        );
        // Members that are being added count as well when the image ends to be shared.
        let (ends, for_members) = (was_shared && !is_shared, was_shared || is_shared);
        let owing = ends || for_members && seen.member_count > 0;
        if owing {
            self.unsettle(seen.id, next.op, &seen.owner, now).await?;
        } else if seen.visibility.is_open() && seen.visibility != next.visibility {
            self.mark(&seen.owner, now).await?;
        }
        // After an error it may have been applied.
        let written = self.replace_owing(seen, next, owing, now).await?;
        if matches!(written, Written::ConditionFailed(_)) {
            self.freshness.withdrawn(seen.id, next.op);
        }
        Ok(written)
    }

    async fn replace_owing(
        &self,
        seen: &Image,
        next: &Image,
        owing: bool,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let update = self.replacing(seen, next, owing.then_some(now));
        let beside = self.beside(seen, next, now)?;
        let replaced = self.update_image("replace image", seen.id, update, beside);
        let replaced = replaced.await?;
        let done = match owing {
            true => Written::Owing,
            false => Written::Done,
        };
        let Single::ConditionFailed(stored) = replaced else {
            self.remember(next);
            self.await_image(next).await;
            return Ok(done);
        };
        let stored = stored.as_ref().map(item::image).transpose()?.flatten();
        // The answer of the first try was lost, and the SDK tried again: the write is ours.
        if stored.as_ref().is_some_and(|stored| stored.op == next.op) {
            return Ok(done);
        }
        Ok(Written::ConditionFailed(stored.map(Box::new)))
    }

    /// What is written with an image that is replaced: the item of its texts, and what its old and its new
    /// owner count. An admin who gives an image away is not held by the limit of the project that gets it.
    fn beside(
        &self,
        seen: &Image,
        next: &Image,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, ApiError> {
        let mut items = Vec::new();
        if let Some(texts) = item::texts_item(next) {
            items.push(self.put_texts(texts)?);
        }
        if seen.has_texts_apart() {
            items.push(self.delete_texts(seen)?);
        }
        if seen.owner != next.owner && bound(self.limits.images).is_some() {
            items.push(self.count_moved(&seen.owner, -1, now)?);
            items.push(self.count_moved(&next.owner, 1, now)?);
        }
        Ok(items)
    }

    /// Updates an image's item: in one transaction with these other writes, which have no condition, if there
    /// are any.
    pub(super) async fn update_image(
        &self,
        what: &'static str,
        id: ImageId,
        update: ImageUpdate,
        beside: Vec<TransactWriteItem>,
    ) -> Result<Single<()>, ApiError> {
        if beside.is_empty() {
            let request = self
                .update_if(at::image_key(id), &update.expression, &update.condition)
                .set_expression_attribute_values(Some(update.values))
                .return_values_on_condition_check_failure(OnFailure::AllOld);
            let updated = single(&self.client, what, request).await?;
            return Ok(updated.without_output());
        }
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::image_key(id)))
            .set_expression_attribute_names(names(&[&update.expression, &update.condition]))
            .update_expression(update.expression)
            .condition_expression(update.condition)
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        let mut items = vec![transaction_item(what, update)?];
        items.extend(beside);
        Ok(self.transact(what, items).await?.first())
    }

    /// Builds the update from the item of `seen` to that of `next`.
    fn replacing(&self, seen: &Image, next: &Image, owing: Option<Timestamp>) -> ImageUpdate {
        let mut attributes = item::image_attributes(next);
        if let Some(now) = owing {
            let (dpk, dsk) = due_key(&next.id.to_string(), now);
            attributes.insert(at::DPK.to_owned(), dpk);
            attributes.insert(at::DSK.to_owned(), dsk);
        }
        let mut values = Item::from([(":seen".to_owned(), s(seen.op.to_string()))]);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for name in item::image_attributes(seen).into_keys() {
            if !attributes.contains_key(&name) {
                remove.push(format!("#{name}"));
            }
        }
        for (name, value) in attributes {
            set.push(format!("#{name} = :{name}"));
            values.insert(format!(":{name}"), value);
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        // Members are added to shared images alone.
        let condition = match owing {
            None if seen.visibility == Visibility::Shared => {
                values.insert(":none".to_owned(), n(0));
                REPLACES_WITHOUT_MEMBERS
            }
            Some(_) | None => REPLACES,
        };
        ImageUpdate {
            expression,
            condition: condition.to_owned(),
            values,
        }
    }
}
