//! A page of a list: the sorted streams that the caller may see, merged.

use std::collections::HashSet;

use shared::app::App;
use shared::auth::{Action, Caller, Decision, permit};
use shared::error::ApiError;
use shared::id::ImageId;
use shared::image::{Image, Visibility};
use shared::store::Store;
use shared::store::images::{Source, Start, Stream};

use crate::query::{Query, Shown};

/// Images that one page looks at, at most: its cost is bounded however many the filters reject.
const EXAMINED_MAX: usize = 10_000;
/// Images that are sorted by another key than their age, at most.
const SORTED_MAX: usize = 10_000;
/// Rows of a stream's reads when everything is wanted.
const READ_ALL: usize = 500;

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
        Some(ascending) => in_stored_order(app, caller, query, marker, ascending).await,
        None => sorted(app, caller, query, marker).await,
    }
}

async fn marker(app: &App, caller: &Caller, text: &str) -> Result<Image, ApiError> {
    let unknown = || ApiError::bad_request(format!("No image found with ID {text}"));
    let id = ImageId::canonical(text).ok_or_else(unknown)?;
    let facts = app.store().facts(id, &[&caller.project]).await?;
    let own = facts.membership(&caller.project).cloned();
    let image = facts.image.ok_or_else(unknown)?;
    let relation = caller.relation(&image, own.as_ref());
    match permit(caller.role, relation, image.visibility, Action::ShowImage) {
        Decision::Allow => Ok(image),
        _ => Err(unknown()),
    }
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
        page: query.limit + 1,
    };
    let mut merged = Merged::new(app, caller, query, start);
    let mut images: Vec<Image> = Vec::new();
    let mut last_seen = None;
    for _ in 0..EXAMINED_MAX {
        let Some(image) = merged.next().await? else {
            return Ok(Page { images, next: None });
        };
        if query.matches(&image) {
            if images.len() == query.limit {
                let next = images.last().map(|last| last.id);
                return Ok(Page { images, next });
            }
            images.push(image);
        } else {
            last_seen = Some(image.id);
        }
    }
    let next = last_seen.or(images.last().map(|last| last.id));
    Ok(Page { images, next })
}

/// Reads all that the caller may see and sorts it: for the keys that the store keeps no order by.
async fn sorted(
    app: &App,
    caller: &Caller,
    query: &Query,
    marker: Option<Image>,
) -> Result<Page, ApiError> {
    let start = Start {
        after: None,
        ascending: false,
        page: READ_ALL,
    };
    let mut merged = Merged::new(app, caller, query, start);
    let mut images: Vec<Image> = Vec::new();
    let mut examined = 0;
    while let Some(image) = merged.next().await? {
        examined += 1;
        if examined > SORTED_MAX {
            return Err(ApiError::bad_request(format!(
                "More than {SORTED_MAX} images to sort: ask for fewer with owner or visibility, or \
                 sort by created_at."
            )));
        }
        let after_marker = marker
            .as_ref()
            .is_none_or(|marker| query.compare(marker, &image).is_lt());
        if after_marker && query.matches(&image) {
            images.push(image);
        }
    }
    images.sort_by(|a, b| query.compare(a, b));
    let more = images.len() > query.limit;
    images.truncate(query.limit);
    let next = images.last().filter(|_| more).map(|last| last.id);
    Ok(Page { images, next })
}

/// Where the images come from that this caller may see in this list.
fn sources(caller: &Caller, query: &Query) -> Vec<Source> {
    let own = Source::OwnedBy(caller.project.clone());
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
    let mut sources = Vec::new();
    match owner {
        // One owner's images are one stream; what of them may be seen is decided one by one.
        Some(owner) if owner == caller.project || caller.is_admin() => {
            sources.push(Source::OwnedBy(owner));
            return sources;
        }
        Some(owner) => sources.push(Source::OwnedBy(owner)),
        None => {
            if query.own != Some(false) {
                sources.push(own);
            }
            for visibility in Visibility::ALL {
                let open = matches!(visibility, Visibility::Public | Visibility::Community);
                if query.own != Some(true) && shows(visibility) && (open || caller.is_admin()) {
                    sources.push(Source::Visible(visibility));
                }
            }
        }
    }
    if !caller.is_admin() && query.own != Some(true) && shows(Visibility::Shared) {
        for status in &query.member_statuses {
            sources.push(Source::SharedWith(caller.project.clone(), *status));
        }
    }
    sources
}

/// Several streams in one order, each image once.
struct Merged<'a> {
    streams: Vec<(Source, Stream<'a>)>,
    ascending: bool,
    seen: HashSet<ImageId>,
    caller: &'a Caller,
    query: &'a Query,
}

impl<'a> Merged<'a> {
    fn new(app: &'a App, caller: &'a Caller, query: &'a Query, start: Start) -> Self {
        let streams = sources(caller, query)
            .into_iter()
            .map(|source| (source.clone(), app.store().stream(source, start.clone())))
            .collect();
        Self {
            streams,
            ascending: start.ascending,
            seen: HashSet::new(),
            caller,
            query,
        }
    }

    async fn next(&mut self) -> Result<Option<Image>, ApiError> {
        loop {
            let peeks = self.streams.iter_mut().map(|(_, stream)| stream.peek());
            let heads = futures::future::try_join_all(peeks).await?;
            let mut best: Option<(usize, &str)> = None;
            for (place, head) in heads.into_iter().enumerate() {
                let Some((position, _)) = head else { continue };
                let first = best.is_none_or(|(_, best)| {
                    if self.ascending {
                        position.as_str() < best
                    } else {
                        position.as_str() > best
                    }
                });
                if first {
                    best = Some((place, position));
                }
            }
            let Some(place) = best.map(|(place, _)| place) else {
                return Ok(None);
            };
            let Some((source, stream)) = self.streams.get_mut(place) else {
                return Ok(None);
            };
            let Some(image) = stream.take() else { continue };
            if visible(source, &image, self.caller, self.query) && self.seen.insert(image.id) {
                return Ok(Some(image));
            }
        }
    }
}

/// Whether an image belongs into the list when it comes from this source.
fn visible(source: &Source, image: &Image, caller: &Caller, query: &Query) -> bool {
    let own = image.owner == caller.project;
    if query.own.is_some_and(|wanted| wanted != own) {
        return false;
    }
    // Other projects' community images are shown to who asks for them.
    let community = own || query.shown != Shown::Default;
    match source {
        Source::SharedWith(..) => true,
        Source::OwnedBy(_) | Source::Visible(_) => match image.visibility {
            Visibility::Community => community,
            Visibility::Public => true,
            Visibility::Private | Visibility::Shared => own || caller.is_admin(),
        },
    }
}
