//! Memberships together with their images, for lists of what is shared with a project and of what a
//! project shares.
//!
//! Rows of an index name candidates. What is shown is read from the table, strongly consistent: an index
//! lags behind it.

use std::collections::{HashMap, HashSet};

use super::expression::{names, values};
use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::sdk_error::failed;
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::image::Image;
use crate::domain::member::{Member, Membership};
use crate::domain::visibility::Visibility;

/// A membership of a shared image, and the image. Its tags and properties may be missing.
#[derive(Clone, Debug)]
pub struct Share {
    /// The image.
    pub image: Image,
    /// The membership.
    pub member: Member,
}

/// A candidate: a row of an index that names a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The position in the list, from which a later page continues.
    pub position: String,
    /// The image.
    pub image: ImageId,
    /// The member.
    pub member: ProjectId,
}

impl Store {
    /// Reads candidates of what a project shares with others, newest share first, after a position: at
    /// most `limit`, or one page of the index. Returns whether more may follow.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn shared_by(
        &self,
        owner: &ProjectId,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<(Vec<Candidate>, bool), ApiError> {
        let condition = match after {
            None => "#opk = :owner",
            Some(_) => "#opk = :owner AND #osk < :after",
        };
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(at::BY_OWNER)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names(&[condition]))
            .set_expression_attribute_values(values([(":owner", s(at::shared_by_opk(owner)))]))
            .scan_index_forward(false)
            .set_limit(limit.map(|rows| i32::try_from(rows).unwrap_or(i32::MAX)));
        if let Some(after) = after {
            request = request.expression_attribute_values(":after", s(after));
        }
        let page = request
            .send()
            .await
            .map_err(|e| failed("list shares", &e))?;
        let mut candidates = Vec::with_capacity(page.items().len());
        for row in page.items() {
            match candidate(row) {
                Ok(candidate) => candidates.push(candidate),
                Err(corrupt) => skip(&corrupt),
            }
        }
        Ok((candidates, page.last_evaluated_key.is_some()))
    }

    /// Reads memberships and their images, one for each pair in order. A pair is `None` unless the image
    /// is shared and the project is a member of it at this moment.
    ///
    /// # Errors
    /// If the store does not answer. A record that does not parse is logged and is `None`.
    pub async fn shares(
        &self,
        pairs: &[(ImageId, &ProjectId)],
    ) -> Result<Vec<Option<Share>>, ApiError> {
        let mut keys = Vec::with_capacity(2 * pairs.len());
        // A request may name a key once.
        let (mut of_images, mut of_members) = (HashSet::new(), HashSet::new());
        for (image, member) in pairs {
            if of_images.insert(image) {
                keys.push(at::image_key(*image));
            }
            if of_members.insert((image, member)) {
                keys.push(at::member_key(*image, member));
            }
        }
        let (mut images, mut members) = (HashMap::new(), HashMap::new());
        for found in self.batch_get(keys).await? {
            if let Err(corrupt) = sort(&found, &mut images, &mut members) {
                skip(&corrupt);
            }
        }
        let shares = pairs.iter().map(|(id, project)| {
            let image = images.get(id)?;
            let member = members.get(&(*id, (*project).clone()))?;
            Some(Share {
                image: Image::clone(image),
                member: Member::clone(member),
            })
        });
        Ok(shares.collect())
    }
}

/// Sorts an item into the images that are shared and the memberships that exist.
fn sort(
    found: &Item,
    images: &mut HashMap<ImageId, Image>,
    members: &mut HashMap<(ImageId, ProjectId), Member>,
) -> Result<(), ApiError> {
    if found.get(at::SK).is_some_and(|sk| *sk == s(at::IMAGE)) {
        let image = item::image(found)?;
        let shared = image.filter(|image| image.visibility == Visibility::Shared);
        images.extend(shared.map(|image| (image.id, image)));
    } else if let Membership::Present(member) = item::membership(found)? {
        members.insert((member.image_id, member.member_id.clone()), member);
    }
    Ok(())
}

fn candidate(row: &Item) -> Result<Candidate, ApiError> {
    let read = item::Reader::of(row)?;
    let (image, member) = read.member_key()?;
    Ok(Candidate {
        position: read.text(at::OSK)?.to_owned(),
        image,
        member,
    })
}
