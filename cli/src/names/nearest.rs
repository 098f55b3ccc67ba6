//! The nearest names to an unknown one.

use crate::error::either;

/// How much alike two names have to be, from 0 to 1.
const ALIKE: f64 = 0.75;
/// How many names are proposed.
const PROPOSED: usize = 3;

/// The names that are most like this one, the nearest first.
pub fn names<'a>(unknown: &str, known: &'a [String]) -> Vec<&'a str> {
    let unknown = unknown.to_lowercase();
    let mut alike: Vec<(f64, &str)> = known
        .iter()
        .map(|name| (alikeness(&unknown, &name.to_lowercase()), name.as_str()))
        .filter(|(alikeness, _)| *alikeness >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    alike.dedup_by(|a, b| a.1 == b.1);
    alike
        .into_iter()
        .take(PROPOSED)
        .map(|(_, name)| name)
        .collect()
}

fn alikeness(unknown: &str, name: &str) -> f64 {
    // Part of a name is a good guess: "debian" for "debian-12".
    let part = unknown.chars().count() >= 3 && name.contains(unknown);
    let distance = strsim::normalized_damerau_levenshtein(unknown, name);
    if part { distance.max(ALIKE) } else { distance }
}

/// The same in words: `"debian-12" or "debian-11"`; `None` if no name is near.
pub fn words(unknown: &str, known: &[String]) -> Option<String> {
    let near: Vec<String> = names(unknown, known)
        .iter()
        .map(|name| format!("{name:?}"))
        .collect();
    (!near.is_empty()).then(|| either(&near))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_found() {
        let known = [
            "debian-12",
            "debian-11",
            "ubuntu-24.04",
            "Windows",
            "debian-12",
        ]
        .map(str::to_owned);
        assert_eq!(names("debain-12", &known), ["debian-12", "debian-11"]);
        assert_eq!(names("debian", &known), ["debian-11", "debian-12"]);
        assert_eq!(names("windows", &known), ["Windows"]);
        assert!(names("fedora", &known).is_empty());
        assert_eq!(
            words("debian", &known).unwrap(),
            "\"debian-11\" or \"debian-12\""
        );
    }
}
