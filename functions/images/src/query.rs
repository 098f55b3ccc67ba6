//! What the arguments of a list ask for. Pure.

use std::cmp::Ordering;

use shared::error::ApiError;
use shared::id::ImageId;
use shared::image::card::Card;
use shared::image::{Image, Visibility};
use shared::member::MemberStatus;

use crate::filter::{Filter, flag};

/// Images on a page unless asked otherwise, and at most, as in Glance.
const LIMIT_DEFAULT: usize = 25;
const LIMIT_MAX: usize = 1000;

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

/// A list's question.
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
    /// Only the caller's own or only others'.
    pub own: Option<bool>,
    /// Nothing can match.
    pub nothing: bool,
    /// By which keys, and whether each ascends.
    pub sort: Vec<(SortKey, bool)>,
    filters: Vec<Filter>,
}

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
    /// The question of `GET /v2/images`.
    ///
    /// # Errors
    /// 400 with a sentence for an argument that is not as it must be.
    pub fn parse(arguments: &[(String, String)]) -> Result<Self, ApiError> {
        let mut query = Self {
            limit: LIMIT_DEFAULT,
            marker: None,
            member_statuses: vec![MemberStatus::Accepted],
            shown: Shown::Default,
            owner: None,
            own: None,
            nothing: false,
            sort: Vec::new(),
            filters: Vec::new(),
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut hidden = false;
        let (mut keys, mut directions) = (Vec::new(), Vec::new());
        let combined = arguments.iter().find(|(name, _)| name == "sort");
        for (name, value) in arguments {
            let (name, value) = (name.as_str(), value.as_str());
            // Two values for one filter contradict each other.
            if !matches!(name, "tag" | "sort_key" | "sort_dir") && seen.contains(&name) {
                query.nothing = true;
            }
            seen.push(name);
            match name {
                "limit" => query.limit = limit_of(value)?,
                "marker" => query.marker = Some(value.to_owned()),
                "member_status" => query.member_statuses = statuses_of(value)?,
                "visibility" => query.show(value)?,
                "owner" => query.owner = Some(value.to_owned()),
                "sort" => {}
                "sort_key" => keys.push(sort_key(value)?),
                "sort_dir" => directions.push(ascends(value)?),
                "changes-since" => {
                    return Err(ApiError::bad_request(
                        "The \"changes-since\" filter is no longer available on v2.",
                    ));
                }
                "os_hidden" => hidden = flag(name, &value.to_lowercase())?,
                other => query.filters.push(Filter::parse(other, value)?),
            }
        }
        query.filters.push(Filter::Hidden(hidden));
        query.sort = match combined {
            Some(_) if !keys.is_empty() || !directions.is_empty() => {
                return Err(ApiError::bad_request(
                    "Old and new sorting syntax cannot be combined",
                ));
            }
            Some((_, text)) => sort_of(text)?,
            None => {
                if directions.len() > 1 && directions.len() != keys.len().max(1) {
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
                keys.into_iter()
                    .enumerate()
                    .map(|(place, key)| (key, ascends(place)))
                    .collect()
            }
        };
        Ok(query)
    }

    /// The question of `GET /v2/cloudimages`: the same but for `__imagetype`, which says whose.
    ///
    /// # Errors
    /// 400 with a sentence for an argument that is not as it must be.
    pub fn parse_ims(arguments: &[(String, String)]) -> Result<Self, ApiError> {
        let (types, others): (Vec<_>, Vec<_>) = arguments
            .iter()
            .cloned()
            .partition(|(name, _)| name == "__imagetype");
        let mut query = Self::parse(&others)?;
        for (_, image_type) in types {
            match image_type.as_str() {
                "gold" => query.shown = Shown::Only(Visibility::Public),
                "private" => query.own = Some(true),
                "shared" => {
                    query.shown = Shown::Only(Visibility::Shared);
                    query.own = Some(false);
                }
                _ => query.nothing = true,
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
            [(SortKey::CreatedAt, ascending)] => Some(*ascending),
            _ => None,
        }
    }

    /// `false` if an image certainly does not pass the filters, by what an index knows of it.
    pub fn may_match(&self, card: &Card) -> bool {
        let shown = match self.shown {
            Shown::Default | Shown::All => true,
            Shown::Only(visibility) => card.visibility == visibility,
        };
        shown
            && self
                .owner
                .as_deref()
                .is_none_or(|owner| card.owner.as_str() == owner)
            && self.filters.iter().all(|filter| filter.may_pass(card))
    }

    /// Whether an image that the caller may see in this list passes the filters.
    pub fn matches(&self, image: &Image) -> bool {
        self.may_match(&image.card()) && self.filters.iter().all(|filter| filter.passes(image))
    }

    /// The order of two images in this list.
    pub fn compare(&self, a: &Card, b: &Card) -> Ordering {
        let by_keys = self.sort.iter().map(|(key, ascending)| {
            let order = compare(*key, a, b);
            if *ascending { order } else { order.reverse() }
        });
        // Ties are broken by age and id, the newest first, as the store does.
        by_keys
            .chain([b.created_at.cmp(&a.created_at), b.id.cmp(&a.id)])
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

fn compare(key: SortKey, a: &Card, b: &Card) -> Ordering {
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

fn limit_of(text: &str) -> Result<usize, ApiError> {
    let limit: i64 = text
        .trim()
        .parse()
        .map_err(|_| ApiError::bad_request("limit param must be an integer"))?;
    usize::try_from(limit)
        .map(|limit| limit.min(LIMIT_MAX))
        .map_err(|_| ApiError::bad_request("limit param must be positive"))
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
fn sort_of(text: &str) -> Result<Vec<(SortKey, bool)>, ApiError> {
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

/// The link to a page of this list: its arguments, each name once with its last value, and the
/// marker.
pub fn link(arguments: &[(String, String)], marker: Option<ImageId>) -> String {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for (name, value) in arguments {
        match pairs.iter_mut().find(|(have, _)| have == name) {
            // Several tags and sort keys count, each; of the rest only the last does.
            Some(_) if matches!(name.as_str(), "tag" | "sort_key" | "sort_dir") => {
                pairs.push((name, value.clone()));
            }
            Some(pair) => pair.1.clone_from(value),
            None if name == "marker" => {}
            None => pairs.push((name, value.clone())),
        }
    }
    if let Some(marker) = marker {
        pairs.push(("marker", marker.to_string()));
    }
    let encoded: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    if encoded.is_empty() {
        "/v2/images".to_owned()
    } else {
        format!("/v2/images?{}", encoded.join("&"))
    }
}

/// A query's part, with a plus for a space.
fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b' ');
    utf8_percent_encode(text, KEPT)
        .to_string()
        .replace(' ', "+")
}
