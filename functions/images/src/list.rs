//! A page of a list: the sorted streams that the caller may see, merged.
//!
//! Rows of the indexes hold their images. What they do not hold, and what they may be wrong about, is
//! read from the table. Images of a name are found by the name, images of an id by the id.

use std::cmp::Ordering;
use std::collections::HashSet;

use shared::domain::error::ApiError;
use shared::domain::id::ImageId;
use shared::domain::image::{Image, no_image};
use shared::domain::member::Memberships;
use shared::domain::policy::{Action, Caller, ImageAction, RecordAction, Subject};
use shared::domain::visibility::Visibility;
use shared::http::answers::ImageType;
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
/// What an image takes of these bytes if its size is not known: 50 images and as many memberships are
/// read by one `BatchGetItem`.
const UNKNOWN_BYTES: usize = READ_BYTES / 50;
/// Rows that are looked at at once, at most.
const ROWS_MAX: usize = 1_001;

/// After so many rounds a page looks at as many rows at once as may be read.
const ROUNDS_MAX: u32 = 8;

/// A page.
pub struct Page {
    /// Its images.
    pub images: Vec<Image>,
    /// Where the next one begins, if there is more.
    pub next: Option<ImageId>,
}

/// Reads a page of a list.
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
    match query.stored_order().filter(|_| query.ids().is_none()) {
        // On the heap, here and below: together these futures are too large for a thread's stack.
        Some(ascending) => Box::pin(in_stored_order(app, caller, query, marker, ascending)).await,
        None => Box::pin(sorted(app, caller, query, marker)).await,
    }
}

async fn marker(app: &App, caller: &Caller, text: &str) -> Result<Image, ApiError> {
    let unknown = || ApiError::bad_request(no_image(text));
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
        name: None,
        filters: query.stored_filters(),
        times: false,
    };
    let mut merged = Merged::open(app, caller, query, start).await?;
    let mut filling = Filling::new(app, caller, query);
    while !filling.is_full() {
        let rows = merged.some(filling.wanted()).await?;
        if rows.is_empty() {
            break;
        }
        filling.add(rows).await?;
    }
    Ok(filling.page())
}

/// Sorts all that the caller may see: for the keys that the store keeps no order by.
async fn sorted(
    app: &App,
    caller: &Caller,
    query: &Query,
    marker: Option<Image>,
) -> Result<Page, ApiError> {
    let candidates = match query.ids() {
        Some(ids) => of_ids(caller, query, &ids),
        None => all(app, caller, query).await?,
    };
    let mut found: Vec<(Source, Row)> = Vec::new();
    for (source, row) in whole(app, caller, candidates).await? {
        let belongs = row.image.as_ref().is_some_and(|image| {
            let after = |marker: &Image| query.compare(marker, image).is_lt();
            marker.as_ref().is_none_or(after) && query.may_match(image, row.fingerprints.as_ref())
        });
        if belongs {
            found.push((source, row));
        }
    }
    found.sort_by(|(_, a), (_, b)| match (&a.image, &b.image) {
        (Some(a), Some(b)) => query.compare(a, b),
        _ => Ordering::Equal,
    });
    let mut rows = found.into_iter();
    let mut filling = Filling::new(app, caller, query);
    while !filling.is_full() {
        let rows: Vec<_> = rows.by_ref().take(filling.wanted()).collect();
        if rows.is_empty() {
            break;
        }
        filling.add(rows).await?;
    }
    Ok(filling.page())
}

/// All rows that may belong in the list.
async fn all(app: &App, caller: &Caller, query: &Query) -> Result<Vec<(Source, Row)>, ApiError> {
    let start = Start {
        after: None,
        ascending: false,
        first: None,
        name: None,
        filters: query.stored_filters(),
        times: false,
    };
    let mut merged = Merged::open(app, caller, query, start).await?;
    let mut all = Vec::new();
    loop {
        let rows = merged.some(READ_MAX).await?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.extend(rows);
        if all.len() > SORTED_MAX {
            return Err(ApiError::bad_request(format!(
                "More than {SORTED_MAX} images to sort: ask for fewer with owner or visibility, or \
                 sort by created_at."
            )));
        }
    }
}

/// A row for each way in which the caller may see an image of one of these ids.
fn of_ids(caller: &Caller, query: &Query, ids: &[ImageId]) -> Vec<(Source, Row)> {
    let sources = sources(caller, query);
    let rows = ids.iter().flat_map(|id| {
        let rows = sources.iter();
        rows.map(|source| (source.clone(), Row::of(*id)))
    });
    rows.collect()
}

