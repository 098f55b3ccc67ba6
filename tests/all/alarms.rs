//! The filters of the alarms about logs, against the lines that are really logged.

use std::process::Stdio;

use serde_json::{Value, json};
use tests::runtime;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::fixtures::cases;
use crate::harness::Who;
use crate::keystone::{self, EXPIRED, FakeKeystone};
use crate::lambda::binary;
use crate::template::{TEMPLATE, properties};

/// The pattern of a metric filter in the template.
fn pattern(filter: &str) -> &'static str {
    properties(filter)["FilterPattern"].as_str().unwrap()
}

/// Whether CloudWatch's filter takes a line, for the forms of patterns that the template has:
/// `{ $.a.b = "x" && $.c > 0 }` for JSON, and `?"x" ?"y"` for any of these texts.
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
    terms.split("&&").all(|term| {
        let words: Vec<&str> = term.trim().splitn(3, ' ').collect();
        let [path, operator, value] = words[..] else {
            panic!("{term}");
        };
        let pointer = path.strip_prefix('$').unwrap().replace('.', "/");
        let value: Value = serde_json::from_str(value).unwrap();
        line.pointer(&pointer).is_some_and(|found| match operator {
            "=" => *found == value,
            ">" => found.as_f64() > value.as_f64(),
            other => panic!("{other}"),
        })
    })
}

/// The function whose log a metric filter reads.
fn reads(filter: &str) -> &'static str {
    let group = properties(filter)["LogGroupName"]["Ref"].as_str().unwrap();
    let name = &properties(group)["LogGroupName"]["Fn::Sub"];
    name.as_str().unwrap().rsplit('/').next().unwrap()
}

/// What a function's real binary logs about these events. Nothing of AWS answers.
async fn log_of(
    function: &str,
    variables: &[(&str, &str)],
    inputs: impl IntoIterator<Item = Value>,
) -> Vec<String> {
    let (event, events) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let runtime = runtime(events, answer).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = tests::function(&binary(function), runtime, "http://127.0.0.1:1");
    command
        .envs(variables.iter().copied())
        .stdout(Stdio::from(log.reopen().unwrap()));
    let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    for input in inputs {
        event.send(input).await.unwrap();
        let answered: Option<String> = answers.recv().await;
        answered.unwrap();
    }
    child.kill().await.unwrap();
    let log = std::fs::read_to_string(log.path()).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// The lines that the authorizer logs while it checks these tokens.
async fn authorizer_log(keystone: &FakeKeystone, tokens: &[&str]) -> Vec<String> {
    let variables = [
        ("KEYSTONE_URL", keystone.url.as_str()),
        ("KEYSTONE_PASSWORD", keystone::PASSWORD),
    ];
    let method = "arn:aws:execute-api:eu-west-1:1:api/v/GET/v2/images";
    let inputs = tokens
        .iter()
        .map(|token| json!({"methodArn": method, "headers": {"X-Auth-Token": token}}));
    log_of("authorizer", &variables, inputs).await
}

fn count(filter: &str, log: &[String]) -> usize {
    log.iter().filter(|line| takes(filter, line)).count()
}

/// The runtime logs each handler error as an ERROR, and a bad token is one: only an outage counts.
#[tokio::test]
async fn the_authorizers_alarm_counts_outages_and_no_bad_token() {
    let keystone = FakeKeystone::start().await;
    let (outages, crashes) = (pattern("AuthorizerFailures"), pattern("AuthorizerCrashes"));
    let good = Who::Owner.token().unwrap();
    let refused = authorizer_log(&keystone, &[good, Who::BadToken.token().unwrap(), EXPIRED]).await;
    let errors = "{ $.level = \"ERROR\" }";
    assert!(count(errors, &refused) >= 2, "{refused:?}");
    assert_eq!(count(outages, &refused), 0, "{refused:?}");

    let trouble = [keystone::TROUBLE, good, "another-token", keystone::TROUBLE];
    let failed = authorizer_log(&keystone, &trouble).await;
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
        // A layer, and a binary, of another architecture.
        "RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef Error: fork/exec /opt/extensions/bootstrap: exec format error\nExtension.LaunchError",
        "RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef Error: fork/exec /var/task/bootstrap: exec format error\nRuntime.InvalidEntrypoint",
        // An extension that ends, or does not register.
        "INIT_REPORT Init Duration: 12.00 ms Phase: init Status: error Error Type: Extension.InitError",
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

/// A message that waits for the table, or that fails by a fault of ours, is told whatever `LogLevel` is: by the line of
/// its metrics. SQS leaves messages out of the age of a queue that were received three times, so nothing else tells.
#[tokio::test]
async fn a_message_that_fails_is_counted_at_every_level() {
    let filter = pattern("MessagesFail");
    assert_eq!(reads("MessagesFail"), "run-batch");
    let (_, chunk) = cases("run-batch")
        .into_iter()
        .find(|(case, _)| case == "chunk")
        .unwrap();
    let mut twice = chunk.clone();
    let records = twice["Records"].as_array_mut().unwrap();
    records.push(records[0].clone());
    for level in ["info", "off"] {
        let variables = [("METRICS_NAMESPACE", "imshare/test"), ("LOG_LEVEL", level)];
        let log = log_of("run-batch", &variables, [chunk.clone(), twice.clone()]).await;
        assert_eq!(count(filter, &log), 3, "{level}: {log:?}");
    }
    // One that is done is not counted, and another function's failure neither.
    for (operation, failed) in [("run-batch", 0.0), ("GET /v2/images", 1.0)] {
        let line = json!({"Operation": operation, "Failed": failed}).to_string();
        assert!(!takes(filter, &line), "{line}");
    }
}

/// A message that fails for ever comes again each 300 to 375 seconds. The alarm's periods are such that a single one is enough,
/// and that an outage of some minutes is not.
#[test]
fn one_message_that_fails_for_ever_is_enough() {
    let alarm = properties("MessagesFailAlarm");
    let number = |name: &str| alarm[name].as_u64().unwrap();
    let (period, periods, bad) = (
        number("Period"),
        number("EvaluationPeriods"),
        number("DatapointsToAlarm"),
    );
    let (shortest, longest) = (300, 375);
    assert_eq!(number("Threshold"), 1);
    // No two failures are in one period, and so many are in all of them.
    assert!(
        period <= shortest && period * periods / longest >= bad,
        "{alarm}"
    );
    assert!(period * (bad - 1) >= 600, "{alarm}");
}

/// The line of the sweep, which `back_off` looks at.
#[test]
fn the_filter_of_overdue_jobs_names_a_message_of_the_sweep() {
    let source = include_str!("../../functions/sweep/src/lib.rs");
    assert_eq!(reads("JobsOverdue"), "sweep");
    let said = pattern("JobsOverdue").split('"').nth(1).unwrap();
    assert!(source.contains(&format!("\"{said}\"")), "{said}");
    let line = json!({"level": "ERROR", "fields": {"message": said}}).to_string();
    assert!(takes(pattern("JobsOverdue"), &line), "{line}");
}

/// Whoever is woken by an alarm finds out what to do.
#[test]
fn the_runbook_has_every_alarm() {
    let runbook = include_str!("../../docs/operations.md");
    let resources = TEMPLATE["Resources"].as_object().unwrap();
    let alarms = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
    let named: Vec<&String> = alarms.map(|(name, _)| name).collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let row = format!("\n| `{name}` | ");
        assert_eq!(runbook.matches(&row).count(), 1, "{name}");
    }
}
