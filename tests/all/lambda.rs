//! The real binaries under the Lambda Runtime API, with the embedded engine as their DynamoDB and
//! SQS over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tests::{TRACE, reply, runtime, runtime_with, serve};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::fixtures::{answer_of, cases, check, functions, set_up};
use crate::harness::Harness;
use crate::keystone::{self, FakeKeystone};

/// The most memory that a function may use, in KiB.
const MEMORY_MAX_KIB: u64 = 40 * 1024;

/// The store and the queue of the harness that is set.
async fn aws(harness: Arc<Mutex<Option<Arc<Harness>>>>) -> SocketAddr {
    serve(move |request: hyper::Request<Bytes>| {
        let harness = harness.lock().unwrap().clone().unwrap();
        async move {
            assert_eq!(request.headers()["x-amzn-trace-id"], TRACE);
            let target = request.headers()["x-amz-target"]
                .to_str()
                .unwrap()
                .to_owned();
            let (service, operation) = target.split_once('.').unwrap();
            let body = String::from_utf8(request.into_body().to_vec()).unwrap();
            let (status, body) = if service.starts_with("DynamoDB") {
                harness
                    .server
                    .engine
                    .as_ref()
                    .unwrap()
                    .perform(operation, &body)
                    .await
            } else {
                harness
                    .server
                    .queue
                    .as_ref()
                    .unwrap()
                    .perform(operation, &body)
                    .await
            };
            reply(status, body)
        }
    })
    .await
}

/// A function's binary from the same build as these tests.
pub fn binary(name: &str) -> std::path::PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join(name)
}

/// A response of the Runtime API in the form of the fixtures.
fn shown(text: &str) -> Value {
    let answer: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
    let Some(status) = answer["statusCode"].as_u64() else {
        return answer;
    };
    let headers: BTreeMap<String, String> = answer["multiValueHeaders"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, values)| (name.clone(), values[0].as_str().unwrap().to_owned()))
        .collect();
    answer_of(
        u16::try_from(status).unwrap(),
        headers,
        answer["body"].as_str().unwrap_or_default(),
    )
}

/// Events that no function of this service handles.
fn of_other_sources() -> [(&'static str, Value); 3] {
    [
        ("an empty object", json!({})),
        (
            "a schedule",
            json!({"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
                   "account": "1", "time": "2025-01-01T00:00:00Z", "region": "eu-west-1",
                   "resources": [], "detail": {}}),
        ),
        (
            "a load balancer",
            json!({"requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:1"}},
                   "httpMethod": "GET", "path": "/v2/images", "queryStringParameters": {},
                   "headers": {"host": "images.example"}, "body": "", "isBase64Encoded": false}),
        ),
    ]
}

/// The id that the Runtime API gives every invocation.
const LAMBDA_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

async fn replay(function: String) -> usize {
    let harness = Arc::new(Mutex::new(None));
    let aws = aws(harness.clone()).await;
    let (event, events) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let runtime = runtime(events, answer).await;
    let keystone = FakeKeystone::start().await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = tests::function(&binary(&function), runtime, &format!("http://{aws}"));
    command
        .env("KEYSTONE_URL", &keystone.url)
        .env("KEYSTONE_PASSWORD", keystone::PASSWORD)
        .env("SIGNED_REQUESTS", "true")
        .env("METRICS_NAMESPACE", "imshare/test")
        .stdout(log.reopen().unwrap());
    let child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut count = 0;
    // First an event of another source: it is refused, and the function survives.
    for (case, input) in of_other_sources() {
        if function == "sweep" && case == "a schedule" {
            continue;
        }
        event.send(input).await.unwrap();
        let found = tokio::time::timeout(Duration::from_secs(120), answers.recv()).await;
        let found = found
            .unwrap_or_else(|_| panic!("{function}: no answer to {case}"))
            .unwrap();
        let refused = found.contains("\"errorMessage\":") && !found.contains("panicked");
        assert!(refused, "{function}: {case}: {found}");
    }
    for (case, input) in cases(&function) {
        let fresh = Harness::new().await;
        set_up(&fresh).await;
        *harness.lock().unwrap() = Some(Arc::new(fresh));
        event.send(input).await.unwrap();
        let found = tokio::time::timeout(Duration::from_secs(120), answers.recv()).await;
        let found = found
            .unwrap_or_else(|_| panic!("{function}/{case}: no answer"))
            .unwrap();
        check(&function, &case, &shown(&found));
        count += 1;
    }
    check_log(&function, &std::fs::read_to_string(log.path()).unwrap());
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap()));
    let status = status.unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    if let Some(kib) = peak.and_then(|peak| peak.trim().strip_suffix(" kB")) {
        println!("{function}: {count} events, peak memory {kib} KiB");
        assert!(kib.parse::<u64>().unwrap() <= MEMORY_MAX_KIB, "{function}");
    }
    count
}

