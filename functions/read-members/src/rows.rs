//! The candidates of a page, in the order of its list, wherever they come from.

use std::collections::VecDeque;

use shared::domain::error::ApiError;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::image::projection::Held;
use shared::domain::member::MemberStatus;
use shared::http::page::{LIMIT_MAX, PageRequest};
use shared::store::Store;
use shared::store::list::{Source, Start, Stream};
use shared::store::shares::Candidate;

/// The most rows of an index that one page looks at.
const LOOKED_AT_MAX: usize = 10_000;

/// Which memberships of a project are candidates.
pub struct MemberRows<'a> {
    /// In one of these statuses.
    pub statuses: &'a [MemberStatus],
    /// Of images of this project.
    pub owner: Option<&'a ProjectId>,
    /// Of images of this name.
    pub name: Option<&'a str>,
}

/// Candidates, by their position in the list.
pub struct Rows<'a> {
    from: From<'a>,
    looked_at: usize,
    /// The position of the last row, if the page looks at no more rows although there are more.
    stopped_at: Option<String>,
}

enum From<'a> {
    /// The memberships of a project: one sorted stream for each status, merged.
    Member(ProjectId, Vec<(MemberStatus, Stream<'a>)>),
    /// What a project shares, page by page.
    Owner(Pages<'a>),
}

/// Candidates that are read page by page.
struct Pages<'a> {
    store: &'a Store,
    of: Of,
    after: Option<String>,
    /// Rows of the first read; later ones read whole pages.
    first: Option<usize>,
    buffer: VecDeque<Candidate>,
    ended: bool,
}

enum Of {
    /// The memberships of all images of a project.
    Owner(ProjectId),
    /// The members of one image.
    Image(ImageId),
}

impl<'a> Rows<'a> {
    /// The memberships of a project in the wanted statuses, newest image first. The store leaves out most
    /// of those whose images have other names or owners.
    pub fn of_member(
        store: &'a Store,
        member: &ProjectId,
        wanted: &MemberRows<'_>,
        page: &PageRequest<String>,
    ) -> Self {
        let (name, owner) = (wanted.name.map(Held::Name), wanted.owner.map(Held::Owner));
        let start = Start {
            after: page.after.clone(),
            ascending: false,
            // One more than the page tells whether there is another.
            first: Some(page.limit + 1),
            name: wanted.name.map(str::to_owned),
            filters: name
                .into_iter()
                .chain(owner)
                .map(|held| vec![held.text()])
                .collect(),
            times: true,
        };
        let streams = wanted.statuses.iter().map(|status| {
            let source = Source::SharedWith(member.clone(), *status);
            (*status, store.stream(source, start.clone()))
        });
        Self::new(From::Member(member.clone(), streams.collect()))
    }

    /// The memberships of a project's images, newest first.
    pub fn of_owner(store: &'a Store, owner: &ProjectId, page: &PageRequest<String>) -> Self {
        let pages = Pages::new(store, Of::Owner(owner.clone()), page);
        Self::new(From::Owner(pages))
    }

    /// The members of one image of a project, by their ids; with `member`, that one.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn of_image(
        store: &'a Store,
        owner: &ProjectId,
        image: ImageId,
        member: Option<&ProjectId>,
        page: &PageRequest<String>,
    ) -> Result<Self, ApiError> {
        let mut pages = Pages::new(store, Of::Image(image), page);
        if let Some(member) = member {
            let position = member.to_string();
            if page.after.as_ref().is_none_or(|after| *after < position) {
                let candidate = Candidate::of(position, image, member.clone());
                pages.buffer.push_back(candidate);
            }
            pages.ended = true;
        } else {
            let facts = store.facts(image, &[owner]).await?;
            let image = facts.image.as_ref();
            pages.ended = image.is_none_or(|image| image.owner != *owner);
        }
        Ok(Self::new(From::Owner(pages)))
    }

    fn new(from: From<'a>) -> Self {
        Self {
            from,
            looked_at: 0,
            stopped_at: None,
        }
    }

    /// The position from which the list goes on, if the page has looked at as many rows as it may.
    pub fn stopped_at(&self) -> Option<String> {
        self.stopped_at.clone()
    }

    /// The next candidates, `most` of them, or fewer at the end; with `member`, only those of that
    /// member.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn some(
        &mut self,
        most: usize,
        member: Option<&ProjectId>,
    ) -> Result<Vec<Candidate>, ApiError> {
        let mut found = Vec::new();
        while found.len() < most && self.stopped_at.is_none() {
            let Some(candidate) = self.from.next().await? else {
                break;
            };
            self.looked_at += 1;
            if self.looked_at == LOOKED_AT_MAX {
                self.stopped_at = Some(candidate.position.clone());
            }
            if member.is_none_or(|member| *member == candidate.member) {
                found.push(candidate);
            }
        }
        Ok(found)
    }
}

impl From<'_> {
    async fn next(&mut self) -> Result<Option<Candidate>, ApiError> {
        match self {
            Self::Member(member, streams) => newest(member, streams).await,
            Self::Owner(pages) => pages.next().await,
        }
    }
}

/// Removes and returns the newest of the streams' next rows.
async fn newest(
    member: &ProjectId,
    streams: &mut [(MemberStatus, Stream<'_>)],
) -> Result<Option<Candidate>, ApiError> {
    let peeks = streams.iter_mut().map(|(_, stream)| stream.peek());
    let heads = futures::future::try_join_all(peeks).await?;
    let positions = heads.into_iter().map(|head| head.map(|row| &row.position));
    let newest = positions.enumerate().max_by_key(|(_, position)| *position);
    let place = newest.map(|(place, _)| place);
    let stream = place.and_then(|place| streams.get_mut(place));
    Ok(stream.and_then(|(status, stream)| {
        let row = stream.take()?;
        Some(Candidate::of_row(row, member, *status))
    }))
}

impl<'a> Pages<'a> {
    fn new(store: &'a Store, of: Of, page: &PageRequest<String>) -> Self {
        Self {
            store,
            of,
            after: page.after.clone(),
            first: Some(page.limit + 1),
            buffer: VecDeque::new(),
            ended: false,
        }
    }

    async fn next(&mut self) -> Result<Option<Candidate>, ApiError> {
        while self.buffer.is_empty() && !self.ended {
            let (after, first) = (self.after.take(), self.first.take());
            let (candidates, more) = match &self.of {
                Of::Owner(owner) => {
                    Box::pin(self.store.shared_by(owner, after.as_deref(), first)).await?
                }
                Of::Image(image) => Box::pin(self.members(*image, after, first)).await?,
            };
            self.after = candidates.last().map(|last| last.position.clone());
            self.ended = !more || candidates.is_empty();
            self.buffer.extend(candidates);
        }
        Ok(self.buffer.pop_front())
    }

    async fn members(
        &self,
        image: ImageId,
        after: Option<String>,
        first: Option<usize>,
    ) -> Result<(Vec<Candidate>, bool), ApiError> {
        let marker = after.and_then(|id| ProjectId::parse(id).ok());
        let most = first.unwrap_or(LIMIT_MAX);
        let members = self
            .store
            .page_members(image, marker.as_ref(), most)
            .await?;
        let more = members.len() == most;
        let candidates = members.into_iter().map(|member| {
            let position = member.member_id.to_string();
            Candidate::of(position, image, member.member_id)
        });
        Ok((candidates.collect(), more))
    }
}
