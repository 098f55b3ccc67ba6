//! Counts the instructions and allocations of each operation, and compares them with a baseline.
//!
//! Callgrind counts the instructions, so the counts are the same on a busy machine and on an idle
//! one. `checks/instructions.sh` builds this program and runs it.

mod baseline;
mod callgrind;
mod meter;
mod operations;
mod service;
mod sockets;
mod start;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use baseline::{Cost, Costs, Found};
use callgrind::Counts;
use meter::Line;

/// Usage, for those who run it by hand.
const USAGE: &str = "usage: instructions check|update BASELINE FUNCTION";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["count", directory] => {
            operations::run(Path::new(directory));
            sockets::run();
            Ok(())
        }
        ["check", baseline, function] => check(Path::new(baseline), Path::new(function)),
        ["update", baseline, function] => count_all(Path::new(function))
            .and_then(|costs| baseline::write(Path::new(baseline), &costs)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            say(&sentence);
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Counts, prints the table, and compares.
fn check(path: &Path, function: &Path) -> Result<(), String> {
    let before = baseline::read(path)?;
    let now = count_all(function)?;
    for (name, cost) in &now {
        let instructions = before.get(name).map(|before| before.instructions);
        let change = instructions.map_or_else(String::new, |before| {
            format!(
                "{:+.1} %",
                (cost.instructions as f64 / before as f64 - 1.0) * 100.0
            )
        });
        let allocations = cost.allocations.map(|count| count.to_string());
        let allocations = allocations.unwrap_or_default();
        say(&format!(
            "{name:44} {:>12} {change:>8} {allocations:>8}",
            cost.instructions
        ));
    }
    let Found {
        mut failures,
        cheaper,
    } = baseline::compare(&before, &now);
    for sentence in &cheaper {
        say(sentence);
    }
    if !cheaper.is_empty() {
        say("Run checks/instructions.sh --update, so that it stays so.");
    }
    failures.extend(sockets::missed(&now));
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

/// Counts everything: what runs in this program, and the start of a function's binary.
fn count_all(function: &Path) -> Result<Costs, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut costs = count_marked(directory.path())?;
    let instructions = start::count(function, directory.path())?;
    let start = Cost {
        instructions,
        allocations: None,
    };
    costs.insert("start a function and answer once".to_owned(), start);
    Ok(costs)
}

/// Runs this program once more under Callgrind, and reads what it counted.
fn count_marked(directory: &Path) -> Result<Costs, String> {
    operations::prepare(directory);
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let out: PathBuf = directory.join("marked");
    let mut command = callgrind::command(&own, &out, Counts::Marked);
    let ran = command
        .arg("count")
        .arg(directory)
        .stderr(Stdio::inherit())
        .output();
    let ran = ran.map_err(|error| format!("valgrind cannot be run: {error}"))?;
    if !ran.status.success() {
        return Err(format!("valgrind ended with {}", ran.status));
    }
    let mut costs = BTreeMap::new();
    let printed = String::from_utf8_lossy(&ran.stdout);
    for (place, line) in printed.lines().enumerate() {
        let line = Line::parse(line).ok_or_else(|| format!("not a count: {line}"))?;
        let instructions = callgrind::total(&callgrind::part(&out, place + 1))?;
        let cost = Cost {
            instructions: instructions / line.rounds,
            allocations: Some(line.allocations / line.rounds),
        };
        costs.insert(line.name, cost);
    }
    Ok(costs)
}
