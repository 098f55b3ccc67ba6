//! A page of a list: the sorted streams that the caller may see, merged.
//!
//! Rows of an index say which images there may be, and let a filter reject most of the others. What
//! is left is read from the table, and shown as it stands there.

use std::collections::HashSet;

use shared::domain::error::ApiError;
use shared::domain::id::ImageId;
use shared::domain::image::Image;
use shared::domain::image::projection::Projection;
use shared::domain::member::Memberships;
use shared::domain::policy::{Action, Caller, ImageAction, RecordAction, Subject};
use shared::domain::visibility::Visibility;
use shared::runtime::app::App;
use shared::store::Store;
use shared::store::list::{Row, Source, Start, Stream};

use crate::query::{Query, Shown};

/// Rows that are sorted by another key than their age, at most.
const SORTED_MAX: usize = 10_000;
/// Bytes of a page, at most, unless one image alone has more: Lambda allows 6 MB.
const PAGE_BYTES: usize = 4_000_000;
/// Bytes of images that are read at once, about.
const READ_BYTES: usize = 4_000_000;
/// Images that are read at once, at most.
const READ_MAX: usize = 400;
/// Images that are read at once as long as their size is not known: one `BatchGetItem` reads them
/// and their memberships.
const READ_UNKNOWN: usize = 50;

/// After so many rounds a page looks at as many rows at once as may be read.
const ROUNDS_MAX: u32 = 8;

/// A page.
pub struct Page {
    /// Its images.
    pub images: Vec<Image>,
    /// Where the next one begins, if there is more.
    pub next: Option<ImageId>,
}

/// Answers a list's question.
///
/// # Errors
/// 400 for a marker that is no image of the caller's, or for more images than can be sorted.
pub async fn page(app: &App, caller: &Caller, query: &Query) -> Result<Page, ApiError> {
    let marker = match &query.marker {
        None => None,
        Some(text) => Some(marker(app, caller, text).await?),
    };
    if query.nothing || query.limit == 0 {
        return Ok(Page {
            images: Vec::new(),
            next: None,
        });
    }
    match query.stored_order() {
        // On the heap, here and below: together these futures are too large for a thread's stack.
        Some(ascending) => Box::pin(in_stored_order(app, caller, query, marker, ascending)).await,
        None => Box::pin(sorted(app, caller, query, marker)).await,
    }
}

async fn marker(app: &App, caller: &Caller, text: &str) -> Result<Image, ApiError> {
    let unknown = || ApiError::bad_request(format!("No image found with ID {text}"));
    let id = ImageId::canonical(text).ok_or_else(unknown)?;
    let facts = app.store().facts(id, &[&caller.project]).await?;
    let action = Action::Image(ImageAction::Record(RecordAction::Show), facts.target(text));
    let decided = app.policy().decide(caller, action);
    decided.map_err(|_| unknown())?;
    facts.image.ok_or_else(unknown)
}

/// Merges the streams until the page is full; its cost depends on the page, not on the table.
async fn in_stored_order(
    app: &App,
    caller: &Caller,
    query: &Query,
    marker: Option<Image>,
    ascending: bool,
) -> Result<Page, ApiError> {
    let start = Start {
        after: marker.as_ref().map(Store::position),
        ascending,
        // One more than the page tells whether there is another.
        first: Some(query.limit + 1),
    };
    let mut merged = Merged::new(app, caller, query, start);
    let mut filling = Filling::new(app, caller, query);
    while !filling.is_full() {
        let rows = merged.some(filling.wanted()).await?;
        if rows.is_empty() {
            break;
        }
        filling.add(&rows).await?;
    }
    Ok(filling.page())
}

/// Reads the rows of all that the caller may see and sorts them: for the keys that the store keeps
/// no order by. Only the images of the page are read whole.
async fn sorted(
    app: &App,
    caller: &Caller,
    query: &Query,
    marker: Option<Image>,
) -> Result<Page, ApiError> {
    let start = Start {
        after: None,
        ascending: false,
        first: None,
    };
    let mut merged = Merged::new(app, caller, query, start);
    let marker = marker.map(|marker| marker.projection());
    let mut found: Vec<(Source, Projection)> = Vec::new();
    let mut examined = 0;
    loop {
        let rows = merged.some(READ_MAX).await?;
        if rows.is_empty() {
            break;
        }
        examined += rows.len();
        if examined > SORTED_MAX {
            return Err(ApiError::bad_request(format!(
                "More than {SORTED_MAX} images to sort: ask for fewer with owner or visibility, or \
                 sort by created_at."
            )));
        }
        for (source, projection) in projections(app, rows).await? {
            let after_marker = marker
                .as_ref()
                .is_none_or(|marker| query.compare(marker, &projection).is_lt());
            if after_marker && query.may_match(&projection) {
                found.push((source, projection));
            }
        }
    }
    found.sort_by(|(_, a), (_, b)| query.compare(a, b));
    let mut rows = found.into_iter().map(|(source, projection)| {
        let row = Row {
            position: String::new(),
            id: projection.id,
            projection: Some(projection),
        };
        (source, row)
    });
    let mut filling = Filling::new(app, caller, query);
    while !filling.is_full() {
        let rows: Vec<_> = rows.by_ref().take(filling.wanted()).collect();
        if rows.is_empty() {
            break;
        }
        filling.add(&rows).await?;
    }
    Ok(filling.page())
}

