//! Sorted streams of index rows, from which lists of images are merged.
//!
//! The rows of the indexes by age hold their images. What a list shows of them: see `shown`.

mod named;

use std::collections::VecDeque;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::expression::{names, values};
use super::freshness::Indexes;
use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::image::Image;
use crate::domain::image::fingerprints::Fingerprints;
use crate::domain::member::MemberStatus;
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

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
        self.is_indexed_by_name().then(|| match self {
            Self::OwnedBy(project) => (at::BY_NAME, at::NPK, at::owner_npk(project, name)),
            Self::Visible(visibility) => {
                let partition = at::open_onpk(*visibility, name);
                (at::BY_OPEN_NAME, at::ONPK, partition)
            }
            Self::SharedWith(project, _) => (at::BY_NAME, at::NPK, at::member_npk(project, name)),
        })
    }

    /// Whether there is an index of its images by name.
    pub fn is_indexed_by_name(&self) -> bool {
        match self {
            Self::OwnedBy(_) => true,
            Self::Visible(visibility) => visibility.is_open(),
            Self::SharedWith(_, status) => *status == MemberStatus::Accepted,
        }
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
    /// Whether the image was read from the table, for this list.
    pub is_read: bool,
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
            is_read: false,
        }
    }

    /// Whether it comes from an index.
    pub const fn is_listed(&self) -> bool {
        !self.position.is_empty()
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
        let request = self.request();
        let page = self.store.client.ask("list images", &request).await?;
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
        is_read: false,
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
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(at::BY_PROJECT)
                .key_condition_expression(condition)
                .set_expression_attribute_names(names(&[condition]))
                .set_expression_attribute_values(values([(":gpk", s(gpk)), (":gsk", s(position))]))
                .limit(1);
            let found = self.client.send(&request).await;
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
