//! The sorted streams that lists of images are made of.
//!
//! A stream reads rows of an index. They say which images there may be, and enough to leave most out
//! that a filter rejects; an index lags behind the table, so what is shown is read from the table.

use std::collections::{HashMap, HashSet, VecDeque};

use super::expression::{names, values};
use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::sdk_error::failed;
use super::table::{Indexes, Store};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::image::Image;
use crate::domain::image::card::Card;
use crate::domain::member::{MemberStatus, Membership};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// How often the texts of an image that is being changed are looked for.
const TEXT_TRIES: u32 = 5;
/// How often a writer asks an index whether it shows what was written.
const LAG_TRIES: u32 = 50;
/// Milliseconds between two of these questions, at most.
const LAG_PAUSE_MS: u64 = 100;

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

impl Source {
    fn index(&self) -> (&'static str, &'static str, String) {
        match self {
            Self::OwnedBy(project) => (at::BY_PROJECT, at::GPK, at::owner_gpk(project)),
            Self::Visible(visibility) => {
                (at::BY_VISIBILITY, at::VPK, at::visibility_vpk(*visibility))
            }
            Self::SharedWith(project, status) => {
                (at::BY_PROJECT, at::GPK, at::status_gpk(*status, project))
            }
        }
    }
}

/// Where a stream begins, which way it runs, and how much it reads first.
#[derive(Clone, Debug)]
pub struct Start {
    /// After this sort key; from the end if there is none.
    pub after: Option<String>,
    /// From the oldest on.
    pub ascending: bool,
    /// Rows of the first read; a whole page of the index if there is no number, and from the second
    /// read on: rows that are left out must not cost a request each.
    pub first: Option<usize>,
}

/// One row of a stream: an image that may be shown.
#[derive(Clone, Debug)]
pub struct Row {
    /// The place of the row in the order of the streams.
    pub position: String,
    /// The image.
    pub id: ImageId,
    /// What the index knows of it; nothing, if it is shared with the project that asks.
    pub card: Option<Card>,
}

/// One source's rows in the order of their positions.
pub struct Stream<'a> {
    store: &'a Store,
    source: Source,
    start: Start,
    buffer: VecDeque<Row>,
    ended: bool,
}

impl Stream<'_> {
    /// The next row, which stays in the stream; `None` at the end.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn peek(&mut self) -> Result<Option<&Row>, ApiError> {
        while self.buffer.is_empty() && !self.ended {
            Box::pin(self.fill()).await?;
        }
        Ok(self.buffer.front())
    }

    /// Removes and returns the row that [`Stream::peek`] has shown.
    pub fn take(&mut self) -> Option<Row> {
        self.buffer.pop_front()
    }

    async fn fill(&mut self) -> Result<(), ApiError> {
        let (index, key, value) = self.source.index();
        let first = self.start.first.take();
        let condition = match (&self.start.after, self.start.ascending) {
            (None, _) => format!("#{key} = :key"),
            (Some(_), true) => format!("#{key} = :key AND #gsk > :after"),
            (Some(_), false) => format!("#{key} = :key AND #gsk < :after"),
        };
        let mut request = self
            .store
            .client
            .query()
            .table_name(&self.store.table)
            .index_name(index)
            .set_expression_attribute_names(names(&[&condition]))
            .expression_attribute_values(":key", s(value))
            .key_condition_expression(condition)
            .scan_index_forward(self.start.ascending)
            .set_limit(first.map(|rows| i32::try_from(rows).unwrap_or(i32::MAX)));
        if let Some(after) = &self.start.after {
            request = request.expression_attribute_values(":after", s(after));
        }
        let page = request
            .send()
            .await
            .map_err(|e| failed("list images", &e))?;
        for found in page.items() {
            match row(&self.source, found) {
                Ok(row) => {
                    self.start.after = Some(row.position.clone());
                    self.buffer.push_back(row);
                }
                Err(corrupt) => skip(&corrupt),
            }
        }
        self.ended = page.last_evaluated_key.is_none() || page.items().is_empty();
        Ok(())
    }
}

fn row(source: &Source, found: &Item) -> Result<Row, ApiError> {
    let read = item::Reader::new(found);
    let position = read.text(at::GSK)?.to_owned();
    let (id, card) = match source {
        Source::OwnedBy(_) | Source::Visible(_) => {
            let card = item::card(found)?;
            (card.id, Some(card))
        }
        Source::SharedWith(..) => (
            item::image_id_of(found).ok_or_else(|| read.corrupt(at::PK))?,
            None,
        ),
    };
    Ok(Row { position, id, card })
}