/// Each line of a function's log is one JSON object; its work is logged with the request id and its
/// cost, and again as metrics.
fn check_log(function: &str, log: &str) {
    let mut answered = 0;
    let mut metrics = 0;
    let mut applied = 0;
    let mut of_chunks = 0;
    let mut changes = 0;
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{function}: {line}"));
        let said = line["fields"]["message"].as_str().unwrap_or_default();
        if ["answered", "handled", "ran"].contains(&said) {
            answered += 1;
            let of_a_request = line["span"]["request.id"].is_string();
            assert_eq!(of_a_request, said != "ran", "{function}: {line}");
            // By Lambda's own id the access log finds the lines of a request.
            let spans = line["spans"].as_array().unwrap();
            let found = spans.iter().any(|span| span["requestId"] == LAMBDA_ID);
            assert!(found, "{function}: {line}");
            for field in ["duration_us", "store.requests", "store.units"] {
                assert!(
                    line["fields"][field].is_number(),
                    "{function}: {field} in {line}"
                );
            }
        }
        if line["target"] == "change" {
            changes += 1;
            assert_eq!(line["level"], "INFO", "{line}");
            for field in ["what", "from", "to", "user", "project", "request"] {
                assert!(
                    line["fields"][field].is_string(),
                    "{function}: {field} in {line}"
                );
            }
        }
        applied += usize::from(said == "applied a chunk");
        if line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "imshare/test" {
            assert!(line["Operation"].is_string(), "{function}: {line}");
            if line["Requests"].is_number() {
                metrics += 1;
                assert!(line["StoreUnits"].is_number(), "{function}: {line}");
            } else if function == "sweep" {
                assert_eq!(line["Overdue"], 1.0, "{line}");
                assert!(line["OverdueFor"].as_f64().unwrap() > 0.0, "{line}");
            } else {
                of_chunks += 1;
                assert!(line["JobAge"].is_number(), "{function}: {line}");
                let count = |name: &str| line[name].as_f64().unwrap_or(0.0);
                let failed: f64 = line
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|name| name.starts_with("IMG."))
                    .map(|code| count(code))
                    .sum();
                assert!(count("Entries") > 0.0, "{function}: {line}");
                assert_eq!(count("Succeeded") + failed, count("Entries"), "{line}");
            }
        }
    }
    assert_eq!(applied, of_chunks, "{function}");
    assert_eq!(function == "run-batch", of_chunks > 0, "{function}");
    let changing = [
        "add-member",
        "update-member",
        "remove-member",
        "batch-update",
        "images",
        "trusted-owners",
    ];
    // Its example of a chunk is older than the membership that it is about, and changes nothing.
    assert_eq!(changing.contains(&function), changes > 0, "{function}");
    // The authorizer serves the gateway, not a request, and has only Lambda's own metrics.
    assert_eq!(answered, metrics, "{function}");
    assert!(function == "authorizer" || answered > 0, "{function}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binaries_answer_every_event_as_expected() {
    let mut count = 0;
    for function in functions() {
        count += replay(function).await;
    }
    println!("{count} events");
}

#[tokio::test]
async fn a_missing_variable_stops_a_function_by_its_name() {
    for function in functions() {
        let output = Command::new(binary(&function))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
            .env("TABLE_NAME", "imshare")
            .output()
            .await
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let missing = match function.as_str() {
            "authorizer" => "KEYSTONE_URL",
            _ => "QUEUE_URL",
        };
        assert!(said.contains(missing), "{function}: {said}");
    }
}

