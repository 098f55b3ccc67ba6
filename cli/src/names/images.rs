//! Finds the images that names and ids stand for, those that wait for an answer too.

use std::collections::HashMap;

use super::{Named, looks_like_id, nearest, not_empty, unique, unique_ids};
use crate::api::{Client, Image, Query};
use crate::error::{Failure, Outcome, count};

/// From this many on, the list of all images is read instead of asking for each.
const MANY: usize = 20;
/// How many names are looked through for the nearest.
const KNOWN_MAX: usize = 5000;

/// Which of several images of one name a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side<'a> {
    /// Those of the caller's project: what is shared.
    Mine,
    /// Those of others: what is accepted or rejected.
    Theirs,
    /// Those of this project alone: any other is unknown.
    Of(&'a str),
    /// Any.
    Any,
}

impl Side<'_> {
    /// Whether an image can be meant at all.
    fn has(self, image: &Image) -> bool {
        match self {
            Self::Of(owner) => image.owner.as_deref() == Some(owner),
            Self::Mine | Self::Theirs | Self::Any => true,
        }
    }
}

/// Every image that the caller may see, whatever it answered.
fn all() -> Query {
    let query = Query::default().with("visibility", Some("all"));
    query.with("member_status", Some("all"))
}

/// Finds images by id or by a name that only one image has.
///
/// # Errors
/// If one is not found, or a name is that of several.
pub fn find(client: &Client, texts: &[String], side: Side<'_>) -> Outcome<Vec<Named>> {
    find_or_hint(client, texts, side, &|_| None)
}

/// As [`find`], with a hint about names that are not found.
///
/// # Errors
/// As [`find`].
pub fn find_or_hint(
    client: &Client,
    texts: &[String],
    side: Side<'_>,
    hint: &dyn Fn(&str) -> Option<String>,
) -> Outcome<Vec<Named>> {
    not_empty("an image name", texts)?;
    let texts = unique(texts.iter().cloned());
    let everything = match texts.len() >= MANY {
        true => Some(Index::of(client.images(all(), usize::MAX)?)),
        false => None,
    };
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for text in &texts {
        let candidates = match &everything {
            Some(index) => index.find(text),
            None => ask(client, text)?,
        };
        match choose(text, candidates, client.project(), side)? {
            Some(image) => found.push(image),
            // Rejected images, and others' community images, are not in a list but have an id.
            None if everything.is_some() && is_id(text) => match by_id(client, text)? {
                Some(image) if side.has(&image) => found.push(named(text, image)),
                _ => unknown.push(text.clone()),
            },
            None => unknown.push(text.clone()),
        }
    }
    match unknown.is_empty() {
        true => Ok(unique_ids(found)),
        false => Err(unknown_images(
            client,
            &unknown,
            side,
            everything.as_ref(),
            hint,
        )?),
    }
}

/// Finds one image.
///
/// # Errors
/// As [`find`].
pub fn find_one(client: &Client, text: &str, side: Side<'_>) -> Outcome<Named> {
    let found = find(client, &[text.to_owned()], side)?;
    let missing = || Failure::wrong_use(format!("there is no image {text:?}"));
    found.into_iter().next().ok_or_else(missing)
}

/// All images, by id and by name.
struct Index {
    images: Vec<Image>,
    places: HashMap<String, Vec<usize>>,
}

impl Index {
    fn of(images: Vec<Image>) -> Self {
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, image) in images.iter().enumerate() {
            places.entry(image.id.clone()).or_default().push(place);
            if let Some(name) = &image.name {
                places.entry(name.clone()).or_default().push(place);
            }
        }
        Self { images, places }
    }

    fn find(&self, text: &str) -> Vec<Image> {
        let places = self.places.get(text).map(Vec::as_slice).unwrap_or_default();
        let found = places.iter().filter_map(|place| self.images.get(*place));
        found
            .filter(|image| image.id == text || !is_id(text))
            .cloned()
            .collect()
    }
}

/// Whether a text is an image's id, and so no name. Others choose the names of their images: one that has the id
/// of another image for a name must not be taken for that.
fn is_id(text: &str) -> bool {
    looks_like_id(text) && text.contains('-')
}

