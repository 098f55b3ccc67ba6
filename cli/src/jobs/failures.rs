//! Failed entries, by their reasons.

use std::collections::{HashMap, HashSet};

use super::batch::Names;
use crate::api::Entry;
use crate::error::grouped;
use crate::visible::visible_line;

/// The failures of each reason that are named.
const NAMED: usize = 10;
/// The codes of failures of the service itself. The others stay until somebody changes something.
const PASSING: [&str; 2] = ["IMG.0112", "IMG.0113"];

/// Whether an entry that failed may succeed when it is repeated.
pub fn may_pass(entry: &Entry) -> bool {
    let code = entry.error_code.as_deref();
    code.is_none_or(|code| PASSING.contains(&code))
}

/// Names entries by what tells them apart in the request.
pub struct Labels<'a> {
    names: &'a Names,
    images: bool,
    projects: bool,
    /// The names that several images have.
    twins: HashSet<&'a str>,
}

impl<'a> Labels<'a> {
    /// Looks at all entries. Those of answers are told apart by their images: the project is the
    /// caller's own.
    pub fn new(all: &[&'a Entry], names: &'a Names, answers: bool) -> Self {
        let several = |of: fn(&Entry) -> &String| {
            let first = all.first().map(|entry| of(entry));
            all.iter().any(|entry| Some(of(entry)) != first)
        };
        let mut ids: HashMap<&str, &str> = HashMap::new();
        let twins = all.iter().filter_map(|entry| {
            let (name, id) = (names.get(&entry.image_id)?.as_str(), &*entry.image_id);
            (*ids.entry(name).or_insert(id) != id).then_some(name)
        });
        let twins = twins.collect();
        Self {
            names,
            images: answers || several(|entry| &entry.image_id),
            projects: !answers && several(|entry| &entry.project_id),
            twins,
        }
    }

    fn of(&self, entry: &Entry) -> String {
        let name = |id: &str| match self.names.get(id) {
            Some(name) if self.twins.contains(name.as_str()) => format!("{name} ({id})"),
            Some(name) => name.clone(),
            None => id.to_owned(),
        };
        let label = match (self.images, self.projects) {
            (true, true) => format!("{} for {}", name(&entry.image_id), name(&entry.project_id)),
            (true, false) => name(&entry.image_id),
            (false, _) => name(&entry.project_id),
        };
        visible_line(&label)
    }
}

/// A line for each reason, the most frequent first, and whether every failure is named.
pub fn by_reason(failed: &[&Entry], labels: &Labels<'_>) -> (String, bool) {
    let mut groups: Vec<(String, Vec<&Entry>)> = Vec::new();
    for entry in failed {
        let reason = reason(entry);
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, entries)) => entries.push(entry),
            None => groups.push((reason, vec![entry])),
        }
    }
    groups.sort_by_key(|(_, entries)| std::cmp::Reverse(entries.len()));
    let several = groups.len() > 1;
    let mut text = String::new();
    for (reason, entries) in &groups {
        let number = match several {
            true => format!("{} failed: ", grouped(entries.len())),
            false => String::new(),
        };
        let named: Vec<String> = entries
            .iter()
            .take(NAMED)
            .map(|each| labels.of(each))
            .collect();
        let more = match entries.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {} more", grouped(more)),
        };
        text.push_str(&format!("  {number}{reason}: {}{more}\n", named.join(", ")));
    }
    let whole = groups.iter().all(|(_, entries)| entries.len() <= NAMED);
    (text, whole)
}

/// "The image has as many members as it may have (IMG.0088)"
fn reason(entry: &Entry) -> String {
    let words = entry.fail_reason.as_deref();
    let words = words.map(|text| text.trim_end_matches('.'));
    match (words, entry.error_code.as_deref()) {
        (Some(words), Some(code)) => format!("{words} ({code})"),
        (Some(words), None) => words.to_owned(),
        (None, code) => code.unwrap_or("No reason was given").to_owned(),
    }
}
