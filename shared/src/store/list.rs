//! Sorted streams of index rows, from which lists of images are merged.
//!
//! The rows of the indexes by age hold their images. The table is read for what an index does not hold,
//! and where it may be out of date: see `freshness`.

use std::collections::{HashMap, HashSet, VecDeque};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::expression::{names, values};
use super::freshness::Indexes;
use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::marks::Held;
use super::sdk_error::failed;
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::image::Image;
use crate::domain::image::projection::Fingerprints;
use crate::domain::member::{MemberStatus, Membership};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// How often the texts of an image are read while it is being changed.
const TEXT_TRIES: u32 = 5;
/// How often a writer checks whether an index shows its write.
const LAG_TRIES: u32 = 50;
/// The longest pause between two checks, in milliseconds.
const LAG_PAUSE_MS: u64 = 100;

/// The source of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The images that a project owns.
    OwnedBy(ProjectId),
    /// The images of one visibility.
    Visible(Visibility),
    /// The images shared with a project, in one status of its memberships.
    SharedWith(ProjectId, MemberStatus),
}

impl Source {
    /// The index, the name of its partition key, and the partition.
    fn by_age(&self) -> (&'static str, &'static str, String) {
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

    /// The same for images of one name; `None` if no index has them by name.
    fn by_name(&self, name: &str) -> Option<(&'static str, &'static str, String)> {
        match self {
            Self::OwnedBy(project) => Some((at::BY_NAME, at::NPK, at::owner_npk(project, name))),
            Self::Visible(visibility) => visibility
                .is_open()
                .then(|| (at::BY_OPEN_NAME, at::ONPK, at::open_onpk(*visibility, name))),
            Self::SharedWith(project, status) => (*status == MemberStatus::Accepted)
                .then(|| (at::BY_NAME, at::NPK, at::member_npk(project, name))),
        }
    }

    /// Whether there is an index of its images by name.
    pub fn is_indexed_by_name(&self) -> bool {
        self.by_name("").is_some()
    }
}

/// The start, the direction and the first read of a stream, and which of the rows it has.
#[derive(Clone, Debug)]
pub struct Start {
    /// Start after this sort key; `None` for the end of the index.
    pub after: Option<String>,
    /// Oldest first.
    pub ascending: bool,
    /// Rows of the first read; `None` for a whole page of the index, which later reads take anyway:
    /// skipped rows must not cost a request each.
    pub first: Option<usize>,
    /// Only images of this name, if there is an index of them.
    pub name: Option<String>,
    /// For each of these, only images whose projection contains one of the texts. Rows that hold no image
    /// pass.
    pub filters: Vec<Vec<String>>,
    /// Whether the rows of memberships tell when these were created and last changed.
    pub times: bool,
}

/// One row of a stream: a candidate image.
#[derive(Clone, Debug)]
pub struct Row {
    /// The sort key, by which streams are merged.
    pub position: String,
    /// The image's id.
    pub id: ImageId,
    /// The image as the index holds it, its count of members apart; `None` if it does not.
    pub image: Option<Image>,
    /// Fingerprints of its tags and properties, if these have an item of their own.
    pub fingerprints: Option<Fingerprints>,
    /// About the size of such an image in an answer, in bytes.
    pub weight: Option<usize>,
    /// When the membership was created and when it last changed, if that was asked for and the index
    /// holds it.
    pub times: Option<[Timestamp; 2]>,
}

impl Row {
    /// A row of an image of which only the id is known.
    pub const fn of(id: ImageId) -> Self {
        Self {
            position: String::new(),
            id,
            image: None,
            fingerprints: None,
            weight: None,
            times: None,
        }
    }

    /// Whether the row holds the whole image.
    pub fn is_whole(&self) -> bool {
        self.image.as_ref().is_some_and(|image| !image.incomplete)
    }
}

/// The rows of one source in order.
pub struct Stream<'a> {
    store: &'a Store,
    source: Source,
    start: Start,
    buffer: VecDeque<Row>,
    ended: bool,
}

impl Stream<'_> {
    /// Returns the next row without removing it; `None` at the end.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn peek(&mut self) -> Result<Option<&Row>, ApiError> {
        while self.buffer.is_empty() && !self.ended {
            Box::pin(self.fill()).await?;
        }
        Ok(self.buffer.front())
    }

    /// Removes and returns the next row, which [`Stream::peek`] has read.
    pub fn take(&mut self) -> Option<Row> {
        self.buffer.pop_front()
    }

    async fn fill(&mut self) -> Result<(), ApiError> {
        let page = self.request().send().await;
        let page = page.map_err(|e| failed("list images", &e))?;
        for found in page.items() {
            match row(found) {
                Ok(row) => self.buffer.push_back(row),
                Err(corrupt) => skip(&corrupt),
            }
        }
        // Where the store stopped reading: behind the last row that a filter left out, too.
        let last = page.last_evaluated_key.as_ref();
        let last = last.and_then(|key| key.get(at::GSK)?.as_s().ok());
        self.start.after = last.cloned();
        self.ended = last.is_none();
        Ok(())
    }

    fn request(&mut self) -> QueryFluentBuilder {
        let name = self.start.name.as_deref();
        let by_name = name.and_then(|name| self.source.by_name(name));
        let holds_images = by_name.is_none();
        let (index, key, value) = by_name.unwrap_or_else(|| self.source.by_age());
        let condition = match (&self.start.after, self.start.ascending) {
            (None, _) => format!("#{key} = :key"),
            (Some(_), true) => format!("#{key} = :key AND #gsk > :after"),
            (Some(_), false) => format!("#{key} = :key AND #gsk < :after"),
        };
        let mut values = Item::from([(":key".to_owned(), s(value))]);
        if let Some(after) = &self.start.after {
            values.insert(":after".to_owned(), s(after));
        }
        let of_images = !matches!(self.source, Source::SharedWith(..));
        let filter = match holds_images {
            true => filter(&self.start.filters, &mut values),
            false => None,
        };
        let wanted = match (holds_images, of_images) {
            (true, true) => "#pk, #gsk, #projection, #sketch, #weight",
            (true, false) if self.start.times => "#pk, #gsk, #projection, #created_at, #updated_at",
            (true, false) => "#pk, #gsk, #projection",
            (false, _) => "#pk, #gsk",
        };
        let first = self.start.first.take();
        self.store
            .client
            .query()
            .table_name(&self.store.table)
            .index_name(index)
            .set_expression_attribute_names(names(&[
                &condition,
                wanted,
                filter.as_deref().unwrap_or_default(),
            ]))
            .set_expression_attribute_values(Some(values))
            .key_condition_expression(condition)
            .projection_expression(wanted)
            .set_filter_expression(filter)
            .scan_index_forward(self.start.ascending)
            .set_limit(first.map(|rows| i32::try_from(rows).unwrap_or(i32::MAX)))
    }
}

