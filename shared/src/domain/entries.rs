//! The entries of a batch, image × project, and how they are cut into chunks.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::id::{ImageId, ProjectId};

/// The rows of a chunk, unless one image alone has more.
pub const CHUNK_ROWS: usize = 100;
/// The most images of a chunk: one `BatchGetItem` of 100 keys reads them and a membership of each.
pub const CHUNK_IMAGES: usize = 50;
/// The most rows of a chunk that has one image only.
pub const CHUNK_ROWS_MAX: usize = 1_000;
/// The longest invalid image id that is kept, in characters.
const IMAGE_TEXT_MAX: usize = 64;

/// A run of rows: some images × some projects, of which a part counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// The image ids as results show them.
    pub images: Vec<String>,
    /// The projects.
    pub projects: Vec<ProjectId>,
    /// The number of rows to skip at the beginning of the product.
    pub skip: usize,
    /// The number of rows that count.
    pub rows: usize,
}

impl Entries {
    /// The rows of a whole request. Duplicates are dropped; all spellings of a UUID are one image.
    pub fn of_request(images: &[String], projects: &[ProjectId]) -> Self {
        let mut seen = HashSet::new();
        let images: Vec<_> = images
            .iter()
            .map(|text| match ImageId::any_spelling(text) {
                Some(id) => id.to_string(),
                None => text.chars().take(IMAGE_TEXT_MAX).collect(),
            })
            .filter(|text: &String| seen.insert(text.clone()))
            .collect();
        let mut seen = HashSet::new();
        let projects: Vec<_> = projects
            .iter()
            .filter(|project| seen.insert(*project))
            .cloned()
            .collect();
        let rows = images.len() * projects.len();
        Self {
            images,
            projects,
            skip: 0,
            rows,
        }
    }

    /// Restores a whole request from its rows.
    pub fn of_rows<'a>(rows: impl IntoIterator<Item = (&'a str, &'a ProjectId)>) -> Self {
        let (mut images, mut projects) = (Vec::<String>::new(), Vec::new());
        let mut count = 0;
        for (image, project) in rows {
            count += 1;
            if images.last().is_none_or(|last| last != image) {
                images.push(image.to_owned());
            }
            if images.len() == 1 {
                projects.push(project.clone());
            }
        }
        Self {
            images,
            projects,
            skip: 0,
            rows: count,
        }
    }

    /// The number of rows of each chunk: as many whole images as fit, or a part of one image's rows.
    pub fn chunk_rows(&self) -> usize {
        let projects = self.projects.len().max(1);
        let images = (CHUNK_ROWS / projects).clamp(1, CHUNK_IMAGES);
        (images * projects).min(CHUNK_ROWS_MAX)
    }

    /// The rows `from..from + rows`, or fewer at the end.
    pub fn part(&self, from: usize, rows: usize) -> Self {
        let width = self.projects.len().max(1);
        let rows = rows.min(self.rows.saturating_sub(from));
        let from = self.skip + from;
        let (first, last) = (from / width, (from + rows).div_ceil(width));
        let images = self.images.get(first..last).unwrap_or_default().to_vec();
        if images.len() == 1 {
            let projects = self
                .projects
                .iter()
                .skip(from % width)
                .take(rows)
                .cloned()
                .collect();
            return Self {
                images,
                projects,
                skip: 0,
                rows,
            };
        }
        Self {
            images,
            projects: self.projects.clone(),
            skip: from % width,
            rows,
        }
    }

    /// The image and the project of every row, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &ProjectId)> {
        self.images
            .iter()
            .flat_map(|image| {
                self.projects
                    .iter()
                    .map(move |project| (image.as_str(), project))
            })
            .skip(self.skip)
            .take(self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: &str, count: usize) -> Vec<String> {
        (0..count).map(|i| format!("{prefix}{i}")).collect()
    }

    fn project(text: impl Into<String>) -> ProjectId {
        ProjectId::parse(text).unwrap()
    }

    fn projects(count: usize) -> Vec<ProjectId> {
        (0..count).map(|i| project(format!("p{i}"))).collect()
    }

    #[test]
    fn every_row_is_in_one_chunk_and_in_order() {
        for (images, width) in [
            (1, 1),
            (3, 7),
            (250, 1),
            (9, 33),
            (2, 128),
            (3, 1500),
            (1, 2500),
        ] {
            let whole = Entries::of_request(&names("i", images), &projects(width));
            let rows = whole.chunk_rows();
            assert!(rows > 0);
            let mut found = Vec::new();
            let mut from = 0;
            while from < whole.rows {
                let part = whole.part(from, rows);
                assert_eq!(part.entries().count(), part.rows);
                if width <= CHUNK_ROWS_MAX {
                    assert_eq!(part.rows % width, 0, "an image stays in one chunk");
                }
                // A part of a part is the same part.
                let again = part.part(1, 5);
                assert!(again.entries().eq(part.entries().skip(1).take(5)));
                found.extend(part.entries().map(|(i, p)| (i.to_owned(), p.clone())));
                from += rows;
            }
            assert_eq!(Entries::of_rows(whole.entries()), whole);
            assert!(
                whole
                    .entries()
                    .map(|(i, p)| (i.to_owned(), p.clone()))
                    .eq(found)
            );
        }
    }

    #[test]
    fn both_spellings_are_one_image_and_duplicates_one_entry() {
        let id = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        let slice = Entries::of_request(
            &[
                id.to_owned(),
                id.replace('-', ""),
                id.to_uppercase(),
                "x".repeat(100),
            ],
            &[project("p"), project("p")],
        );
        assert_eq!(slice.images, [id.to_owned(), "x".repeat(64)]);
        assert_eq!(slice.rows, 2);
    }

    #[test]
    fn a_chunk_has_as_many_whole_images_as_fit() {
        for (width, rows) in [
            (0, 50),
            (1, 50),
            (2, 100),
            (3, 99),
            (33, 99),
            (34, 68),
            (50, 100),
            (51, 51),
            (100, 100),
            (101, 101),
            (1_000, 1_000),
            (1_001, 1_000),
        ] {
            let entries = Entries::of_request(&names("i", 3), &projects(width));
            assert_eq!(entries.chunk_rows(), rows, "{width} projects");
        }
    }

    #[test]
    fn a_part_has_only_what_it_needs() {
        let whole = Entries::of_request(&names("i", 3), &projects(4));
        let part = |images: std::ops::Range<usize>, texts: &[&str], skip, rows| Entries {
            images: images.map(|image| format!("i{image}")).collect(),
            projects: texts.iter().map(|text| project(*text)).collect(),
            skip,
            rows,
        };
        let all = ["p0", "p1", "p2", "p3"];
        assert_eq!(whole.part(0, 12), whole);
        assert_eq!(whole.part(4, 8), part(1..3, &all, 0, 8));
        assert_eq!(whole.part(6, 100), part(1..3, &all, 2, 6));
        assert_eq!(whole.part(3, 2), part(0..2, &all, 3, 2));
        // One image alone: its own projects.
        assert_eq!(whole.part(5, 2), part(1..2, &["p1", "p2"], 0, 2));
        assert_eq!(whole.part(8, 4), part(2..3, &all, 0, 4));
        assert_eq!(whole.part(12, 4).rows, 0);
        assert_eq!(whole.part(13, 4).entries().count(), 0);
        let none = Entries::of_request(&names("i", 3), &[]);
        assert_eq!((none.rows, none.part(0, 5).rows), (0, 0));
    }
}