#[tokio::test]
async fn a_malformed_variable_stops_a_function_by_its_name() {
    let good = [
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
        ("TABLE_NAME", "imshare"),
        ("QUEUE_URL", "http://127.0.0.1:1/batches"),
    ];
    for (name, value) in [
        ("CORS_ORIGINS", "https://console.example.com/"),
        ("CORS_ORIGINS", "*"),
        ("PUBLIC_ENDPOINT", "images.example.com"),
        ("PUBLIC_ENDPOINT", "https://images.example.com/\""),
        ("LOG_LEVEL", "inof"),
    ] {
        let mut function = Command::new(binary("discovery"));
        let output = function.env_clear().envs(good).env(name, value).output();
        let output = output.await.unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(name), "{name}: {said}");
    }
}

/// The functions that share images ask Keystone if they are configured to, as the template does.
#[tokio::test]
async fn a_function_that_checks_projects_needs_keystone() {
    let runtime: SocketAddr = "127.0.0.1:1".parse().unwrap();
    for function in ["add-member", "run-batch"] {
        let mut command = tests::function(&binary(function), runtime, "http://127.0.0.1:1");
        command
            .env("CHECK_PROJECTS", "true")
            .env_remove("KEYSTONE_URL")
            .stderr(std::process::Stdio::piped());
        let output = Command::from(command).output().await.unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("KEYSTONE_URL"), "{function}: {said}");
    }
}

/// A CORS preflight and a refusal, with an origin that the function is configured for.
#[tokio::test]
async fn a_function_answers_a_configured_origin() {
    let (event, events) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let runtime = runtime(events, answer).await;
    let mut command = tests::function(&binary("discovery"), runtime, "http://127.0.0.1:1");
    command.env("CORS_ORIGINS", "https://console.example.com");
    let _child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    for (case, mut input) in cases("discovery") {
        for place in ["headers", "multiValueHeaders"] {
            if let Some(headers) = input[place].as_object_mut() {
                headers.retain(|name, _| !name.eq_ignore_ascii_case("origin"));
            }
        }
        input["headers"]["Origin"] = json!("https://console.example.com");
        input["multiValueHeaders"]["Origin"] = json!(["https://console.example.com"]);
        event.send(input).await.unwrap();
        let found = tokio::time::timeout(Duration::from_secs(120), answers.recv()).await;
        let found: Value = serde_json::from_str(&found.unwrap().unwrap()).unwrap();
        let origin = &found["multiValueHeaders"]["access-control-allow-origin"][0];
        assert_eq!(origin, "https://console.example.com", "{case}: {found}");
    }
}

/// What a function answers and logs about an event for which it has four seconds, while nothing of AWS answers.
async fn in_four_seconds(function: &str, input: Value) -> (Value, String) {
    let aws = serve(|_: hyper::Request<Bytes>| std::future::pending::<tests::Reply>()).await;
    let (event, events) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let runtime = runtime_with(Duration::from_secs(4), events, answer).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = tests::function(&binary(function), runtime, &format!("http://{aws}"));
    command.stdout(log.reopen().unwrap());
    let _child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    event.send(input).await.unwrap();
    let found = tokio::time::timeout(Duration::from_secs(120), answers.recv()).await;
    let found = serde_json::from_str(&found.unwrap().unwrap()).unwrap();
    (found, std::fs::read_to_string(log.path()).unwrap())
}

/// Lambda would kill the invocation, and deliver what is done again with what is not.
#[tokio::test]
async fn a_message_that_takes_too_long_is_given_back_alone() {
    let (_, input) = cases("run-batch")
        .into_iter()
        .find(|(case, _)| case == "chunk")
        .unwrap();
    let chunk = &input["Records"][0];
    // This one needs nothing of the store.
    let mut over = chunk.clone();
    let mut body: Value = serde_json::from_str(over["body"].as_str().unwrap()).unwrap();
    body["deadline"] = json!(1);
    over["body"] = json!(body.to_string());
    over["messageId"] = json!("over");
    let input = json!({"Records": [over, chunk]});
    let (found, log) = in_four_seconds("run-batch", input).await;
    let failed = json!({"batchItemFailures": [{"itemIdentifier": chunk["messageId"]}]});
    assert_eq!(found, failed, "{log}");
    // Not by the store's own time-out, which would be too late.
    assert!(
        log.contains("out of time: the message is given back"),
        "{log}"
    );
}

#[tokio::test]
async fn a_run_that_takes_too_long_ends_before_lambda_kills_it() {
    let (_, input) = cases("sweep").remove(0);
    let (found, log) = in_four_seconds("sweep", input).await;
    assert!(found["errorMessage"].is_string(), "{found}");
    assert!(log.contains("no end within 3."), "{log}");
}
