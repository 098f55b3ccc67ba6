//! What lists show of the rows of an index: what the row holds, or what the table has if the row holds too
//! little or the index may be wrong about it (see `freshness`).

use std::collections::{HashMap, HashSet};

use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::list::{Row, Source};
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::image::Image;
use crate::domain::member::{Member, Membership};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// How often the texts of an image are read while it is being changed.
const TEXT_TRIES: u32 = 5;

/// What is known of a row of an index before the table is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    pub(super) image: ImageId,
    /// The member, if it is the row of a membership that has to be read with the image.
    pub(super) member: Option<&'a ProjectId>,
    /// The image's owner, if the row tells.
    pub(super) owner: Option<&'a ProjectId>,
    /// Whether the row holds all that the list shows.
    pub(super) is_whole: bool,
    /// Whether it holds that of the table, which was read for this list.
    pub(super) is_read: bool,
}

impl<'a> Held<'a> {
    /// The row of an image of a source, of which nothing else is known.
    const fn unknown(source: &'a Source, image: ImageId) -> Self {
        Self {
            image,
            member: match source {
                Source::SharedWith(member, _) => Some(member),
                Source::OwnedBy(_) | Source::Visible(_) => None,
            },
            owner: None,
            is_whole: false,
            is_read: false,
        }
    }

    fn of(source: &'a Source, row: &'a Row, is_member: bool) -> Self {
        let unknown = Self::unknown(source, row.id);
        Self {
            member: unknown.member.filter(|_| !is_member),
            owner: row.image.as_ref().map(|image| &image.owner),
            is_whole: row.is_whole(),
            is_read: row.is_read,
            ..unknown
        }
    }

    /// Whether the table has to be read, if the index is out of date in some way.
    fn is_wanted(&self, is_stale: impl FnOnce(&Self) -> bool) -> bool {
        !self.is_whole || (!self.is_read && is_stale(self))
    }

    /// Whether the index may be wrong about it while these projects are marked.
    fn is_stale(&self, lister: &ProjectId, marked: &HashSet<ProjectId>) -> bool {
        let of_lister = self.member.is_some() && marked.contains(lister);
        of_lister || self.owner.is_some_and(|owner| marked.contains(owner))
    }
}

/// An image that is read from the table, for a row of an index.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// The source of the row.
    source: &'a Source,
    image: ImageId,
    /// Whether the index can be relied on about the membership. If not, the membership is read too.
    is_member: bool,
}

/// What the table has of some rows.
pub(super) struct Found {
    /// For each row in order, whether it was read.
    pub(super) is_read: Vec<bool>,
    /// The images and memberships that exist.
    pub(super) items: Vec<Item>,
}

/// The keys of the images and memberships of some rows, each once, as one request must have them.
fn keys_of<'a>(rows: impl Iterator<Item = &'a Held<'a>>) -> Vec<Item> {
    let (mut keys, mut of_images, mut of_members) = (Vec::new(), HashSet::new(), HashSet::new());
    for row in rows {
        if of_images.insert(row.image) {
            keys.push(at::image_key(row.image));
        }
        if let Some(member) = row.member
            && of_members.insert((row.image, member))
        {
            keys.push(at::member_key(row.image, member));
        }
    }
    keys
}

/// Those of some values that are chosen.
fn chosen<'a, T>(values: &'a [T], is_chosen: &[bool]) -> impl Iterator<Item = &'a T> {
    let values = values.iter().zip(is_chosen);
    values.filter_map(|(value, chosen)| chosen.then_some(value))
}

