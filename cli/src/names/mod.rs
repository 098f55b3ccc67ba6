//! Names of images and projects, and what they stand for.

pub mod images;
pub mod nearest;
pub mod projects;

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

/// Splits a list that was pasted: one name a line or several with commas between them. Lines that
/// start with `#` are comments.
pub fn split(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let names = lines.flat_map(|line| line.split(',')).map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a list of names from a file, or from standard input for `-`.
///
/// # Errors
/// If it cannot be read.
pub fn read_file(path: &std::path::Path) -> Outcome<Vec<String>> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    let text = text
        .map_err(|error| Failure::wrong_use(format!("cannot read {}: {error}", path.display())))?;
    Ok(split(text.trim_start_matches(BYTE_ORDER_MARK)))
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
        let text = "web, db\n\n# the lab\n lab-1,\nteam two\r\nweb\n";
        assert_eq!(split(text), ["web", "db", "lab-1", "team two", "web"]);
        assert_eq!(unique(split(text)), ["web", "db", "lab-1", "team two"]);
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
