//! What a batch sends, in parts that the service takes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::api::Task;
use crate::error::count;
use crate::names::Named;

/// The most entries of one request.
pub const ENTRIES_MAX: usize = 10_000;

/// Images and projects: an entry is an image with a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The images.
    pub images: Vec<Named>,
    /// The projects; `None` for an answer, which is always the caller's own.
    pub projects: Option<Vec<Named>>,
}

impl Part {
    /// The number of entries.
    pub fn entries(&self) -> usize {
        let projects = self.projects.as_ref().map_or(1, Vec::len);
        self.images.len() * projects
    }

    /// The ids of the images.
    pub fn image_ids(&self) -> Vec<String> {
        ids(&self.images)
    }

    /// The ids of the projects.
    pub fn project_ids(&self) -> Vec<String> {
        ids(self.projects.as_deref().unwrap_or_default())
    }
}

fn ids(named: &[Named]) -> Vec<String> {
    named.iter().map(|each| each.id.clone()).collect()
}

/// Splits a part into parts of at most `most` entries.
pub fn split(part: &Part, most: usize) -> Vec<Part> {
    let most = most.max(1);
    let Some(projects) = &part.projects else {
        let parts = part.images.chunks(most);
        return parts
            .map(|images| Part {
                images: images.to_vec(),
                projects: None,
            })
            .collect();
    };
    let mut parts = Vec::new();
    for projects in projects.chunks(most) {
        for images in part.images.chunks((most / projects.len()).max(1)) {
            let (images, projects) = (images.to_vec(), Some(projects.to_vec()));
            parts.push(Part { images, projects });
        }
    }
    parts
}

/// The parts that single entries make: images that are for the same projects go together.
pub fn of_entries(entries: impl IntoIterator<Item = (String, String)>, answers: bool) -> Vec<Part> {
    let named = |id: &String| Named {
        id: id.clone(),
        name: id.clone(),
    };
    let mut projects_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (image, project) in entries {
        projects_of.entry(image).or_default().insert(project);
    }
    if answers {
        let images: Vec<Named> = projects_of.keys().map(named).collect();
        return vec![Part {
            images,
            projects: None,
        }];
    }
    let mut images_of: BTreeMap<BTreeSet<String>, Vec<Named>> = BTreeMap::new();
    for (image, projects) in projects_of {
        images_of.entry(projects).or_default().push(named(&image));
    }
    let parts = images_of.into_iter().map(|(projects, images)| {
        let projects = Some(projects.iter().map(named).collect());
        Part { images, projects }
    });
    parts.collect()
}

/// How much it is, in words: "30 projects, 1 image".
pub fn sizes(parts: &[Part]) -> String {
    let distinct = |ids: Vec<String>| ids.into_iter().collect::<BTreeSet<_>>().len();
    let images = distinct(parts.iter().flat_map(Part::image_ids).collect());
    let images = count(images, "image");
    match parts.iter().any(|part| part.projects.is_some()) {
        true => {
            let projects = distinct(parts.iter().flat_map(Part::project_ids).collect());
            format!("{}, {images}", count(projects, "project"))
        }
        false => images,
    }
}

/// What a batch does, as a question begins.
pub fn verb(task: &Task) -> &'static str {
    match task {
        Task::Share => "Share",
        Task::Unshare => "Stop sharing",
        Task::Answer { accept: true, .. } => "Accept",
        Task::Answer { accept: false, .. } => "Reject",
    }
}

/// The names of images and projects by their ids.
pub type Names = HashMap<String, String>;

/// The names in these parts.
pub fn names(parts: &[Part]) -> Names {
    let projects = parts
        .iter()
        .filter_map(|part| part.projects.as_deref())
        .flatten();
    let all = parts.iter().flat_map(|part| &part.images).chain(projects);
    all.map(|each| (each.id.clone(), each.name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(prefix: &str, number: usize) -> Vec<Named> {
        let ids = (0..number).map(|each| format!("{prefix}{each}"));
        ids.map(|id| Named {
            name: id.clone(),
            id,
        })
        .collect()
    }

    /// Every entry is in exactly one part, and no part is too large.
    #[test]
    fn a_split_loses_and_repeats_nothing() {
        for (images, projects, most) in [
            (1, 30, 10_000),
            (3, 25_000, 10_000),
            (500, 70, 10_000),
            (7, 5, 3),
            (1, 1, 1),
        ] {
            let part = Part {
                images: named("i", images),
                projects: Some(named("p", projects)),
            };
            let parts = split(&part, most);
            let mut seen = BTreeSet::new();
            for part in &parts {
                assert!(part.entries() <= most);
                for image in part.image_ids() {
                    for project in part.project_ids() {
                        assert!(seen.insert((image.clone(), project)));
                    }
                }
            }
            assert_eq!(seen.len(), images * projects);
            assert!(
                parts.len() <= 2 * (images * projects).div_ceil(most),
                "{} parts",
                parts.len()
            );
        }
        let part = Part {
            images: named("i", 25_000),
            projects: None,
        };
        assert_eq!(split(&part, 10_000).len(), 3);
    }

    #[test]
    fn entries_go_together_again() {
        let entries = [("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"), ("c", "x")];
        let entries = entries.map(|(image, project)| (image.to_owned(), project.to_owned()));
        let parts = of_entries(entries.clone(), false);
        let shown: Vec<_> = parts
            .iter()
            .map(|part| (part.image_ids(), part.project_ids()))
            .collect();
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            shown,
            [
                (texts(&["c"]), texts(&["x"])),
                (texts(&["a", "b"]), texts(&["x", "y"]))
            ]
        );
        assert_eq!(sizes(&parts), "2 projects, 3 images");
        assert_eq!(of_entries(entries, true).len(), 1);
    }
}
