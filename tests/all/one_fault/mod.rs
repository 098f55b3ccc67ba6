//! One fault in one request to the store, in every path that writes: each request that the path sends fails in each way, and
//! the answers, the records and the log are those of a run without. So a single fault costs time and nothing else.
//!
//! `faults` has many faults at once, in the paths of memberships and jobs.

mod paths;
mod stage;

use self::paths::Path;
use self::stage::{Fault, Stage, Step, faults_of};
use crate::log::Log;

/// What a run has answered and left behind.
async fn run(path: &Path, strike: Option<(usize, Fault)>) -> (Vec<String>, Vec<String>) {
    let stage = Stage::new(path.limited).await;
    let well = |ended: &str| assert!(!ended.contains("Err"), "{}: {ended}", path.name);
    for step in &path.before {
        well(&stage.does(step).await);
        // Ids of operations are those of their times.
        stage.does(&Step::Wait(1)).await;
    }
    let log = Log::begin();
    stage.arm(strike);
    let mut found = Vec::new();
    for step in &path.then {
        found.push(stage.does(step).await);
    }
    if strike.is_none() {
        found.iter().for_each(|ended| well(ended));
    }
    let (requests, struck) = stage.disarm();
    assert_eq!(struck, strike.is_some());
    found.extend(stage.rest(&log).await);
    let found = found.join("\n");
    let found = match path.later {
        true => without_times(&found),
        false => found,
    };
    let found = without_ids(&found);
    (found.lines().map(str::to_owned).collect(), requests)
}

/// A text with the ids of operations replaced by numbers, in the order in which they appear.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        word.len() == 32 && word.starts_with("01") && word.bytes().all(|it| it.is_ascii_hexdigit())
    };
    let mut ids: Vec<&str> = Vec::new();
    let mut found = String::new();
    for word in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
        let (id, rest) = word.split_at(word.len().min(32));
        match is_id(id) {
            true => {
                let number = ids.iter().position(|known| *known == id);
                let number = number.unwrap_or_else(|| {
                    ids.push(id);
                    ids.len() - 1
                });
                found.push_str(&format!("op{number}{rest}"));
            }
            false => found.push_str(word),
        }
    }
    found
}

/// A text without the figures of times: they are those of the manual clock, in 2025.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
    let is_time = |word: &str| {
        let digits = word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        digits.starts_with("2025") || (digits.len() == 10 && digits.starts_with("176"))
    };
    words.filter(|word| !is_time(word)).collect()
}

/// Whether a line of the log may be missing when an answer is lost: an entry that finds itself applied cannot tell whether it
/// was by a try of its own or by another delivery, which has logged it.
fn may_be_missing(line: &str) -> bool {
    line.starts_with("member.answer") || line.starts_with("member.renew")
}

/// On one thread, with a clock that skips every wait.
fn on_a_paused_clock<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn try_all(paths: Vec<Path>) {
    on_a_paused_clock(async {
        let mut runs = 0;
        let mut wrong = Vec::new();
        for path in paths {
            let (expected, requests) = run(&path, None).await;
            assert!(!requests.is_empty(), "{}", path.name);
            for (at, operation) in requests.iter().enumerate() {
                for fault in faults_of(operation) {
                    let (found, _) = run(&path, Some((at, *fault))).await;
                    runs += 1;
                    let not_in = |other: &[String], lines: &[String]| {
                        let lines = lines.iter().filter(|line| !other.contains(line));
                        lines.cloned().collect::<Vec<String>>()
                    };
                    let more = not_in(&expected, &found);
                    let mut missing = not_in(&found, &expected);
                    missing.retain(|line| *fault != Fault::Lost || !may_be_missing(line));
                    if !(missing.is_empty() && more.is_empty()) {
                        wrong.push(format!(
                            "{}: {fault:?} at request {at}, {operation}\n  without: {missing:#?}\n  with: {more:#?}",
                            path.name
                        ));
                    }
                }
            }
        }
        println!("{runs} runs");
        assert!(
            wrong.is_empty(),
            "{} of {runs}:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}

#[test]
fn in_what_changes_images() {
    try_all(
        [
            paths::that_create(),
            paths::that_change(),
            paths::that_delete(),
        ]
        .concat(),
    );
}

#[test]
fn in_what_changes_memberships() {
    try_all(
        [
            paths::of_members(),
            paths::of_batches(),
            paths::of_late_batches(),
        ]
        .concat(),
    );
}

#[test]
fn in_the_sweep() {
    try_all(paths::of_the_sweep());
}