/// What the rows say of their images; an image that is shared with the caller is read for it.
async fn projections(
    app: &App,
    rows: Vec<(Source, Row)>,
) -> Result<Vec<(Source, Projection)>, ApiError> {
    let (known, unknown): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|(_, row)| row.projection.is_some());
    let known = known
        .into_iter()
        .filter_map(|(source, row)| Some((source, row.projection?)));
    let mut all: Vec<(Source, Projection)> = known.collect();
    for rows in unknown.chunks(READ_MAX / 2) {
        let keys: Vec<_> = rows.iter().map(|(source, row)| (source, row.id)).collect();
        let images = Box::pin(app.store().shown(&keys)).await?;
        let projections = rows.iter().zip(images);
        all.extend(
            projections
                .filter_map(|((source, _), image)| Some((source.clone(), image?.projection()))),
        );
    }
    Ok(all)
}

/// A page that is being filled.
struct Filling<'a> {
    app: &'a App,
    caller: &'a Caller,
    query: &'a Query,
    images: Vec<Image>,
    /// The ids of `images`.
    taken: HashSet<ImageId>,
    bytes: usize,
    /// Whether an image was found that the page has no room for.
    more: bool,
    /// Images and bytes that were read so far.
    read: (usize, usize),
    /// How often rows were looked at, up to a bound.
    rounds: u32,
}

impl<'a> Filling<'a> {
    fn new(app: &'a App, caller: &'a Caller, query: &'a Query) -> Self {
        Self {
            app,
            caller,
            query,
            images: Vec::new(),
            taken: HashSet::new(),
            bytes: 0,
            more: false,
            read: (0, 0),
            rounds: 0,
        }
    }

    const fn is_full(&self) -> bool {
        self.more
    }

    /// How many rows to look at next: as many as are missing, and more each time that they lead to
    /// fewer images than that.
    fn wanted(&self) -> usize {
        let missing = self.query.limit + 1 - self.images.len();
        let room = match self.read {
            (0, _) => READ_UNKNOWN,
            (images, bytes) => {
                (READ_BYTES * images / bytes.max(1)).clamp(READ_UNKNOWN / 2, READ_MAX)
            }
        };
        missing.saturating_mul(1 << (2 * self.rounds)).min(room)
    }

    /// Reads the images of some rows and takes those that belong on the page.
    async fn add(&mut self, rows: &[(Source, Row)]) -> Result<(), ApiError> {
        self.rounds = (self.rounds + 1).min(ROUNDS_MAX);
        let mut rest = rows;
        while !rest.is_empty() && !self.more {
            let (now, later) = rest.split_at(self.readable(rest));
            rest = later;
            let keys: Vec<_> = now.iter().map(|(source, row)| (source, row.id)).collect();
            let images = Box::pin(self.app.store().shown(&keys)).await?;
            for ((source, _), image) in now.iter().zip(images) {
                let Some(image) = image else { continue };
                let weight = image.weight();
                self.read = (self.read.0 + 1, self.read.1 + weight);
                if self.visible(source, &image) && self.query.matches(&image) {
                    self.take(image, weight);
                }
            }
        }
        Ok(())
    }

    /// Whether an image belongs in the list when it comes from this source.
    fn visible(&self, source: &Source, image: &Image) -> bool {
        let own = image.owner == self.caller.project;
        if self.query.own.is_some_and(|wanted| wanted != own) {
            return false;
        }
        // A membership was read with it.
        if matches!(source, Source::SharedWith(..)) {
            return true;
        }
        // Other projects' community images are shown to who asks for them.
        let hidden_community =
            image.visibility == Visibility::Community && !own && self.query.shown == Shown::Default;
        let subject = Subject {
            owner: &image.owner,
            visibility: image.visibility,
            memberships: &Memberships::default(),
        };
        !hidden_community && self.app.policy().sees(self.caller, subject)
    }

