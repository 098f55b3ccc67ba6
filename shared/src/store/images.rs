//! Images: create, show, change, delete, and the sorted streams that lists are made of.

use std::collections::VecDeque;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};

use super::members::Stamp;
use super::schema::{self as at, Item, n, s};
use super::{Store, TOMBSTONE, failed, item, tombstone_names, tombstone_values};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::{ImageId, ProjectId};
use crate::image::{Image, Visibility};
use crate::member::{MemberStatus, Membership};

/// What became of a write to an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// It was written.
    Done,
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
        let outcome = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(new))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", at::PK)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        let created = match outcome {
            Ok(_) => true,
            Err(error) => match error.as_service_error() {
                // A lost answer and a second try by the client library: it is ours.
                Some(PutItemError::ConditionalCheckFailedException(taken)) => {
                    let stored = taken.item().map(item::image).transpose()?.flatten();
                    stored.is_some_and(|stored| stored.op == image.op)
                }
                _ => return Err(failed("create image", &error)),
            },
        };
        if created {
            self.remember_age(image.id, image.created_at);
        }
        Ok(created)
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

    /// The images of these ids that exist, in as few requests as fit.
    ///
    /// # Errors
    /// If the store does not answer. Records that do not parse come as errors of their own.
    pub async fn images(
        &self,
        ids: &[ImageId],
    ) -> Result<Vec<(ImageId, Result<Option<Image>, ApiError>)>, ApiError> {
        let found = self
            .batch_get(ids.iter().map(|id| at::image_key(*id)).collect())
            .await?;
        Ok(found
            .iter()
            .filter_map(|found| {
                let pk = found.get(at::PK)?.as_s().ok()?;
                let id = ImageId::canonical(pk.strip_prefix("IMAGE#")?)?;
                Some((id, item::image(found)))
            })
            .collect())
    }

    /// Replaces an image by a changed one if nothing has changed it since it was read as `seen`.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn replace_image(&self, seen: &Image, next: &Image) -> Result<Written, ApiError> {
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
        let attributes = item::image_attributes(next);
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
        match request.update_expression(expression).send().await {
            Ok(_) => {
                self.remember_age(next.id, next.created_at);
                Ok(Written::Done)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(lost)) => {
                    let stored = lost.item().map(item::image).transpose()?.flatten();
                    // A lost answer and a second try by the client library: it is ours.
                    if stored.as_ref().is_some_and(|stored| stored.op == next.op) {
                        return Ok(Written::Done);
                    }
                    Ok(Written::Refused(stored.map(Box::new)))
                }
                _ => Err(failed("replace image", &error)),
            },
        }
    }

    /// Deletes an image that is not protected and belongs to the caller (or the caller is an
    /// admin). What is left is a tombstone; nothing of the image is visible from then on.
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
            .update_expression(format!(
                "{TOMBSTONE} REMOVE #gpk, #gsk, #vpk, #name, #tags, #properties"
            ))
            .set_expression_attribute_names(tombstone_names())
            .expression_attribute_names("#protected", at::PROTECTED)
            .expression_attribute_names("#gpk", at::GPK)
            .expression_attribute_names("#gsk", at::GSK)
            .expression_attribute_names("#vpk", at::VPK)
            .expression_attribute_names("#name", at::NAME)
            .expression_attribute_names("#tags", at::TAGS)
            .expression_attribute_names("#properties", at::PROPERTIES)
            .set_expression_attribute_values(tombstone_values(stamp.op, stamp.now))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        if !caller.is_admin() {
            condition.push_str(" AND #owner = :owner");
            request = request
                .expression_attribute_names("#owner", at::OWNER)
                .expression_attribute_values(":owner", s(caller.project.as_str()));
        }
        match request.condition_expression(condition).send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(lost)) => {
                    let Some(stored) = lost.item() else {
                        return Ok(Written::Refused(None));
                    };
                    // A lost answer and a second try by the client library: it is ours.
                    let op = item::Reader::new(stored).text(at::OP)?;
                    if op == stamp.op.to_string() {
                        return Ok(Written::Done);
                    }
                    Ok(Written::Refused(item::image(stored)?.map(Box::new)))
                }
                _ => Err(failed("delete image", &error)),
            },
        }
    }

    /// The images of a source from its newest (or oldest) on.
    pub fn stream(&self, source: Source, start: Start) -> Stream<'_> {
        Stream {
            store: self,
            source,
            start,
            buffer: VecDeque::new(),
            ended: false,
        }
    }

    /// The sort key after which a list goes on from an image that it has shown.
    pub fn position(image: &Image) -> String {
        at::image_gsk(image.created_at, image.id)
    }
}

/// Where a list's images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The images that a project owns.
    OwnedBy(ProjectId),
    /// The images of one visibility.
    Visible(Visibility),
    /// The images shared with a project that answered so.
    SharedWith(ProjectId, MemberStatus),
}

/// Where a stream begins, which way it runs, and how much it reads at a time.
#[derive(Clone, Debug)]
pub struct Start {
    /// After this sort key; from the end if there is none.
    pub after: Option<String>,
    /// From the oldest on.
    pub ascending: bool,
    /// Rows to read at a time.
    pub page: usize,
}

