//! The real binaries under the real protocol: a Lambda Runtime API hands them the events, and the
//! embedded engine answers as their DynamoDB and SQS over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::fixtures::{answer_of, cases, check, functions, set_up};
use crate::keystone::{self, Keystone};
use crate::world::World;

pub type Reply = hyper::Response<Full<Bytes>>;

pub fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    hyper::Response::builder()
        .status(status)
        .body(Full::new(body.into()))
        .unwrap()
}

/// Serves HTTP on a port of its own until the test ends.
pub async fn serve<F, R>(handler: F) -> SocketAddr
where
    F: Fn(hyper::Request<Bytes>) -> R + Clone + Send + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = handler.clone();
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let handler = handler.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    Ok::<_, hyper::Error>(handler(hyper::Request::from_parts(parts, body)).await)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { connection.await.ok() });
        }
    });
    address
}

/// The most memory that a function may take, in KiB.
const MEMORY_MAX_KIB: u64 = 40 * 1024;

/// The trace that every event is a part of: it must reach whom the functions call.
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// The store and the queue of whichever world is set.
async fn aws(world: Arc<Mutex<Option<Arc<World>>>>) -> SocketAddr {
    serve(move |request: hyper::Request<Bytes>| {
        let world = world.lock().unwrap().clone().unwrap();
        async move {
            assert_eq!(request.headers()["x-amzn-trace-id"], TRACE);
            let target = request.headers()["x-amz-target"]
                .to_str()
                .unwrap()
                .to_owned();
            let (service, operation) = target.split_once('.').unwrap();
            let body = String::from_utf8(request.into_body().to_vec()).unwrap();
            let (status, body) = if service.starts_with("DynamoDB") {
                world
                    .server
                    .engine
                    .as_ref()
                    .unwrap()
                    .perform(operation, &body)
            } else {
                world
                    .server
                    .queue
                    .clone()
                    .unwrap()
                    .perform(operation.to_owned(), body)
                    .await
            };
            reply(status, body)
        }
    })
    .await
}

/// A Runtime API that hands out what is sent to it, and sends back what is answered.
pub async fn runtime(events: mpsc::Receiver<Value>, answers: mpsc::Sender<String>) -> SocketAddr {
    let events = Arc::new(tokio::sync::Mutex::new(events));
    serve(move |request: hyper::Request<Bytes>| {
        let (events, answers) = (events.clone(), answers.clone());
        async move {
            let path = request.uri().path().to_owned();
            if path.ends_with("/invocation/next") {
                let Some(event) = events.lock().await.recv().await else {
                    return std::future::pending().await;
                };
                let deadline = std::time::SystemTime::now() + Duration::from_secs(120);
                let deadline = deadline
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .as_millis();
                let mut next = reply(200, event.to_string());
                for (name, value) in [
                    (
                        "lambda-runtime-aws-request-id",
                        "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
                    ),
                    ("lambda-runtime-deadline-ms", deadline.to_string()),
                    ("lambda-runtime-trace-id", TRACE.to_owned()),
                    (
                        "lambda-runtime-invoked-function-arn",
                        "arn:aws:lambda:eu-west-1:1:function:f".to_owned(),
                    ),
                ] {
                    next.headers_mut().insert(name, value.parse().unwrap());
                }
                return next;
            }
            let body = String::from_utf8(request.into_body().to_vec()).unwrap();
            // A failure has a body of its own form, which no expectation of an answer agrees with.
            assert!(
                path.ends_with("/response") || path.ends_with("/error"),
                "{path}: {body}"
            );
            answers.send(body).await.unwrap();
            reply(202, "")
        }
    })
    .await
}

pub fn binary(name: &str) -> std::path::PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join(name)
}

/// An answer of the runtime's protocol in the form of the fixtures.
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

/// Events that no function of this service takes.
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

async fn replay(function: String) -> usize {
    let world = Arc::new(Mutex::new(None));
    let aws = aws(world.clone()).await;
    let (event, events) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let runtime = runtime(events, answer).await;
    let keystone = Keystone::start().await;
    let path = binary(&function);
    let log = tempfile::NamedTempFile::new().unwrap();
    let child = Command::new(&path)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", &function)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "s")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "g")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_ENDPOINT_URL", format!("http://{aws}"))
        .env("TABLE_NAME", "imshare")
        .env("QUEUE_URL", local::queue::BATCHES)
        .env("KEYSTONE_URL", &keystone.url)
        .env("KEYSTONE_USERNAME", "imshare")
        .env("KEYSTONE_PASSWORD", keystone::PASSWORD)
        .env("SIGNED_REQUESTS", "true")
        .env("METRICS_NAMESPACE", "imshare/test")
        .stdout(log.reopen().unwrap())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; build it with cargo build", path.display()));
    let mut count = 0;
    // First what another source would send: it is refused, and the function lives on.
    for (case, input) in of_other_sources() {
        event.send(input).await.unwrap();
        let found = tokio::time::timeout(Duration::from_secs(120), answers.recv()).await;
        let found = found
            .unwrap_or_else(|_| panic!("{function}: no answer to {case}"))
            .unwrap();
        let refused = found.contains("\"errorMessage\":") && !found.contains("panicked");
        assert!(refused, "{function}: {case}: {found}");
    }
    for (case, input) in cases(&function) {
        let fresh = World::new().await;
        set_up(&fresh).await;
        *world.lock().unwrap() = Some(Arc::new(fresh));
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

/// Each line of a function's log is one JSON object; what it has done stands there with its request
/// and its cost, and once more as metrics.
fn check_log(function: &str, log: &str) {
    let mut answered = 0;
    let mut metrics = 0;
    let mut applied = 0;
    let mut of_chunks = 0;
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{function}: {line}"));
        let said = line["fields"]["message"].as_str().unwrap_or_default();
        if ["answered", "handled"].contains(&said) {
            answered += 1;
            assert!(line["span"]["request.id"].is_string(), "{function}: {line}");
            for field in ["duration_us", "store.requests", "store.units"] {
                assert!(
                    line["fields"][field].is_number(),
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
    // The authorizer answers the gateway, not a request, and has metrics of Lambda's own.
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