impl Store {
    /// Reads those rows of a list of `lister` from the table that hold too little, or that the index may be
    /// wrong about. One request reads them together with the marks that tell; another one follows for rows
    /// whose marks this instance had not known. `due` is what [`Freshness::unreconciled_images`] says, instead of the
    /// marks.
    ///
    /// [`Freshness::unreconciled_images`]: super::freshness::Freshness::unreconciled_images
    ///
    /// # Errors
    /// If the store does not answer or a mark does not parse.
    pub(super) async fn read_rows(
        &self,
        lister: &ProjectId,
        rows: &[Held<'_>],
        due: Option<&HashSet<ImageId>>,
        now: Timestamp,
    ) -> Result<Found, ApiError> {
        if let Some(due) = due {
            let is_due = |row: &Held<'_>| due.contains(&row.image);
            let is_read: Vec<bool> = rows.iter().map(|row| row.is_wanted(is_due)).collect();
            let items = self.batch_get(keys_of(chosen(rows, &is_read))).await?;
            return Ok(Found { is_read, items });
        }
        let judged = rows.iter().filter(|row| !row.is_read);
        let mut projects: HashSet<&ProjectId> = judged.filter_map(|row| row.owner).collect();
        if !projects.is_empty() {
            projects.insert(lister);
        }
        let (mut marked, unknown) = self.known_marks(projects, now);
        let wanted = |marked: &HashSet<ProjectId>| {
            let is_stale = |row: &Held<'_>| row.is_stale(lister, marked);
            let wanted = rows.iter().map(|row| row.is_wanted(is_stale));
            wanted.collect::<Vec<bool>>()
        };
        let known = wanted(&marked);
        let mut keys: Vec<Item> = unknown.into_iter().map(at::fresh_key).collect();
        keys.extend(keys_of(chosen(rows, &known)));
        let read = self.batch_get(keys).await?.into_iter();
        let (marks, mut items): (Vec<_>, Vec<_>) = read.partition(at::is_mark);
        marked.extend(self.learn(&marks, now)?);
        let is_read = wanted(&marked);
        let news = is_read
            .iter()
            .zip(known)
            .map(|(read, known)| *read && !known);
        let news: Vec<bool> = news.collect();
        items.extend(self.batch_get(keys_of(chosen(rows, &news))).await?);
        Ok(Found { is_read, items })
    }

    /// The image of each row in order, as it is now: from the row itself if that can be relied on, or
    /// else from the table. `None` if it no longer belongs to the row's source: what was unshared, deleted
    /// or hidden a moment ago does not show, whatever the index still says.
    ///
    /// # Errors
    /// If the store does not answer. A record that does not parse is logged and is `None`.
    pub async fn images_of(
        &self,
        caller: &ProjectId,
        rows: Vec<(Source, Row)>,
        now: Timestamp,
    ) -> Result<Vec<(Source, Option<Image>)>, ApiError> {
        let due = self.freshness.unreconciled_images();
        let due = due.as_ref();
        // An index that does not lag is right about a membership, unless its image is being changed.
        let is_member =
            |row: &Row| row.is_listed() && due.is_some_and(|due| !due.contains(&row.id));
        let held = rows
            .iter()
            .map(|(source, row)| Held::of(source, row, is_member(row)));
        let held: Vec<_> = held.collect();
        let Found { is_read, items } = self.read_rows(caller, &held, due, now).await?;
        if !is_read.contains(&true) {
            let rows = rows.into_iter();
            return Ok(rows.map(|(source, row)| (source, row.image)).collect());
        }
        let read = chosen(&rows, &is_read).map(|(source, row)| Wanted {
            source,
            image: row.id,
            is_member: is_member(row),
        });
        let read: Vec<_> = read.collect();
        let mut read = Box::pin(self.completed(&read, items)).await?.into_iter();
        let images = rows.into_iter().zip(is_read);
        let images = images.map(|((source, row), is_read)| match is_read {
            true => (source, read.next().flatten()),
            false => (source, row.image),
        });
        Ok(images.collect())
    }

    /// The images of some rows that were read, with the tags and properties that are stored apart.
    async fn completed(
        &self,
        rows: &[Wanted<'_>],
        items: Vec<Item>,
    ) -> Result<Vec<Option<Image>>, ApiError> {
        let mut images = shown(rows, &items);
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
            let held = again.iter();
            let held = held.map(|wanted| Held::unknown(wanted.source, wanted.image));
            let held: Vec<_> = held.collect();
            let found = shown(&again, &self.batch_get(keys_of(held.iter())).await?);
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
}

/// Images and memberships that were read. Records that do not parse are logged and left out.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) images: HashMap<ImageId, Image>,
    pub(super) members: HashMap<(ImageId, ProjectId), Member>,
}

impl Sorted {
    pub(super) fn of(items: &[Item]) -> Self {
        let mut sorted = Self::default();
        for item in items {
            if let Err(corrupt) = sorted.add(item) {
                skip(&corrupt);
            }
        }
        sorted
    }

    fn add(&mut self, found: &Item) -> Result<(), ApiError> {
        if found.get(at::SK).is_some_and(|sk| *sk == s(at::IMAGE)) {
            let image = item::image(found)?;
            self.images.extend(image.map(|image| (image.id, image)));
        } else if let Membership::Present(member) = item::membership(found)? {
            let key = (member.image_id, member.member_id.clone());
            self.members.insert(key, member);
        }
        Ok(())
    }
}

/// The images of some rows, one for each in order; `None` if it does not belong to the row's source.
fn shown(rows: &[Wanted<'_>], items: &[Item]) -> Vec<Option<Image>> {
    let Sorted { images, members } = Sorted::of(items);
    let belongs = |wanted: &Wanted<'_>, image: &Image| match wanted.source {
        Source::OwnedBy(project) => image.owner == *project,
        Source::Visible(visibility) => image.visibility == *visibility,
        Source::SharedWith(project, status) => {
            let is_member = || {
                let member = members.get(&(image.id, project.clone()));
                member.is_some_and(|member| member.status == *status)
            };
            image.visibility == Visibility::Shared && (wanted.is_member || is_member())
        }
    };
    let found = rows.iter().map(|wanted| {
        let image = images.get(&wanted.image);
        image.filter(|image| belongs(wanted, image)).cloned()
    });
    found.collect()
}