/// Builds the expression that the store filters rows by; `None` for no filter.
fn filter(filters: &[Vec<String>], values: &mut Item) -> Option<String> {
    let mut parts = Vec::new();
    for (number, texts) in filters.iter().enumerate() {
        // A membership without room for its image holds an operation alone.
        let mut either = vec!["NOT contains(#projection, :image)".to_owned()];
        for (place, text) in texts.iter().enumerate() {
            let place = format!(":text{number}x{place}");
            either.push(format!("contains(#projection, {place})"));
            values.insert(place, s(text));
        }
        parts.push(format!("({})", either.join(" OR ")));
    }
    if parts.is_empty() {
        return None;
    }
    values.insert(":image".to_owned(), s("{"));
    Some(parts.join(" AND "))
}

fn row(found: &Item) -> Result<Row, ApiError> {
    let read = item::Reader::of(found)?;
    Ok(Row {
        position: read.text(at::GSK)?.to_owned(),
        id: read.image_id()?,
        image: item::projected(&read)?,
        fingerprints: item::fingerprints(&read)?,
        weight: read.optional_number(at::WEIGHT)?,
        times: match read.has(at::CREATED_AT) {
            true => Some([
                read.parsed(at::CREATED_AT, Timestamp::parse)?,
                read.parsed(at::UPDATED_AT, Timestamp::parse)?,
            ]),
            false => None,
        },
    })
}

impl Store {
    /// Opens a stream of a source's rows.
    pub fn stream(&self, source: Source, start: Start) -> Stream<'_> {
        Stream {
            store: self,
            source,
            start,
            buffer: VecDeque::new(),
            ended: false,
        }
    }

    /// Returns the position from which a list continues after an image.
    pub fn position(image: &Image) -> String {
        at::image_gsk(image.created_at, image.id)
    }

    /// The image of each row in order, as it is now: from the row itself if that can be relied on, or
    /// else from the table. `None` if it no longer belongs to the row's source.
    ///
    /// # Errors
    /// If the store does not answer. A record that does not parse is logged and is `None`.
    pub async fn images_of(
        &self,
        caller: &ProjectId,
        rows: Vec<(Source, Row)>,
        now: Timestamp,
    ) -> Result<Vec<(Source, Option<Image>)>, ApiError> {
        let held = rows.iter().map(|(source, row)| Held {
            image: row.id,
            owner: row.image.as_ref().map(|image| &image.owner),
            is_membership: matches!(source, Source::SharedWith(..)),
        });
        let stale = self.may_be_stale(caller, held, now).await?;
        let mut images = Vec::with_capacity(rows.len());
        let mut unknown = Vec::new();
        for ((source, row), stale) in rows.into_iter().zip(stale) {
            if stale || !row.is_whole() {
                unknown.push((images.len(), row.id));
                images.push((source, None));
            } else {
                images.push((source, row.image));
            }
        }
        if unknown.is_empty() {
            return Ok(images);
        }
        let wanted = unknown.iter();
        let wanted = wanted.filter_map(|(place, id)| Some((&images.get(*place)?.0, *id)));
        let found = self.shown(&wanted.collect::<Vec<_>>()).await?;
        for ((place, _), image) in unknown.into_iter().zip(found) {
            if let Some((_, slot)) = images.get_mut(place) {
                *slot = image;
            }
        }
        Ok(images)
    }

    /// Reads the images of some rows from the table, one for each row in order. An image that no longer
    /// belongs to its row's source is `None`: what was unshared, deleted or hidden a moment ago does
    /// not show, whatever the index still says.
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

    /// Reads the tags and properties that are stored apart. Returns the indexes of the images for which
    /// they were not found.
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
            let id = item::Head::of(&found).image_id().ok();
            let same = id.and_then(|id| incomplete.remove(&id));
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

    /// Waits until an index shows a write, so that the caller's next list shows it too; gives up after
    /// some seconds. Returns at once for the embedded engine, whose indexes do not lag.
    ///
    /// `position` is the row's sort key in the partition `gpk` of [`at::BY_PROJECT`]; `written` tells
    /// the row as it is after the write.
    pub(super) async fn await_index(
        &self,
        gpk: &str,
        position: &str,
        written: impl Fn(&Item) -> bool,
    ) {
        if self.freshness.indexes == Indexes::Immediate {
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
            // The write succeeded, whether or not the index can be read.
            let Ok(page) = found else { return };
            if page.items().first().is_some_and(&written) {
                return;
            }
            let pause = LAG_PAUSE_MS.min(2_u64 << attempt.min(8));
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        tracing::warn!(position, "the index does not show what was written");
    }
}
