//! What the arguments of a list ask for. Pure.

mod ims;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use shared::domain::error::ApiError;
use shared::domain::id::ImageId;
use shared::domain::image::Image;
use shared::domain::image::fingerprints::Fingerprints;
use shared::domain::image::projection::Held;
use shared::domain::member::MemberStatus;
use shared::domain::number;
use shared::domain::visibility::Visibility;
use shared::http::answers::ImageType;
use shared::http::{self, Arguments};

use crate::filter::{Filter, TextField, flag};

/// Images on a page unless asked otherwise, and at most, as in Glance.
const LIMIT_DEFAULT: usize = 25;
const LIMIT_MAX: usize = 1000;

/// Most names that are each looked up in an index, and most ids that are each read. A list of more walks
/// through all images.
const NAMES_MAX: usize = 10;
const IDS_MAX: usize = 100;

/// Most filters that the store evaluates: an expression has at most 4 KB.
const STORED_FILTERS_MAX: usize = 4;

const SORT_KEYS: [&str; 8] = [
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
];

/// Arguments that are no filters of their own. `deleted` is ignored, as in Glance: no list shows what
/// was deleted.
const NO_FILTERS: [&str; 12] = [
    "limit",
    "marker",
    "member_status",
    "visibility",
    "owner",
    "sort",
    "sort_key",
    "sort_dir",
    "os_hidden",
    "protected",
    "tag",
    "deleted",
];

/// Which visibilities a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// What is the caller's business: all but other projects' community images.
    Default,
    /// Community images as well.
    All,
    /// Those of one visibility.
    Only(Visibility),
}

/// What a list asks for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Images, at most.
    pub limit: usize,
    /// The last image of the page before, as it was given.
    pub marker: Option<String>,
    /// The statuses in which images shared with the caller are shown.
    pub member_statuses: Vec<MemberStatus>,
    /// Which visibilities.
    pub shown: Shown,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only images of this type, as the caller sees them.
    pub image_type: Option<ImageType>,
    /// Nothing can match.
    pub nothing: bool,
    /// In which order; age and id are among the keys, since they break ties.
    pub sort: Order,
    filters: Vec<Filter>,
}

/// The keys of an order, and whether each ascends.
type Order = Vec<(SortKey, bool)>;

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Size,
    Id,
    CreatedAt,
    UpdatedAt,
}

impl Query {
    /// Parses the arguments of `GET /v2/images`. A filter that is given twice counts once, the last one, but
    /// for `tag`.
    ///
    /// # Errors
    /// 400 with a sentence for an argument that is not as it must be; the refusal in `may_list`, which
    /// Glance tells after the first of the arguments' faults and before the others.
    pub fn parse(
        arguments: &[(String, String)],
        may_list: Result<(), ApiError>,
    ) -> Result<Self, ApiError> {
        let all = Arguments(arguments);
        let mut query = Self {
            limit: LIMIT_DEFAULT,
            marker: all.first("marker").map(str::to_owned),
            member_statuses: vec![MemberStatus::Accepted],
            shown: Shown::Default,
            owner: all.last("owner").map(str::to_owned),
            image_type: None,
            // Of these the first counts; the second is a filter by a property that no image has.
            nothing: ["limit", "marker", "member_status", "sort"]
                .into_iter()
                .any(|name| all.of(name).nth(1).is_some()),
            sort: Vec::new(),
            filters: Vec::new(),
        };
        if let (Some(first), Some(last)) = (all.first("visibility"), all.last("visibility")) {
            query.show(last)?;
            // As in Glance, two different ones contradict each other; all of one is that one.
            query.nothing |= first != last && first != "all";
        }
        if all.last("changes-since").is_some() {
            return Err(ApiError::bad_request(
                "The \"changes-since\" filter is no longer available on v2.",
            ));
        }
        if let Some(status) = all.first("member_status") {
            query.member_statuses = statuses_of(status)?;
        }
        if let Some(limit) = all.first("limit") {
            query.limit = limit_of(limit)?;
        }
        query.sort = order_of(all)?;
        let hidden = all.last("os_hidden").map(str::to_lowercase);
        let hidden = flag("os_hidden", hidden.as_deref().unwrap_or("false"))?;
        query.filters.push(Filter::Hidden(hidden));
        if let Some(protected) = all.last("protected") {
            let protected = flag("protected", protected)?;
            query.filters.push(Filter::Protected(protected));
        }
        may_list?;
        let tags: BTreeSet<_> = all.of("tag").map(str::trim).collect();
        let tags = tags.into_iter().map(|tag| Filter::Tag(tag.to_owned()));
        query.filters.extend(tags);
        for (name, value) in http::each_once(arguments, |_| false) {
            if !NO_FILTERS.contains(&name) {
                query.filters.push(Filter::parse(name, value)?);
            }
        }
        Ok(query)
    }

