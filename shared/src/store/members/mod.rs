//! Memberships: add, remove, answer, list, reconcile with their image.
//!
//! A membership is one item beside its image. Adding and removing are transactions over the two,
//! so that the count of members is exact; answering touches the membership alone, so that any
//! number of members can answer at once.

mod answer;
mod change;
mod declare;
mod late;
mod list;
mod plan;
mod reconcile;
mod tombstone;

use std::collections::HashMap;
use std::sync::Arc;

use super::freshness::Indexes;
use super::item;
use super::keys as at;
use super::table::Store;
use crate::domain::actor::{Actor, Origin};
use crate::domain::change::Change;
use crate::domain::error::ApiError;
use crate::domain::facts::Facts;
use crate::domain::id::{ImageId, JobId, OperationId, ProjectId};
use crate::domain::image::Image;
use crate::domain::member::Membership;
use crate::domain::time::Timestamp;

pub use tombstone::TOMBSTONE_SECONDS;

/// Most members that share one transaction with their image.
pub const TRANSACTION_MEMBERS: usize = 99;
/// The same for an embedded engine, which does nothing else during a transaction: others wait for this one.
const EMBEDDED_MEMBERS: usize = 16;

/// Which request wins if the stored operation is not older than this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A direct call always wins: it moves its operation id past the stored one.
    Direct,
    /// An entry of a batch wins only if its request was accepted later.
    Batch,
}

/// The operation id and the time of an accepted request, how it fares in races, and where it comes from.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The operation's id.
    pub op: OperationId,
    /// The time that is recorded.
    pub now: Timestamp,
    /// Direct call or batch entry.
    pub order: Order,
    /// Who made the request.
    pub by: Arc<Origin>,
}

impl Stamp {
    /// The stamp of a direct call.
    pub fn direct(op: OperationId, now: Timestamp, by: Origin) -> Self {
        Self {
            op,
            now,
            order: Order::Direct,
            by: Arc::new(by),
        }
    }

    /// The stamp of a batch's entries, whose operation is their job.
    pub fn batch(job: JobId, now: Timestamp, by: Origin) -> Self {
        Self {
            op: job,
            now,
            order: Order::Batch,
            by: Arc::new(Origin {
                job: Some(job),
                ..by
            }),
        }
    }

    /// Who made the request, for the record.
    pub(super) fn actor(&self) -> Option<Actor> {
        self.by.actor.clone()
    }
}

/// The result of adding or removing members of one image.
#[derive(Clone, Debug)]
pub enum Changed {
    /// The image does not allow it. The image as it is stored; `None` if it does not exist.
    Image(Option<Box<Image>>),
    /// One change for each member, in order.
    Members(Vec<Change>),
}

impl Store {
    /// The most members of an image that are best changed in one transaction.
    pub fn members_at_once(&self) -> usize {
        match self.freshness.indexes {
            Indexes::Immediate => EMBEDDED_MEMBERS,
            Indexes::Eventual => TRANSACTION_MEMBERS,
        }
    }

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
            read(&mut facts, &found)?;
        }
        if let Some(image) = &facts.image {
            self.remember(image);
        }
        Ok(facts)
    }

    /// Reads some images and one project's membership of each, in as few requests as possible.
    ///
    /// # Errors
    /// If the store does not answer. A record that does not parse is an error of its image alone.
    pub async fn facts_of(
        &self,
        images: &[ImageId],
        project: &ProjectId,
    ) -> Result<HashMap<ImageId, Result<Facts, ApiError>>, ApiError> {
        let keys = images.iter();
        let keys = keys.flat_map(|id| [at::image_key(*id), at::member_key(*id, project)]);
        let mut all: HashMap<ImageId, Result<Facts, ApiError>> = HashMap::new();
        for found in self.batch_get(keys.collect()).await? {
            let Ok(id) = item::Head::of(&found).image_id() else {
                continue;
            };
            let slot = all.entry(id).or_insert_with(|| Ok(Facts::default()));
            let Ok(facts) = slot else { continue };
            if let Err(corrupt) = read(facts, &found) {
                *slot = Err(corrupt);
            }
        }
        for image in all
            .values()
            .flatten()
            .filter_map(|facts| facts.image.as_ref())
        {
            self.remember(image);
        }
        Ok(all)
    }

    /// Reads the memberships under these keys, tombstones included. Keys without an item are left out.
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
            let key = item::Head::of(&found).member_key()?;
            all.insert(key, item::membership(&found)?);
        }
        Ok(all)
    }
}

/// Adds one item of an image's partition to its facts.
fn read(facts: &mut Facts, found: &at::Item) -> Result<(), ApiError> {
    let sk = found.get(at::SK).and_then(|sk| sk.as_s().ok());
    if sk.is_some_and(|sk| sk == at::IMAGE) {
        facts.image = item::image(found)?;
    } else {
        let (_, member) = item::Head::of(found).member_key()?;
        facts.memberships.insert(member, item::membership(found)?);
    }
    Ok(())
}
