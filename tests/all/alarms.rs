//! The filters of the alarms about logs, against the lines that are really logged.

use std::process::Stdio;

use serde_json::{Value, json};
use tests::runtime;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::harness::Who;
use crate::keystone::{self, EXPIRED, FakeKeystone};
use crate::lambda::binary;
use crate::template::properties;

/// The pattern of a metric filter in the template.
fn pattern(filter: &str) -> &'static str {
    properties(filter)["FilterPattern"].as_str().unwrap()
}

/// Whether CloudWatch's filter takes a line, for the two forms of patterns that the template has:
/// `{ $.a.b = "x" || … }` for JSON, and `?"x" ?"y"` for any of these texts.
fn takes(pattern: &str, line: &str) -> bool {
    let Some(terms) = pattern.strip_prefix('{') else {
        assert!(pattern.starts_with("?\""), "{pattern}");
        let mut texts = pattern.split('"').skip(1).step_by(2);
        return texts.any(|text| line.contains(text));
    };
    let Ok(line) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let terms = terms.strip_suffix('}').unwrap();
    terms.split("||").any(|term| {
        let (path, value) = term.split_once(" = ").unwrap();
        let pointer = path.trim().strip_prefix('$').unwrap().replace('.', "/");
        line.pointer(&pointer) == Some(&json!(value.trim().trim_matches('"')))
    })
}

/// What the real authorizer logs about these tokens.
async fn log_of(keystone: &FakeKeystone, tokens: &[&str]) -> Vec<String> {
    let (event, events) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let runtime = runtime(events, answer).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = tests::function(&binary("authorizer"), runtime, "http://127.0.0.1:1");
    command
        .env("KEYSTONE_URL", &keystone.url)
        .env("KEYSTONE_PASSWORD", keystone::PASSWORD)
        .stdout(Stdio::from(log.reopen().unwrap()));
    let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    for token in tokens {
        let method = "arn:aws:execute-api:eu-west-1:1:api/v/GET/v2/images";
        let input = json!({"methodArn": method, "headers": {"X-Auth-Token": token}});
        event.send(input).await.unwrap();
        let answered: Option<String> = answers.recv().await;
        answered.unwrap();
    }
    child.kill().await.unwrap();
    let log = std::fs::read_to_string(log.path()).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// The runtime logs each handler error as an ERROR, and a bad token is one: only an outage counts.
#[tokio::test]
async fn the_authorizers_alarm_counts_outages_and_no_bad_token() {
    let keystone = FakeKeystone::start().await;
    let (outages, crashes) = (pattern("AuthorizerFailures"), pattern("AuthorizerCrashes"));
    let count = |filter: &str, log: &[String]| {
        let taken = log.iter().filter(|line| takes(filter, line));
        taken.count()
    };
    let good = Who::Owner.token().unwrap();
    let refused = log_of(&keystone, &[good, Who::BadToken.token().unwrap(), EXPIRED]).await;
    let errors = "{ $.level = \"ERROR\" }";
    assert!(count(errors, &refused) >= 2, "{refused:?}");
    assert_eq!(count(outages, &refused), 0, "{refused:?}");

    let trouble = [keystone::TROUBLE, good, "another-token", keystone::TROUBLE];
    let failed = log_of(&keystone, &trouble).await;
    assert_eq!(count(outages, &failed), 2, "{failed:?}");
    let all = [refused, failed].concat();
    assert_eq!(count(crashes, &all), 0, "{all:?}");
}

/// Lambda's own lines, as its documentation has them: they are not JSON.
#[test]
fn time_outs_and_crashes_are_counted_apart() {
    let filter = pattern("AuthorizerCrashes");
    for line in [
        "2025-10-09T08:53:20.123Z c6af9ac6-7b61-11e6-9a41-93e8deadbeef Task timed out after 5.00 seconds",
        "RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef Error: Runtime exited with error: signal: killed",
        "INIT_REPORT Init Duration: 12.00 ms Phase: init Status: error Error Type: Runtime.ExitError",
        "RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef Error: Extension.Crash",
    ] {
        assert!(takes(filter, line), "{line}");
        assert!(!takes(pattern("AuthorizerFailures"), line), "{line}");
    }
    for line in [
        "START RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef Version: 7",
        "REPORT RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef Duration: 9.11 ms Billed Duration: 10 ms",
    ] {
        assert!(!takes(filter, line), "{line}");
    }
}

/// The other filter names messages of run-batch: they are in its source.
#[test]
fn the_filter_of_overdue_jobs_names_messages_of_run_batch() {
    let source = include_str!("../../functions/run-batch/src/lib.rs");
    let words: Vec<&str> = pattern("JobsOverdue")
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    assert_eq!(words.len(), 2);
    for said in words {
        assert!(source.contains(&format!("\"{said}\"")), "{said}");
        let line = json!({"level": "WARN", "fields": {"message": said}}).to_string();
        assert!(takes(pattern("JobsOverdue"), &line), "{line}");
    }
}