/// One source's images in the order of their sort keys.
pub struct Stream<'a> {
    store: &'a Store,
    source: Source,
    start: Start,
    buffer: VecDeque<(String, Image)>,
    ended: bool,
}

impl Stream<'_> {
    /// The next image and its sort key, without taking it; `None` at the end.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn peek(&mut self) -> Result<Option<&(String, Image)>, ApiError> {
        while self.buffer.is_empty() && !self.ended {
            self.fill().await?;
        }
        Ok(self.buffer.front())
    }

    /// Takes the next image, and how many rows it took to get there.
    pub fn take(&mut self) -> Option<Image> {
        self.buffer.pop_front().map(|(_, image)| image)
    }

    async fn fill(&mut self) -> Result<(), ApiError> {
        let (index, key, value) = match &self.source {
            Source::OwnedBy(project) => (at::BY_PROJECT, at::GPK, at::owner_gpk(project)),
            Source::Visible(visibility) => {
                (at::BY_VISIBILITY, at::VPK, at::visibility_vpk(*visibility))
            }
            Source::SharedWith(project, status) => {
                (at::BY_PROJECT, at::GPK, at::status_gpk(*status, project))
            }
        };
        let mut request = self
            .store
            .client
            .query()
            .table_name(&self.store.table)
            .index_name(index)
            .expression_attribute_names("#key", key)
            .expression_attribute_values(":key", s(value))
            .scan_index_forward(self.start.ascending)
            .limit(i32::try_from(self.start.page).unwrap_or(i32::MAX));
        request = match &self.start.after {
            None => request.key_condition_expression("#key = :key"),
            Some(after) => request
                .key_condition_expression(if self.start.ascending {
                    "#key = :key AND #gsk > :after"
                } else {
                    "#key = :key AND #gsk < :after"
                })
                .expression_attribute_names("#gsk", at::GSK)
                .expression_attribute_values(":after", s(after)),
        };
        let page = request
            .send()
            .await
            .map_err(|e| failed("list images", &e))?;
        let rows = page.items.unwrap_or_default();
        match rows
            .last()
            .and_then(|row| row.get(at::GSK))
            .and_then(|gsk| gsk.as_s().ok())
        {
            Some(last) => self.start.after = Some(last.clone()),
            None => self.ended = true,
        }
        if page.last_evaluated_key.is_none() {
            self.ended = true;
        }
        match &self.source {
            Source::OwnedBy(_) | Source::Visible(_) => {
                for row in &rows {
                    match item::image(row) {
                        Ok(Some(image)) => {
                            self.buffer
                                .push_back((gsk_of(row).unwrap_or_default(), image));
                        }
                        Ok(None) => {}
                        Err(corrupt) => skip(&corrupt),
                    }
                }
            }
            Source::SharedWith(project, status) => {
                let found = shared_with(self.store, project, *status, &rows).await?;
                self.buffer.extend(found);
            }
        }
        Ok(())
    }
}

/// The images behind rows of memberships, as both stand in the table now: what was unshared,
/// deleted or made private a moment ago is not shown, whatever the index still says.
async fn shared_with(
    store: &Store,
    project: &ProjectId,
    status: MemberStatus,
    rows: &[Item],
) -> Result<Vec<(String, Image)>, ApiError> {
    let ids: Vec<(String, ImageId)> = rows
        .iter()
        .filter_map(|row| {
            let gsk = gsk_of(row)?;
            let id = ImageId::canonical(gsk.rsplit('#').next()?)?;
            Some((gsk, id))
        })
        .collect();
    let keys = ids
        .iter()
        .flat_map(|(_, id)| [at::image_key(*id), at::member_key(*id, project)])
        .collect();
    let mut images = std::collections::HashMap::new();
    let mut members = std::collections::HashSet::new();
    for found in store.batch_get(keys).await? {
        if found.get(at::SK).is_some_and(|sk| sk == &s(at::IMAGE)) {
            match item::image(&found) {
                Ok(Some(image)) if image.visibility == Visibility::Shared => {
                    images.insert(image.id, image);
                }
                Ok(_) => {}
                Err(corrupt) => skip(&corrupt),
            }
        } else {
            match item::membership(&found) {
                Ok(Membership::Present(member)) if member.status == status => {
                    members.insert(member.image_id);
                }
                Ok(_) => {}
                Err(corrupt) => skip(&corrupt),
            }
        }
    }
    Ok(ids
        .into_iter()
        .filter(|(_, id)| members.contains(id))
        .filter_map(|(gsk, id)| Some((gsk, images.remove(&id)?)))
        .collect())
}

fn gsk_of(row: &Item) -> Option<String> {
    row.get(at::GSK)?.as_s().ok().cloned()
}

/// A record that does not parse is told to us and does not take its neighbours along.
fn skip(corrupt: &ApiError) {
    if let ApiError::Internal(why) = corrupt {
        tracing::error!(error.why = why.for_log(), "left out of a list");
    }
}