/// The rows with their images; those without are read.
async fn whole(
    app: &App,
    caller: &Caller,
    rows: Vec<(Source, Row)>,
) -> Result<Vec<(Source, Row)>, ApiError> {
    let (mut all, mut unknown): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, row)| row.image.is_some());
    while !unknown.is_empty() {
        let part = unknown.split_off(unknown.len().saturating_sub(READ_MAX / 2));
        let read = Box::pin(app.store().images_of(&caller.project, part, app.now())).await?;
        all.extend(read.into_iter().filter_map(|(source, image)| {
            let image = image?;
            let row = Row {
                image: Some(image.clone()),
                is_read: true,
                ..Row::of(image.id)
            };
            Some((source, row))
        }));
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
        missing.saturating_mul(1 << (2 * self.rounds)).min(ROWS_MAX)
    }

    /// Takes the images of some rows that belong on the page.
    async fn add(&mut self, rows: Vec<(Source, Row)>) -> Result<(), ApiError> {
        self.rounds = (self.rounds + 1).min(ROUNDS_MAX);
        let mut rest = rows;
        while !rest.is_empty() && !self.more {
            let later = rest.split_off(self.readable(&rest));
            let now = std::mem::replace(&mut rest, later);
            let store = self.app.store();
            let images = store.images_of(&self.caller.project, now, self.app.now());
            for (source, image) in Box::pin(images).await? {
                let Some(image) = image else { continue };
                if self.visible(&source, &image) && self.query.matches(&image) {
                    self.take(image);
                }
            }
        }
        Ok(())
    }

    /// Whether an image belongs in the list when it comes from this source.
    fn visible(&self, source: &Source, image: &Image) -> bool {
        let image_type = ImageType::of(image, &self.caller.project);
        if self
            .query
            .image_type
            .is_some_and(|wanted| wanted != image_type)
        {
            return false;
        }
        // A membership was read with it.
        if matches!(source, Source::SharedWith(..)) {
            return true;
        }
        // Other projects' community images are shown to who asks for them.
        let hidden_community = image.visibility == Visibility::Community
            && image.owner != self.caller.project
            && self.query.shown == Shown::Default;
        let subject = Subject {
            owner: &image.owner,
            visibility: image.visibility,
            memberships: &Memberships::default(),
        };
        !hidden_community && self.app.policy().sees(self.caller, subject)
    }

    /// How many of these rows can be completed at once, by what is known of the size of their images.
    fn readable(&self, rows: &[(Source, Row)]) -> usize {
        let (mut bytes, mut reads) = (0, 0);
        let fits = |(_, row): &&(Source, Row)| {
            if !row.is_whole() {
                reads += 1;
                bytes += row.weight.unwrap_or(UNKNOWN_BYTES);
            }
            bytes <= READ_BYTES && reads <= READ_MAX
        };
        rows.iter().take_while(fits).count().max(1)
    }

    fn take(&mut self, image: Image) {
        if self.taken.contains(&image.id) {
            return;
        }
        let weight = image.weight();
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
    let has = |visibility| query.image_type.is_none_or(|wanted| wanted.has(visibility));
    let shows = |visibility: Visibility| match query.shown {
        _ if !has(visibility) => false,
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
    // Of its own images only the public ones are of another type, and these are among all public ones.
    if owner.is_none() && matches!(query.image_type, None | Some(ImageType::Private)) {
        sources.push(Source::OwnedBy(caller.project.clone()));
    }
    if query.image_type == Some(ImageType::Private) {
        return sources;
    }
    for visibility in Visibility::ALL {
        if shows(visibility) && (visibility.is_open() || caller.is_admin()) {
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

/// Where to start in a source: once, or once for each name that is looked up in its index by name.
fn starts(source: &Source, query: &Query, start: &Start) -> Vec<Start> {
    let named = |name: &String| Start {
        name: Some(name.clone()),
        ..start.clone()
    };
    match query.names() {
        Some(names) if source.is_indexed_by_name() => names.iter().map(named).collect(),
        Some(_) | None => vec![start.clone()],
    }
}

/// Several streams in one order. An image comes more than once if it is in more than one.
struct Merged<'a> {
    streams: Vec<(Source, Stream<'a>)>,
    ascending: bool,
    query: &'a Query,
}

impl<'a> Merged<'a> {
    async fn open(
        app: &'a App,
        caller: &Caller,
        query: &'a Query,
        start: Start,
    ) -> Result<Self, ApiError> {
        let mut streams: Vec<_> = sources(caller, query)
            .into_iter()
            .flat_map(|source| {
                let starts = starts(&source, query, &start).into_iter();
                starts.map(move |start| (source.clone(), app.store().stream(source.clone(), start)))
            })
            .collect();
        let all = streams.iter_mut().map(|(_, stream)| stream).collect();
        Box::pin(app.store().read_named(all)).await?;
        Ok(Self {
            streams,
            ascending: start.ascending,
            query,
        })
    }

    /// The next rows that may belong in the list: `most` of them, or fewer at the end.
    async fn some(&mut self, most: usize) -> Result<Vec<(Source, Row)>, ApiError> {
        let mut rows = Vec::new();
        while rows.len() < most {
            let Some((source, row)) = self.next().await? else {
                break;
            };
            let may_match = row
                .image
                .as_ref()
                .is_none_or(|image| self.query.may_match(image, row.fingerprints.as_ref()));
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
