//! Names of images and projects, and what they stand for.

pub mod images;
pub mod nearest;
pub mod projects;

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Failure, Outcome};

/// What some editors begin a file with; it belongs to no name.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What the user called something, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The id.
    pub id: String,
    /// The name, or the id where there is none.
    pub name: String,
}

/// A list of names that was read from a file.
#[derive(Debug, Default)]
pub struct List {
    /// The names, in the order of the file.
    pub names: Vec<String>,
    file: String,
    lines: HashMap<String, usize>,
}

impl List {
    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> Outcome<Self> {
        let (file, text) = match path.as_os_str() == "-" {
            true => (
                "standard input".to_owned(),
                std::io::read_to_string(std::io::stdin()),
            ),
            false => (path.display().to_string(), std::fs::read_to_string(path)),
        };
        let text = text.map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
                _ => error.to_string(),
            };
            Failure::wrong_use(format!("cannot read {file}: {why}; nothing was sent"))
        })?;
        Ok(Self::parse(file, &text))
    }

    /// Splits a text: one name a line or several with commas between them. Lines that start with `#`
    /// are comments.
    fn parse(file: String, text: &str) -> Self {
        let mut list = Self {
            file,
            ..Self::default()
        };
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        for (line, number) in text.lines().zip(1..) {
            if line.trim_start().starts_with('#') {
                continue;
            }
            for name in line.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                list.lines.entry(name.to_owned()).or_insert(number);
                list.names.push(name.to_owned());
            }
        }
        list
    }

    /// Where a name stands first: "line 3 of projects.txt"; `None` if it is not in the file.
    pub fn place(&self, name: &str) -> Option<String> {
        let line = self.lines.get(name)?;
        Some(format!("line {line} of {}", self.file))
    }
}

/// Refuses an empty name. An image or a project can have one, but who gives one has lost a variable.
///
/// # Errors
/// If a name is empty.
pub fn not_empty(what: &str, names: &[String]) -> Outcome<()> {
    match names.iter().any(String::is_empty) {
        true => Err(Failure::wrong_use(format!(
            "{what} is empty; is a variable of the shell not set? nothing was sent"
        ))),
        false => Ok(()),
    }
}

/// Each name once, in the order in which they were first given.
pub fn unique(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .collect()
}

/// Each id once, under the name that it was first given by.
pub fn unique_ids(named: Vec<Named>) -> Vec<Named> {
    let mut seen = std::collections::HashSet::new();
    named
        .into_iter()
        .filter(|each| seen.insert(each.id.clone()))
        .collect()
}

/// Whether a text looks like an id that clouds give: 32 hexadecimal digits, with or without dashes.
pub fn looks_like_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = text.bytes().filter(|byte| *byte == b'-').count();
    digits == 32 && digits + dashes == text.len() && (dashes == 0 || dashes == 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_can_be_pasted() {
        let text = "\u{feff}web, db\n\n# the lab\n lab-1,\nteam two\r\nweb\n";
        let list = List::parse("list".to_owned(), text);
        assert_eq!(list.names, ["web", "db", "lab-1", "team two", "web"]);
        for (name, place) in [
            ("web", Some("line 1 of list")),
            ("team two", Some("line 5 of list")),
            ("the lab", None),
        ] {
            assert_eq!(list.place(name).as_deref(), place, "{name}");
        }
        assert_eq!(unique(list.names), ["web", "db", "lab-1", "team two"]);
    }

    #[test]
    fn ids_are_told_from_names() {
        assert!(looks_like_id("5ef9f7a1c2d3460a9d0d4c6b8f5a1e01"));
        assert!(looks_like_id("118fe33f-c0b7-4eb0-a986-42cfca70d3be"));
        for name in [
            "debian-12",
            "",
            "5ef9f7a1c2d3460a9d0d4c6b8f5a1e0",
            "é118fe33fc0b74eb0a98642cfca70d3b",
        ] {
            assert!(!looks_like_id(name), "{name}");
        }
    }
}