    fn show(&mut self, value: &str) -> Result<(), ApiError> {
        match (value, Visibility::parse(value)) {
            (_, Some(visibility)) => self.shown = Shown::Only(visibility),
            ("all", None) => self.shown = Shown::All,
            // No image has an empty visibility.
            ("", None) => self.nothing = true,
            (other, None) => {
                return Err(ApiError::bad_request(format!(
                    "Invalid visibility value: {other}"
                )));
            }
        }
        Ok(())
    }

    /// Whether the list is in the order that the store keeps, and if so, whether from the oldest on.
    pub fn stored_order(&self) -> Option<bool> {
        match self.sort.as_slice() {
            [(SortKey::CreatedAt, age), (SortKey::Id, id)] if age == id => Some(*age),
            _ => None,
        }
    }

    /// `false` if an image certainly does not pass the filters, by what an index holds of it.
    pub fn may_match(&self, image: &Image, fingerprints: Option<&Fingerprints>) -> bool {
        let passes = |filter: &Filter| filter.may_pass(image, fingerprints);
        self.is_wanted(image) && self.filters.iter().all(passes)
    }

    /// Whether an image that the caller may see in this list passes the filters.
    pub fn matches(&self, image: &Image) -> bool {
        self.is_wanted(image) && self.filters.iter().all(|filter| filter.passes(image))
    }

    /// Whether it has the visibility and the owner that the list is about.
    fn is_wanted(&self, image: &Image) -> bool {
        let shown = match self.shown {
            Shown::Default | Shown::All => true,
            Shown::Only(visibility) => image.visibility == visibility,
        };
        let owner = self.owner.as_deref();
        shown && owner.is_none_or(|owner| image.owner.as_str() == owner)
    }

    /// The names of which the images have one, if the list is about names and they are few.
    pub fn names(&self) -> Option<&[String]> {
        self.texts(TextField::Name)
            .filter(|names| names.len() <= NAMES_MAX)
    }

    /// The ids of which the images have one, if the list is about ids and they are few.
    pub fn ids(&self) -> Option<Vec<ImageId>> {
        let ids = self
            .texts(TextField::Id)
            .filter(|ids| ids.len() <= IDS_MAX)?;
        Some(ids.iter().filter_map(|id| ImageId::canonical(id)).collect())
    }

