//! Images: delete.

use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::change_log;
use super::due::due_key;
use super::expression::names;
use super::images::{Replacing, Written};
use super::item;
use super::keys::{self as at, Item, s};
use super::members::Stamp;
use super::table::Store;
use super::write::{Single, Transacted, Tries, single};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::limits::bound;
use crate::domain::policy::Caller;
use crate::domain::time::Timestamp;

impl Store {
    /// Deletes an image that is not protected and belongs to the caller (an admin deletes any). It
    /// becomes a tombstone, and is invisible from then on. The tombstone stays until its memberships
    /// have been ended by [`Store::reconcile_members`].
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn delete_image(
        &self,
        caller: &Caller,
        id: ImageId,
        stamp: Stamp,
    ) -> Result<Written, ApiError> {
        let mut owner = match caller.required_owner() {
            Some(owner) => owner.clone(),
            None => match self.owner_of(id).await? {
                Some(owner) => owner,
                None => return Ok(Written::ConditionFailed(None)),
            },
        };
        let mut tries = Tries::begin();
        loop {
            self.unsettle(id, stamp.op, &owner, stamp.now).await?;
            // After an error it may have been applied.
            let written = self.delete_marked(caller, id, &owner, &stamp).await?;
            let Written::ConditionFailed(stored) = written else {
                break;
            };
            self.freshness.withdrawn(id, stamp.op);
            // Only another owner is a reason to try again, and only for an admin, who may act for it.
            match stored {
                Some(image)
                    if image.owner != owner
                        && caller.acts_for(image.owner.as_str())
                        && tries.again().await =>
                {
                    self.remember(&image);
                    owner.clone_from(&image.owner);
                }
                stored => return Ok(Written::ConditionFailed(stored)),
            }
        }
        let line = change_log::Line {
            what: "image.delete",
            image: Some(id),
            from: change_log::IMAGE,
            to: change_log::NONE,
            ..change_log::Line::default()
        };
        line.write(&stamp.by);
        Ok(Written::Owing)
    }

    /// The project that an image belongs to; `None` if it does not exist.
    async fn owner_of(&self, id: ImageId) -> Result<Option<ProjectId>, ApiError> {
        if let Some(known) = self.remembered(id) {
            return Ok(Some(known.owner.clone()));
        }
        Ok(self.image(id).await?.map(|image| image.owner))
    }

    async fn delete_marked(
        &self,
        caller: &Caller,
        id: ImageId,
        owner: &ProjectId,
        stamp: &Stamp,
    ) -> Result<Written, ApiError> {
        let deletion = deletion(caller, id, owner, stamp);
        let refused = match bound(self.limits.images) {
            None => self.delete_alone(id, deletion).await?,
            Some(_) => self.delete_counted(id, deletion, owner, stamp.now).await?,
        };
        let Some(stored) = refused else {
            return Ok(Written::Owing);
        };
        let Some(stored) = stored else {
            return Ok(Written::ConditionFailed(None));
        };
        // The answer of the first try was lost, and the SDK tried again: the write is ours.
        if item::Head::of(&stored).op()? == stamp.op {
            return Ok(Written::Owing);
        }
        let image = item::image(&stored)?;
        Ok(Written::ConditionFailed(image.map(Box::new)))
    }

    /// Returns `None` if it was applied, or else the item as it is stored.
    async fn delete_alone(
        &self,
        id: ImageId,
        deletion: Replacing,
    ) -> Result<Option<Option<Item>>, ApiError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(at::image_key(id)))
            .set_expression_attribute_names(names(&[&deletion.expression, &deletion.condition]))
            .update_expression(deletion.expression)
            .condition_expression(deletion.condition)
            .set_expression_attribute_values(Some(deletion.values))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        Ok(
            match single("delete image", || request.clone().send()).await? {
                Single::Applied(_) => None,
                Single::ConditionFailed(stored) => Some(stored),
            },
        )
    }

    /// The same, together with the owner's count of its images.
    async fn delete_counted(
        &self,
        id: ImageId,
        deletion: Replacing,
        owner: &ProjectId,
        now: Timestamp,
    ) -> Result<Option<Option<Item>>, ApiError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::image_key(id)))
            .set_expression_attribute_names(names(&[&deletion.expression, &deletion.condition]))
            .update_expression(deletion.expression)
            .condition_expression(deletion.condition)
            .set_expression_attribute_values(Some(deletion.values))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .map_err(|e| ApiError::internal(format!("delete image: {e}")))?;
        let items = vec![
            TransactWriteItem::builder().update(update).build(),
            self.count_moved(owner, -1, now)?,
        ];
        Ok(match self.transact("delete image", items).await? {
            Transacted::Applied => None,
            Transacted::Cancelled(reasons) => {
                Some(reasons.first().and_then(|reason| reason.item()).cloned())
            }
        })
    }
}

/// Builds the update that makes an image a tombstone.
fn deletion(caller: &Caller, id: ImageId, owner: &ProjectId, stamp: &Stamp) -> Replacing {
    let expression = "SET #gone = :true, #op = :op, #by = :by, #dpk = :dpk, #dsk = :dsk REMOVE #gpk, #gsk, #vpk, \
                      #npk, #onpk, #projection, #sketch, #weight";
    let condition = "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #protected = :false \
                     AND #owner = :owner";
    let (dpk, dsk) = due_key(&id.to_string(), stamp.now);
    let values = Item::from([
        (":true".to_owned(), AttributeValue::Bool(true)),
        (":false".to_owned(), AttributeValue::Bool(false)),
        (":op".to_owned(), s(stamp.op.to_string())),
        (":by".to_owned(), s(caller.actor().stored())),
        (":dpk".to_owned(), dpk),
        (":dsk".to_owned(), dsk),
        (":owner".to_owned(), s(owner.as_str())),
    ]);
    Replacing {
        expression: expression.to_owned(),
        condition: condition.to_owned(),
        values,
    }
}
