//! The stored counts, and what is said about counts that differ from them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// How much more than the baseline fails, in percent.
pub const MORE_MAX: u64 = 5;

/// What one run of an operation costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Instructions of the processor.
    pub instructions: u64,
    /// Allocations; `None` where other processes make them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
}

/// Costs by the names of operations.
pub type Costs = BTreeMap<String, Cost>;

/// Reads a baseline.
///
/// # Errors
/// One sentence: it cannot be read.
pub fn read(path: &Path) -> Result<Costs, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{} is not JSON: {error}", path.display()))
}

/// Writes a baseline.
///
/// # Errors
/// One sentence: it cannot be written.
pub fn write(path: &Path, costs: &Costs) -> Result<(), String> {
    let text = serde_json::to_string_pretty(costs).map_err(|error| error.to_string())?;
    std::fs::write(path, text + "\n")
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// What a comparison found, as sentences.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What fails the check.
    pub failures: Vec<String>,
    /// What has become cheaper: the baseline should be written again, so that it stays so.
    pub cheaper: Vec<String>,
}

/// Compares counts with the baseline.
pub fn compare(baseline: &Costs, now: &Costs) -> Found {
    let mut found = Found::default();
    for (name, cost) in now {
        let Some(before) = baseline.get(name) else {
            found
                .failures
                .push(format!("{name}: the baseline does not have it."));
            continue;
        };
        found.count(name, "instructions", before.instructions, cost.instructions);
        match (before.allocations, cost.allocations) {
            (Some(before), Some(now)) => found.count(name, "allocations", before, now),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => found.failures.push(format!(
                "{name}: allocations are counted here or in the baseline, not in both."
            )),
        }
    }
    for name in baseline.keys().filter(|name| !now.contains_key(*name)) {
        found.failures.push(format!(
            "{name}: the baseline has it, but it was not counted."
        ));
    }
    found
}

impl Found {
    fn count(&mut self, name: &str, what: &str, before: u64, now: u64) {
        let percent = (now as f64 / before as f64 - 1.0) * 100.0;
        let more = now * 100 > before * (100 + MORE_MAX);
        let less = now * (100 + MORE_MAX) < before * 100;
        if more {
            self.failures.push(format!(
                "{name} takes {percent:.1} % more {what} than the baseline: {now}, not {before}."
            ));
        } else if less {
            self.cheaper.push(format!(
                "{name} takes {:.1} % fewer {what} than the baseline: {now}, not {before}.",
                -percent
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(all: &[(&str, u64, Option<u64>)]) -> Costs {
        all.iter()
            .map(|(name, instructions, allocations)| {
                let cost = Cost {
                    instructions: *instructions,
                    allocations: *allocations,
                };
                ((*name).to_owned(), cost)
            })
            .collect()
    }

    #[test]
    fn five_percent_more_pass_and_anything_above_fails() {
        let baseline = costs(&[("show", 1000, Some(100))]);
        let with = |instructions, allocations| {
            compare(&baseline, &costs(&[("show", instructions, allocations)]))
        };
        assert_eq!(with(1000, Some(100)), Found::default());
        assert_eq!(with(1050, Some(105)), Found::default());
        assert_eq!(
            with(1051, Some(100)).failures,
            ["show takes 5.1 % more instructions than the baseline: 1051, not 1000."]
        );
        assert_eq!(
            with(1000, Some(106)).failures,
            ["show takes 6.0 % more allocations than the baseline: 106, not 100."]
        );
    }

    #[test]
    fn what_becomes_cheaper_is_said_and_does_not_fail() {
        let baseline = costs(&[("show", 1000, None)]);
        let found = compare(&baseline, &costs(&[("show", 900, None)]));
        assert_eq!(
            found.cheaper,
            ["show takes 10.0 % fewer instructions than the baseline: 900, not 1000."]
        );
        assert!(found.failures.is_empty());
    }

    #[test]
    fn no_operation_is_left_out() {
        let one = costs(&[("show", 1000, None)]);
        let two = costs(&[("show", 1000, None), ("list", 1, None)]);
        assert_eq!(
            compare(&one, &two).failures,
            ["list: the baseline does not have it."]
        );
        assert_eq!(
            compare(&two, &one).failures,
            ["list: the baseline has it, but it was not counted."]
        );
        let counted = costs(&[("show", 1000, Some(1))]);
        assert_eq!(compare(&one, &counted).failures.len(), 1);
        assert_eq!(compare(&counted, &one).failures.len(), 1);
    }
}