    fn texts(&self, wanted: TextField) -> Option<&[String]> {
        self.filters.iter().find_map(|filter| match filter {
            Filter::Text(field, texts) if *field == wanted => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// The filters that the store evaluates: for each, texts of which a projection contains one.
    pub fn stored_filters(&self) -> Vec<Vec<String>> {
        let filters = self.filters.iter().filter_map(Filter::texts);
        let shown = match self.shown {
            Shown::Only(visibility) => Some(vec![Held::Visibility(visibility).text()]),
            Shown::Default | Shown::All => None,
        };
        shown
            .into_iter()
            .chain(filters)
            .take(STORED_FILTERS_MAX)
            .collect()
    }

    /// The order of two images in this list.
    pub fn compare(&self, a: &Image, b: &Image) -> Ordering {
        let mut by_keys = self.sort.iter().map(|(key, ascending)| {
            let order = compare(*key, a, b);
            if *ascending { order } else { order.reverse() }
        });
        by_keys
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

fn compare(key: SortKey, a: &Image, b: &Image) -> Ordering {
    match key {
        SortKey::Name => a.name.cmp(&b.name),
        SortKey::Status => a.status.cmp(&b.status),
        SortKey::ContainerFormat => a.container_format.cmp(&b.container_format),
        SortKey::DiskFormat => a.disk_format.cmp(&b.disk_format),
        SortKey::Size => a.size.cmp(&b.size),
        SortKey::Id => a.id.cmp(&b.id),
        SortKey::CreatedAt => a.created_at.cmp(&b.created_at),
        SortKey::UpdatedAt => a.updated_at.cmp(&b.updated_at),
    }
}

/// The order that the arguments ask for, with the keys that break ties: as in Glance, these descend
/// unless a single direction is given, which is theirs as well.
fn order_of(all: Arguments<'_>) -> Result<Order, ApiError> {
    let (mut order, directions) = asked_order(all)?;
    let ascending = match directions[..] {
        [single] => single,
        _ => false,
    };
    for key in [SortKey::CreatedAt, SortKey::Id] {
        if order.iter().all(|(have, _)| *have != key) {
            order.push((key, ascending));
        }
    }
    Ok(order)
}

/// The keys that the arguments name, in either of the two ways in which they can, and the directions.
fn asked_order(all: Arguments<'_>) -> Result<(Order, Vec<bool>), ApiError> {
    let sorted_anyhow = ["sort_key", "sort_dir"]
        .into_iter()
        .any(|name| all.of(name).next().is_some());
    match all.first("sort") {
        Some(_) if sorted_anyhow => {
            return Err(ApiError::bad_request(
                "Old and new sorting syntax cannot be combined",
            ));
        }
        Some(text) => {
            let order = sort_of(text)?;
            let directions = order.iter().map(|(_, ascending)| *ascending).collect();
            return Ok((order, directions));
        }
        None => {}
    }
    let mut keys = all
        .of("sort_key")
        .map(sort_key)
        .collect::<Result<Vec<_>, _>>()?;
    let directions = all
        .of("sort_dir")
        .map(ascends)
        .collect::<Result<Vec<_>, _>>()?;
    if directions.len() > 1 && directions.len() != keys.len() {
        return Err(ApiError::bad_request(
            "Number of sort dirs does not match the number of sort keys",
        ));
    }
    if keys.is_empty() {
        keys.push(SortKey::CreatedAt);
    }
    let ascends = |place: usize| {
        directions
            .get(place)
            .or(directions.first())
            .copied()
            .unwrap_or(false)
    };
    let order = keys
        .into_iter()
        .enumerate()
        .map(|(place, key)| (key, ascends(place)))
        .collect();
    Ok((order, directions))
}

fn limit_of(text: &str) -> Result<usize, ApiError> {
    let limit = number::integer(text)
        .ok_or_else(|| ApiError::bad_request("limit param must be an integer"))?;
    if limit < 0 {
        return Err(ApiError::bad_request("limit param must be positive"));
    }
    Ok(usize::try_from(limit).map_or(LIMIT_MAX, |limit| limit.min(LIMIT_MAX)))
}

fn statuses_of(text: &str) -> Result<Vec<MemberStatus>, ApiError> {
    match (text, MemberStatus::parse(text)) {
        (_, Some(status)) => Ok(vec![status]),
        ("all", None) => Ok(MemberStatus::ALL.to_vec()),
        (other, None) => Err(ApiError::bad_request(format!("Invalid status: {other}"))),
    }
}

fn sort_key(text: &str) -> Result<SortKey, ApiError> {
    Ok(match text.trim() {
        "name" => SortKey::Name,
        "status" => SortKey::Status,
        "container_format" => SortKey::ContainerFormat,
        "disk_format" => SortKey::DiskFormat,
        "size" => SortKey::Size,
        "id" => SortKey::Id,
        "created_at" => SortKey::CreatedAt,
        "updated_at" => SortKey::UpdatedAt,
        other => {
            return Err(ApiError::bad_request(format!(
                "Invalid sort key: {other}. It must be one of the following: {}.",
                SORT_KEYS.join(", ")
            )));
        }
    })
}

fn ascends(text: &str) -> Result<bool, ApiError> {
    match text.trim() {
        "asc" => Ok(true),
        "desc" => Ok(false),
        other => Err(ApiError::bad_request(format!(
            "Invalid sort direction: {other}"
        ))),
    }
}

/// `name:asc,size:desc`; without a direction a key descends.
fn sort_of(text: &str) -> Result<Order, ApiError> {
    text.trim()
        .split(',')
        .map(|part| {
            let (key, direction) = part.split_once(':').unwrap_or((part, "desc"));
            let direction = if direction.is_empty() {
                "desc"
            } else {
                direction
            };
            Ok((sort_key(key)?, ascends(direction)?))
        })
        .collect()
}

/// The link to a page of the list at this path. Several tags, sort keys and directions count, each; of other
/// arguments only one does.
pub fn link(path: &str, arguments: &[(String, String)], marker: Option<ImageId>) -> String {
    let repeats = |name: &str| matches!(name, "tag" | "sort_key" | "sort_dir");
    let marker = marker.map(|marker| marker.to_string());
    http::link(path, arguments, repeats, marker)
}

#[cfg(test)]
mod tests;
