//! Images: create, show, change, delete.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};

use super::due::due_keys;
use super::members::Stamp;
use super::schema::{self as at, n, s};
use super::write::{Single, single};
use super::{Store, failed, item};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::ImageId;
use crate::image::{Image, Visibility};
use crate::time::Timestamp;

/// What became of a write to an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// It was written.
    Done,
    /// It was written, and the image's memberships are to be brought in line with it.
    Owing,
    /// It was not: this is how the image stands, `None` if there is none.
    Refused(Option<Box<Image>>),
}

impl Store {
    /// Registers an image. `false` if the id is taken, also by an image that was deleted lately.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn create_image(&self, image: &Image) -> Result<bool, ApiError> {
        let mut new = item::image_attributes(image);
        new.extend(at::image_key(image.id));
        new.insert(at::MEMBER_COUNT.to_owned(), n(0));
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(new))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", at::PK)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let created = match single("create image", || request.clone().send()).await? {
            Single::Applied(_) => true,
            // A lost answer and a second try by the client library: it is ours.
            Single::Refused(taken) => {
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

    async fn await_image(&self, image: &Image) {
        let (gpk, position) = (at::owner_gpk(&image.owner), Self::position(image));
        self.await_index(&gpk, &position, image.updated_at).await;
    }

    /// The image of that id, strongly consistent; `None` if there is none.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn image(&self, id: ImageId) -> Result<Option<Image>, ApiError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(at::image_key(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| failed("get image", &e))?;
        Ok(answer.item().map(item::image).transpose()?.flatten())
    }

    /// Replaces an image by a changed one if nothing has changed it since it was read as `seen`.
    ///
    /// If that shares it, or ends its being shared, the record says that its memberships are to be
    /// brought in line ([`Store::keep_members`]), and so does [`Written::Owing`].
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
        // While it is not shared, nobody can be added: none to begin with means none now.
        let owing = was_shared && !is_shared || !was_shared && is_shared && seen.member_count > 0;
        let mut set = Vec::new();
        let mut remove = Vec::new();
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::image_key(seen.id)))
            .condition_expression("#seen_op = :seen AND attribute_not_exists(#gone)")
            .expression_attribute_names("#seen_op", at::OP)
            .expression_attribute_names("#gone", at::GONE)
            .expression_attribute_values(":seen", s(seen.op.to_string()))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let mut attributes = item::image_attributes(next);
        if owing {
            attributes.extend(due_keys(&next.id.to_string(), now));
        }
        for name in item::image_attributes(seen).into_keys() {
            if !attributes.contains_key(&name) {
                remove.push(format!("#{name}"));
                request = request.expression_attribute_names(format!("#{name}"), name);
            }
        }
        for (name, value) in attributes {
            set.push(format!("#{name} = :{name}"));
            request = request
                .expression_attribute_names(format!("#{name}"), name.clone())
                .expression_attribute_values(format!(":{name}"), value);
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        let request = request.update_expression(expression);
        let done = if owing { Written::Owing } else { Written::Done };
        match single("replace image", || request.clone().send()).await? {
            Single::Applied(_) => {
                self.remember(next);
                self.await_image(next).await;
                Ok(done)
            }
            Single::Refused(stored) => {
                let stored = stored.as_ref().map(item::image).transpose()?.flatten();
                // A lost answer and a second try by the client library: it is ours.
                if stored.as_ref().is_some_and(|stored| stored.op == next.op) {
                    return Ok(done);
                }
                Ok(Written::Refused(stored.map(Box::new)))
            }
        }
    }

    /// Deletes an image that is not protected and belongs to the caller (or the caller is an
    /// admin). What is left is a tombstone; nothing of the image is visible from then on. Its
    /// memberships are to be ended ([`Store::keep_members`]), and it stays until they are.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn delete_image(
        &self,
        caller: &Caller,
        id: ImageId,
        stamp: Stamp,
    ) -> Result<Written, ApiError> {
        let mut condition =
            "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #protected = :false"
                .to_owned();
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::image_key(id)))
            .update_expression(
                "SET #gone = :true, #op = :op, #dpk = :dpk, #dsk = :dsk \
                 REMOVE #gpk, #gsk, #vpk, #name, #tags, #properties, #sketch",
            )
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        for name in [
            at::PK,
            at::GONE,
            at::OP,
            at::DPK,
            at::DSK,
            at::GPK,
            at::GSK,
            at::VPK,
            at::NAME,
            at::TAGS,
            at::PROPERTIES,
            at::SKETCH,
            at::PROTECTED,
        ] {
            request = request.expression_attribute_names(format!("#{name}"), name);
        }
        for (name, value) in due_keys(&id.to_string(), stamp.now) {
            request = request.expression_attribute_values(format!(":{name}"), value);
        }
        request = request
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":op", s(stamp.op.to_string()));
        if !caller.is_admin() {
            condition.push_str(" AND #owner = :owner");
            request = request
                .expression_attribute_names("#owner", at::OWNER)
                .expression_attribute_values(":owner", s(caller.project.as_str()));
        }
        let request = request.condition_expression(condition);
        match single("delete image", || request.clone().send()).await? {
            Single::Applied(_) => Ok(Written::Owing),
            Single::Refused(None) => Ok(Written::Refused(None)),
            Single::Refused(Some(stored)) => {
                // A lost answer and a second try by the client library: it is ours.
                let op = item::Reader::new(&stored).text(at::OP)?;
                if op == stamp.op.to_string() {
                    return Ok(Written::Owing);
                }
                Ok(Written::Refused(item::image(&stored)?.map(Box::new)))
            }
        }
    }
}
