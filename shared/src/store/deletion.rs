//! Images: delete.

use aws_sdk_dynamodb::types::AttributeValue;

use super::change_log;
use super::due::due_key;
use super::images::{ImageUpdate, Written};
use super::item;
use super::keys::{Item, s};
use super::members::Stamp;
use super::table::Store;
use super::write::{Single, Tries};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::limits::bound;
use crate::domain::policy::Caller;

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
        let counted = match bound(self.limits.images) {
            None => Vec::new(),
            Some(_) => vec![self.count_moved(owner, -1, stamp.now)?],
        };
        let deleted = self.update_image("delete image", id, deletion, counted);
        let stored = match deleted.await? {
            Single::Applied(()) => return Ok(Written::Owing),
            Single::ConditionFailed(None) => return Ok(Written::ConditionFailed(None)),
            Single::ConditionFailed(Some(stored)) => stored,
        };
        // The answer of the first try was lost, and the SDK tried again: the write is ours.
        if item::Head::of(&stored).op()? == stamp.op {
            return Ok(Written::Owing);
        }
        let image = item::image(&stored)?;
        Ok(Written::ConditionFailed(image.map(Box::new)))
    }
}

/// Builds the update that makes an image a tombstone.
fn deletion(caller: &Caller, id: ImageId, owner: &ProjectId, stamp: &Stamp) -> ImageUpdate {
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
    ImageUpdate {
        expression: expression.to_owned(),
        condition: condition.to_owned(),
        values,
    }
}
