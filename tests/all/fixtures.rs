//! Replays every event in `events/` and compares its response: through the handlers here, through
//! the real binaries under the Lambda Runtime API in `lambda`.
//!
//! `events/<function>/<case>.json` is the event, `<case>.out.json` the expected response, in which
//! `"{any}"` matches any text. `UPDATE_GOLDEN=1` writes the expected responses anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use authorizer::Authorizer;
use authorizer::config::Config;
use lambda_http::Body;
use lambda_runtime::Diagnostic;
use local::seed::JOB;
pub use local::seed::{LONELY, SHARED};
use serde_json::{Value, json};
use shared::domain::time::{Clock, Timestamp};
use shared::http::routes::{self, Function};
use shared::http::{Request, Response};
use shared::runtime::api::answer;
use shared::runtime::app::App;
use shared::runtime::messages::{Source, SqsEvent, each};

use crate::harness::Harness;
use crate::keystone::FakeKeystone;

/// Creates the records that every event is written for.
pub async fn set_up(harness: &Harness) {
    local::seed::fixtures(&harness.server.app).await.unwrap();
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

/// The functions with events.
pub fn functions() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The cases of a function: name and event.
pub fn cases(function: &str) -> Vec<(String, Value)> {
    let mut cases: Vec<(String, Value)> = std::fs::read_dir(directory().join(function))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_str().unwrap().ends_with(".out.json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (
                name,
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap(),
            )
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!cases.is_empty(), "{function} has no events");
    cases
}

/// Compares a function's response with the expected one.
pub fn check(function: &str, case: &str, found: &Value) {
    let path = directory().join(function).join(format!("{case}.out.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let mut found = normalized(found.clone());
        if function == "console" && found["statusCode"] == 200 {
            // What every change of the page changes.
            found["body"] = json!("{any}");
            found["headers"]["etag"] = json!("{any}");
        }
        let text = serde_json::to_string_pretty(&found).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let expected: Value = serde_json::from_slice(&text).unwrap();
    assert!(
        agrees(&expected, found),
        "{function}/{case}\nexpected {expected:#}\nfound {found:#}"
    );
}

/// Replaces what differs from run to run: times and new ids.
fn normalized(value: Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(name, value)| {
                    let changes =
                        name.ends_with("_at") || name.ends_with("_time") || name == "etag";
                    let new = name == "job_id" && value != JOB;
                    let any = (changes || new) && value.is_string();
                    (
                        name,
                        if any {
                            json!("{any}")
                        } else {
                            normalized(value)
                        },
                    )
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.into_iter().map(normalized).collect()),
        other => other,
    }
}

fn agrees(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(any), Value::String(_)) if any == "{any}" => true,
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, value)| b.get(name).is_some_and(|found| agrees(value, found)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agrees(a, b))
        }
        (a, b) => a == b,
    }
}

/// The response as the gateway gets it, with its body parsed if it is JSON.
fn shown(response: Response) -> Value {
    let (parts, body) = response.into_parts();
    let body = match body {
        Body::Text(text) => text,
        Body::Binary(bytes) => String::from_utf8(bytes).unwrap(),
        _ => String::new(),
    };
    let headers: BTreeMap<_, _> = parts
        .headers
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
        .collect();
    answer_of(parts.status.as_u16(), headers, &body)
}

/// The part of a response that is compared.
pub fn answer_of(status: u16, headers: BTreeMap<String, String>, body: &str) -> Value {
    let mut body = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
    let mut headers = json!(headers);
    // A new image has a new id, wherever it occurs.
    if status == 201
        && let Some(id) = body["id"].as_str().map(str::to_owned)
    {
        body = serde_json::from_str(&body.to_string().replace(&id, "{any-id}")).unwrap();
        headers = serde_json::from_str(&headers.to_string().replace(&id, "{any-id}")).unwrap();
    }
    json!({"statusCode": status, "headers": headers, "body": body})
}

async fn answered(harness: &Harness, function: Function, event: &Value) -> Value {
    let request: Request = lambda_http::request::from_str(&event.to_string()).unwrap();
    shown(ask(harness.server.app.clone(), function, request).await)
}

/// The function that serves a path.
pub fn function_of(method: &str, path: &str) -> Function {
    let path = path.split('?').next().unwrap();
    routes::Path::of_decoded(path).resolve(method).function()
}

/// The response of a function.
pub async fn ask(app: App, function: Function, request: Request) -> Response {
    match function {
        Function::AddMember => answer(app, request, add_member::handle).await,
        Function::UpdateMember => answer(app, request, update_member::handle).await,
        Function::RemoveMember => answer(app, request, remove_member::handle).await,
        Function::ReadMembers => answer(app, request, read_members::handle).await,
        Function::BatchUpdate => answer(app, request, batch_update::handle).await,
        Function::GetJob => answer(app, request, get_job::handle).await,
        Function::Images => answer(app, request, images::handle).await,
        Function::TrustedOwners => answer(app, request, trusted_owners::handle).await,
        Function::Discovery => answer(app, request, discovery::handle).await,
    }
}

/// What the gateway gets: a policy, or an error in the Lambda runtime's form.
async fn authorized(event: &Value) -> Value {
    let config = Config {
        signed_requests: true,
        ..FakeKeystone::start().await.config()
    };
    let authorizer = Authorizer::new(config, Clock::System).unwrap();
    let event = serde_json::from_value(event.clone()).unwrap();
    match authorizer::event::answer(&authorizer, event).await {
        Ok(policy) => policy,
        Err(denied) => serde_json::to_value(Diagnostic::from(denied)).unwrap(),
    }
}

async fn handled(harness: &Harness, function: &str, event: &Value) -> Value {
    let app = harness.server.app.clone();
    let event: SqsEvent = serde_json::from_value(event.clone()).unwrap();
    let until = Timestamp::from_micros(i64::MAX);
    let response = match function {
        "run-batch" => each(Source::Batches, app, event, until, run_batch::handle).await,
        "settle-batch" => each(Source::DeadLetters, app, event, until, settle_batch::handle).await,
        other => panic!("no function {other}"),
    };
    serde_json::to_value(response).unwrap()
}

#[tokio::test]
async fn the_handlers_answer_every_event_as_expected() {
    let api = [
        Function::AddMember,
        Function::UpdateMember,
        Function::RemoveMember,
        Function::ReadMembers,
        Function::BatchUpdate,
        Function::GetJob,
        Function::Images,
        Function::TrustedOwners,
        Function::Discovery,
    ];
    let mut count = 0;
    for name in functions() {
        for (case, event) in cases(&name) {
            let harness = Harness::new().await;
            set_up(&harness).await;
            let found = match api.iter().find(|function| function.name() == name) {
                Some(function) => answered(&harness, *function, &event).await,
                None if name == "authorizer" => authorized(&event).await,
                None if name == "console" => {
                    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
                    shown(answer(harness.server.app.clone(), request, console::handle).await)
                }
                None if name == "sweep" => {
                    let until = Timestamp::from_micros(i64::MAX);
                    let swept = sweep::handle(harness.server.app.clone(), until).await;
                    serde_json::to_value(swept.unwrap()).unwrap()
                }
                None => handled(&harness, &name, &event).await,
            };
            check(&name, &case, &found);
            count += 1;
        }
    }
    println!("{count} events");
}
