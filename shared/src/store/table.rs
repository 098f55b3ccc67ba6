//! The table: its client, and what an instance caches of its images.

use std::num::NonZeroUsize;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, TransactWriteItem};

use super::client::Client;
use super::expression::names;
use super::freshness::{Freshness, Indexes};
use super::keys::Item;
use super::write::{Transacted, Tries, transact};
use crate::domain::cache::ExpiringCache;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::image::Image;
use crate::domain::limits::ProjectLimits;
use crate::domain::time::Timestamp;
use crate::domain::trust::TrustCache;

/// Most keys of one `BatchGetItem`.
const BATCH_GET_MAX: usize = 100;
/// How many images an instance caches.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The table.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) freshness: Arc<Freshness>,
    known: Arc<ExpiringCache<ImageId, Arc<Known>>>,
    pub(super) trust: Arc<TrustCache>,
    pub(super) limits: ProjectLimits,
}

/// What an instance caches of an image: what a transaction that adds a member writes into the membership
/// and cannot read. It may have changed; the condition of each transaction that relies on it has the
/// last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// See [`Image::owner`].
    pub(super) owner: ProjectId,
    /// The last operation applied to the image.
    pub(super) op: OperationId,
    /// When the image was created.
    pub(super) created_at: Timestamp,
    /// See [`Image::name`].
    pub(super) name: Option<String>,
    /// See [`Image::projection`].
    pub(super) projection: String,
}

impl Known {
    pub(super) fn of(image: &Image) -> Self {
        Self {
            owner: image.owner.clone(),
            op: image.op,
            created_at: image.created_at,
            name: image.name.clone(),
            projection: image.projection(),
        }
    }
}

impl Store {
    /// Opens the table of that name.
    pub fn new(client: impl Into<Client>, table: String, indexes: Indexes) -> Self {
        Self {
            client: client.into(),
            table,
            freshness: Arc::new(Freshness::new(indexes)),
            known: Arc::new(ExpiringCache::new(KNOWN_MAX)),
            trust: Arc::default(),
            limits: ProjectLimits::default(),
        }
    }

    /// The same, with these limits of projects.
    #[must_use]
    pub fn with_limits(self, limits: ProjectLimits) -> Self {
        Self { limits, ..self }
    }

    pub(super) fn remember(&self, image: &Image) {
        let differs = self
            .remembered(image.id)
            .is_none_or(|known| known.op != image.op || known.owner != image.owner);
        if differs {
            let forever = Timestamp::from_micros(i64::MAX);
            self.known
                .insert(image.id, Arc::new(Known::of(image)), forever);
        }
    }

    pub(super) fn remembered(&self, id: ImageId) -> Option<Arc<Known>> {
        self.known.get(&id, Timestamp::from_micros(0))
    }

    /// Reads an item, strongly consistent.
    pub(super) async fn single_item(&self, key: Item) -> Result<Option<Item>, ApiError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .consistent_read(true);
        Ok(self.client.ask("get item", &request).await?.item)
    }

    /// Reads the items of these keys, strongly consistent, in as few requests as possible. Keys without
    /// an item are left out.
    pub(super) async fn batch_get(&self, keys: Vec<Item>) -> Result<Vec<Item>, ApiError> {
        match keys.len() {
            1..=BATCH_GET_MAX => self.batch_get_once(keys).await,
            _ => {
                let requests = keys
                    .chunks(BATCH_GET_MAX)
                    .map(|keys| self.batch_get_once(keys.to_vec()));
                Ok(futures::future::try_join_all(requests).await?.concat())
            }
        }
    }

    async fn batch_get_once(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, ApiError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut tries = Tries::begin();
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut keys)))
                .consistent_read(true)
                .build()
                .map_err(|e| ApiError::internal(format!("batch get: {e}")))?;
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted);
            let answer = self.client.ask("batch get", &request).await?;
            for items in answer.responses.unwrap_or_default().into_values() {
                found.extend(items);
            }
            match answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.table)
            {
                Some(rest) if !rest.keys.is_empty() => keys = rest.keys,
                _ => return Ok(found),
            }
            if !tries.again().await {
                return Err(ApiError::unavailable("batch get: keys stay unprocessed"));
            }
        }
    }

    /// Begins an update of one item under a condition. The values of the two expressions are still to be added.
    pub(super) fn update_if(
        &self,
        key: Item,
        update: &str,
        condition: &str,
    ) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .set_expression_attribute_names(names(&[update, condition]))
            .update_expression(update)
            .condition_expression(condition)
    }

    /// Sends one transaction until it is applied or cancelled by a condition. It is applied at most
    /// once, however often it is sent.
    pub(super) async fn transact(
        &self,
        what: &'static str,
        items: Vec<TransactWriteItem>,
    ) -> Result<Transacted, ApiError> {
        transact(&self.client, what, items).await
    }
}