/// Asks the service for one image by id, or by name.
fn ask(client: &Client, text: &str) -> Outcome<Vec<Image>> {
    if is_id(text) {
        return Ok(by_id(client, text)?.into_iter().collect());
    }
    // A name that reads like an operator, such as "in:a,b", is compared here.
    let query = match text.contains(':') {
        true => all(),
        false => all().with("name", Some(text)),
    };
    let mut images = client.images(query, usize::MAX)?;
    images.retain(|image| image.name.as_deref() == Some(text));
    Ok(images)
}

fn by_id(client: &Client, id: &str) -> Outcome<Option<Image>> {
    let Some(image) = client.image(id)? else {
        return Ok(None);
    };
    let unknown = |error| {
        Failure::away(format!(
            "the image service answers in an unknown form: {error}"
        ))
    };
    serde_json::from_value(image).map(Some).map_err(unknown)
}

fn named(text: &str, image: Image) -> Named {
    let name = image.name.filter(|name| !name.is_empty());
    Named {
        id: image.id,
        name: name.unwrap_or_else(|| text.to_owned()),
    }
}

/// The image that a text stands for; `None` if there is no candidate.
fn choose(
    text: &str,
    candidates: Vec<Image>,
    project: &str,
    side: Side<'_>,
) -> Outcome<Option<Named>> {
    let mine = |image: &Image| image.owner.as_deref() == Some(project);
    let candidates = candidates.into_iter().filter(|image| side.has(image));
    let (best, rest): (Vec<Image>, Vec<Image>) = candidates.partition(|image| match side {
        Side::Mine => mine(image) || image.id == text,
        Side::Theirs => !mine(image) || image.id == text,
        Side::Of(_) | Side::Any => true,
    });
    let mut candidates = if best.is_empty() { rest } else { best };
    if candidates.len() > 1 {
        let each = candidates.iter().map(|image| {
            let owner = match mine(image) {
                true => "yours".to_owned(),
                false => format!(
                    "of the project {}",
                    image.owner.as_deref().unwrap_or("nobody")
                ),
            };
            format!("{} ({owner}, {})", image.id, image.created_at)
        });
        return Err(Failure::wrong_use(format!(
            "{} are named {text:?}, so say which by its id: {}; nothing was sent",
            count(candidates.len(), "image"),
            each.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(candidates.pop().map(|image| named(text, image)))
}

/// What to say of images that are not found.
fn unknown_images(
    client: &Client,
    unknown: &[String],
    side: Side<'_>,
    index: Option<&Index>,
    hint: &dyn Fn(&str) -> Option<String>,
) -> Outcome<Failure> {
    let read;
    let images = match index {
        Some(index) => &index.images,
        None => {
            read = client.images(all(), KNOWN_MAX)?;
            &read
        }
    };
    let known: Vec<String> = images
        .iter()
        .filter(|image| side.has(image))
        .filter_map(|image| image.name.clone())
        .collect();
    let list = match side {
        Side::Of(_) => {
            "--from takes those of that project alone, imshare inbox --status all shows whose they are"
        }
        Side::Theirs => "imshare inbox --status all shows what others share with this project",
        Side::Mine | Side::Any => "imshare image list shows those that you may use",
    };
    let hint = |name: &str| match name.contains(',') {
        true => Some("images are separated by spaces".to_owned()),
        false => hint(name),
    };
    Ok(not_found("image", unknown, &known, list, &|_| None, &hint))
}

/// The sentence about unknown names, with its place and a hint or the nearest to each of the first few.
pub(super) fn not_found(
    noun: &str,
    unknown: &[String],
    known: &[String],
    list: &str,
    place: &dyn Fn(&str) -> Option<String>,
    hint: &dyn Fn(&str) -> Option<String>,
) -> Failure {
    const SHOWN: usize = 5;
    let near = |name: &str| {
        let words = nearest::words(name, known)?;
        Some(format!("did you mean {words}?"))
    };
    let described: Vec<String> = unknown
        .iter()
        .take(SHOWN)
        .map(|name| {
            let told = [place(name), hint(name).or_else(|| near(name))];
            let told: Vec<String> = told.into_iter().flatten().collect();
            match told.is_empty() {
                true => format!("{name:?}"),
                false => format!("{name:?} ({})", told.join("; ")),
            }
        })
        .collect();
    let more = unknown.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let noun = match unknown.len() {
        1 => format!("is no {noun}"),
        _ => format!("are no {noun}s"),
    };
    let described = described.join(", ");
    Failure::wrong_use(format!(
        "there {noun} {described}{more}; nothing was sent; {list}"
    ))
}