impl Store {
    /// The rows of a source from its newest (or oldest) on.
    pub fn stream(&self, source: Source, start: Start) -> Stream<'_> {
        Stream {
            store: self,
            source,
            start,
            buffer: VecDeque::new(),
            ended: false,
        }
    }

    /// The position after which a list goes on from an image that it has shown.
    pub fn position(image: &Image) -> String {
        at::image_gsk(image.created_at, image.id)
    }

    /// The images of some rows as the table has them now, if they still belong to the source that
    /// the row came from: what was unshared, deleted or hidden a moment ago is `None`, whatever the
    /// index still says. One image a row, in their order.
    ///
    /// # Errors
    /// If the store does not answer. A record that does not parse is logged and is `None`.
    pub async fn shown(&self, rows: &[(&Source, ImageId)]) -> Result<Vec<Option<Image>>, ApiError> {
        let mut images = self.shown_once(rows).await?;
        for _ in 0..TEXT_TRIES {
            let missing = self.complete_all(&mut images).await?;
            if missing.is_empty() {
                break;
            }
            // They were changed between the two reads.
            let again: Vec<_> = missing
                .iter()
                .filter_map(|at| rows.get(*at).copied())
                .collect();
            let found = self.shown_once(&again).await?;
            for (at, image) in missing.into_iter().zip(found) {
                if let Some(slot) = images.get_mut(at) {
                    *slot = image;
                }
            }
        }
        Ok(images)
    }

    /// Reads the tags and properties that are kept apart. Returns the places of the images whose
    /// texts are not there.
    async fn complete_all(&self, images: &mut [Option<Image>]) -> Result<Vec<usize>, ApiError> {
        let mut incomplete: HashMap<ImageId, Vec<(usize, &mut Image)>> = HashMap::new();
        for (at, image) in images.iter_mut().enumerate() {
            if let Some(image) = image.as_mut().filter(|image| image.incomplete) {
                incomplete.entry(image.id).or_default().push((at, image));
            }
        }
        let first = incomplete.values().filter_map(|same| same.first());
        let keys: Vec<_> = first
            .map(|(_, image)| at::texts_key(image.id, image.op))
            .collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        for found in self.batch_get(keys).await? {
            let same = item::image_id_of(&found).and_then(|id| incomplete.remove(&id));
            for (_, image) in same.into_iter().flatten() {
                item::complete(image, &found)?;
            }
        }
        Ok(incomplete
            .into_values()
            .flatten()
            .map(|(at, _)| at)
            .collect())
    }

    async fn shown_once(
        &self,
        rows: &[(&Source, ImageId)],
    ) -> Result<Vec<Option<Image>>, ApiError> {
        let mut keys = Vec::with_capacity(rows.len());
        // A request may name a key once.
        let (mut of_images, mut of_members) = (HashSet::new(), HashSet::new());
        for (source, id) in rows {
            if of_images.insert(id) {
                keys.push(at::image_key(*id));
            }
            if let Source::SharedWith(project, _) = source
                && of_members.insert(id)
            {
                keys.push(at::member_key(*id, project));
            }
        }
        let mut images = HashMap::new();
        let mut statuses = HashMap::new();
        for found in self.batch_get(keys).await? {
            if found.get(at::SK).is_some_and(|sk| *sk == s(at::IMAGE)) {
                match item::image(&found) {
                    Ok(Some(image)) => {
                        images.insert(image.id, image);
                    }
                    Ok(None) => {}
                    Err(corrupt) => skip(&corrupt),
                }
            } else {
                match item::membership(&found) {
                    Ok(Membership::Present(member)) => {
                        statuses.insert(member.image_id, member.status);
                    }
                    Ok(Membership::Gone { .. }) => {}
                    Err(corrupt) => skip(&corrupt),
                }
            }
        }
        let shown = |source: &Source, image: &Image| match source {
            Source::OwnedBy(project) => image.owner == *project,
            Source::Visible(visibility) => image.visibility == *visibility,
            Source::SharedWith(_, status) => {
                image.visibility == Visibility::Shared && statuses.get(&image.id) == Some(status)
            }
        };
        let found = rows.iter().map(|(source, id)| {
            let image = images.get(id).filter(|image| shown(source, image));
            image.cloned()
        });
        Ok(found.collect())
    }

    /// Returns when an index shows what was written to it, so that the caller's next list does too;
    /// at the latest after some seconds. The embedded engine's indexes show it at once.
    ///
    /// `position` is the row's, in the partition `gpk` of [`at::BY_PROJECT`], and `updated_at` what
    /// the row says once it is written.
    pub(super) async fn await_index(&self, gpk: &str, position: &str, updated_at: Timestamp) {
        if self.indexes == Indexes::Immediate {
            return;
        }
        let condition = "#gpk = :gpk AND #gsk = :gsk";
        for attempt in 0..LAG_TRIES {
            let found = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(at::BY_PROJECT)
                .key_condition_expression(condition)
                .set_expression_attribute_names(names(&[condition]))
                .set_expression_attribute_values(values([(":gpk", s(gpk)), (":gsk", s(position))]))
                .limit(1)
                .send()
                .await;
            // It was written: that the index cannot be asked is no reason to say otherwise.
            let Ok(page) = found else { return };
            let written = |row: &Item| row.get(at::UPDATED_AT) == Some(&s(updated_at.stored()));
            if page.items().first().is_some_and(written) {
                return;
            }
            let pause = LAG_PAUSE_MS.min(2_u64 << attempt.min(8));
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        tracing::warn!(position, "the index does not show what was written");
    }
}