    /// How many of these rows' images can be read at once, by what is known of their size.
    fn readable(&self, rows: &[(Source, Row)]) -> usize {
        let mut bytes = 0;
        let fits = |(_, row): &&(Source, Row)| {
            bytes += row
                .projection
                .as_ref()
                .and_then(|projection| projection.weight)
                .unwrap_or(0);
            bytes <= READ_BYTES
        };
        rows.iter().take_while(fits).count().max(1)
    }

    fn take(&mut self, image: Image, weight: usize) {
        if self.taken.contains(&image.id) {
            return;
        }
        let fits = self.images.is_empty() || self.bytes + weight <= PAGE_BYTES;
        if self.more || self.images.len() == self.query.limit || !fits {
            self.more = true;
            return;
        }
        self.bytes += weight;
        self.taken.insert(image.id);
        self.images.push(image);
    }

    fn page(self) -> Page {
        let next = self.images.last().filter(|_| self.more).map(|last| last.id);
        Page {
            images: self.images,
            next,
        }
    }
}

/// Where the images come from that this caller may see in this list.
///
/// Another project's images are found among those that everybody may see and those that are shared
/// with the caller: the stream of what a project owns is read for its own list and for an admin's
/// only, so that it tells nobody how many there are.
fn sources(caller: &Caller, query: &Query) -> Vec<Source> {
    let shows = |visibility: Visibility| match query.shown {
        Shown::Default => visibility != Visibility::Community,
        Shown::All => true,
        Shown::Only(only) => only == visibility,
    };
    let owner = match query.owner.as_deref().map(crate::project) {
        Some(None) => return Vec::new(),
        Some(Some(owner)) => Some(owner),
        None => None,
    };
    if let Some(owner) = &owner
        && caller.acts_for(owner.as_str())
    {
        return vec![Source::OwnedBy(owner.clone())];
    }
    let mut sources = Vec::new();
    if owner.is_none() && query.own != Some(false) {
        sources.push(Source::OwnedBy(caller.project.clone()));
    }
    if query.own == Some(true) {
        return sources;
    }
    for visibility in Visibility::ALL {
        let open = matches!(visibility, Visibility::Public | Visibility::Community);
        if shows(visibility) && (open || caller.is_admin()) {
            sources.push(Source::Visible(visibility));
        }
    }
    if !caller.is_admin() && shows(Visibility::Shared) {
        for status in &query.member_statuses {
            sources.push(Source::SharedWith(caller.project.clone(), *status));
        }
    }
    sources
}

/// Several streams in one order. An image comes more than once if it is in more than one.
struct Merged<'a> {
    streams: Vec<(Source, Stream<'a>)>,
    ascending: bool,
    query: &'a Query,
}

impl<'a> Merged<'a> {
    fn new(app: &'a App, caller: &Caller, query: &'a Query, start: Start) -> Self {
        let streams = sources(caller, query)
            .into_iter()
            .map(|source| (source.clone(), app.store().stream(source, start.clone())))
            .collect();
        Self {
            streams,
            ascending: start.ascending,
            query,
        }
    }

    /// The next rows that may belong in the list: `most` of them, or fewer at the end.
    async fn some(&mut self, most: usize) -> Result<Vec<(Source, Row)>, ApiError> {
        let mut rows = Vec::new();
        while rows.len() < most {
            let Some((source, row)) = self.next().await? else {
                break;
            };
            let may_match = row
                .projection
                .as_ref()
                .is_none_or(|projection| self.query.may_match(projection));
            if may_match {
                rows.push((source, row));
            }
        }
        Ok(rows)
    }

    async fn next(&mut self) -> Result<Option<(Source, Row)>, ApiError> {
        let peeks = self.streams.iter_mut().map(|(_, stream)| stream.peek());
        let heads = futures::future::try_join_all(peeks).await?;
        let mut best: Option<(usize, &str)> = None;
        for (place, head) in heads.into_iter().enumerate() {
            let Some(row) = head else { continue };
            let first = best.is_none_or(|(_, best)| {
                if self.ascending {
                    row.position.as_str() < best
                } else {
                    row.position.as_str() > best
                }
            });
            if first {
                best = Some((place, &row.position));
            }
        }
        let place = best.map(|(place, _)| place);
        let stream = place.and_then(|place| self.streams.get_mut(place));
        Ok(stream.and_then(|(source, stream)| Some((source.clone(), stream.take()?))))
    }
}
