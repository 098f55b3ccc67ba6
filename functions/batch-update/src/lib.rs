//! `POST`, `PUT` and `DELETE /v1/cloudimages/members`: accepts a batch and makes it a job.
//!
//! The job's record exists before its id is answered and before its messages are sent.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use shared::domain::batch::{Batch, ENTRIES_MAX};
use shared::domain::entries::Entries;
use shared::domain::error::ApiError;
use shared::domain::id::{JobId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::member::MemberStatus;
use shared::domain::policy::{Action, ApiAction};
use shared::domain::task::{Answer, Task};
use shared::http::routes::{BatchKind, Operation};
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;
use shared::store::jobs::{Created, Idempotency};

/// The longest idempotency key, in characters.
const KEY_MAX: usize = 64;
/// The longest vault id, in characters.
const VAULT_ID_MAX: usize = 255;
/// What a request asks for.
#[derive(Clone, Debug)]
struct Asked {
    task: Task,
    entries: Entries,
}

/// Accepts a batch: 200 with the job's id.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    let Operation::Batch(kind) = http::operation(&request)? else {
        return Err(ApiError::no_such_resource());
    };
    let may = |action: ApiAction<'_>| {
        let decided = app.policy().decide(&caller, Action::Api(action));
        decided.map_err(|denied| denied.ims())
    };
    let asked = parse(kind, http::body_bytes(&request)?, may)?;
    let idempotency = idempotency_of(&request)?;
    may(ApiAction::StartBatch)?;
    let request_id = http::request_id(&request);
    let (op, now) = (app.operation(), app.now());
    let batch = Batch::new(&caller, asked.task, asked.entries, op, now, request_id);
    match app.store().create_job(&batch, idempotency.as_ref()).await? {
        Created::New => {
            start(&app, &batch).await?;
            Ok(accepted(batch.job.id))
        }
        // If its messages were not sent, they are owed: the sweep sends them.
        Created::Before(id) => Ok(accepted(id)),
        Created::OtherRequest => Err(ApiError::unprocessable(
            "The Idempotency-Key was used for another request within the last 24 hours.",
        )),
    }
}

fn accepted(job: JobId) -> http::Response {
    http::json(200, &json!({"job_id": job.to_string()}))
}

/// Sends a job's messages. The job is accepted in any case: the record says that its messages are
/// owed until it is known that all were sent, so what the queue does not take now it gets later.
async fn start(app: &App, batch: &Batch) -> Result<(), ApiError> {
    let job = &batch.job;
    tracing::info!(job.id = %job.id, job.entries = job.total, job.kind = ?job.kind, "starting a job");
    let chunks = batch.messages();
    let unsent = app.queue().send(&chunks, &batch.request_id).await?;
    if !unsent.is_empty() {
        tracing::error!(job.id = %job.id, unsent = unsent.len(), "the queue refused messages: left to the sweep");
    } else if chunks.len() > 1
        && let Err(error) = app.store().messages_sent(job.id).await
    {
        tracing::warn!(job.id = %job.id, error.why = error.for_log(), "left to the sweep");
    }
    Ok(())
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::ims_because(ImsCode::BadRequest, message)
}

fn parse(
    kind: BatchKind,
    bytes: &[u8],
    may: impl Fn(ApiAction<'_>) -> Result<(), ApiError>,
) -> Result<Asked, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::ims(ImsCode::EmptyBody));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
        return Err(ApiError::ims(ImsCode::BadRequest));
    };
    check_keys(&body, kind)?;
    let images = texts(&body, "images")?;
    let (projects, task) = match kind {
        BatchKind::Add | BatchKind::Remove => {
            let projects = texts(&body, "projects")?;
            for project in &projects {
                project_of(project)?;
            }
            let task = match kind {
                BatchKind::Remove => Task::Unshare,
                BatchKind::Add | BatchKind::Update => Task::Share,
            };
            (projects, task)
        }
        BatchKind::Update => {
            let project = match body.get("project_id") {
                Some(Value::String(text)) => project_of(text)?,
                Some(_) => return Err(bad("project_id must be a string.")),
                None => return Err(bad("project_id is missing.")),
            };
            may(ApiAction::AnswerFor(&project))?;
            let status = body
                .get("status")
                .and_then(Value::as_str)
                .and_then(MemberStatus::parse);
            let status = status
                .filter(|status| matches!(status, MemberStatus::Accepted | MemberStatus::Rejected))
                .ok_or_else(|| bad("status must be \"accepted\" or \"rejected\"."))?;
            let vault_id = vault_of(&body)?;
            let answer = Answer { status, vault_id };
            (vec![project.to_string()], Task::Answer(answer))
        }
    };
    let entries = Entries::of_request(&images, &projects);
    if entries.rows > ENTRIES_MAX {
        return Err(ApiError::ims_because(
            ImsCode::TooMany,
            format!("{} entries at once, Maximum: {ENTRIES_MAX}.", entries.rows),
        ));
    }
    Ok(Asked { task, entries })
}

/// Checks that a body asks for nothing that this service doesn't do: a key that is ignored would look
/// like one that has worked.
fn check_keys(body: &Map<String, Value>, kind: BatchKind) -> Result<(), ApiError> {
    let known: &[&str] = match kind {
        BatchKind::Add | BatchKind::Remove => &["images", "projects"],
        BatchKind::Update => &["images", "project_id", "status", "vault_id"],
    };
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(bad(format!(
            "{unknown} is not supported here; the body may have {}.",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

/// A list of strings that is not empty.
fn texts(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, ApiError> {
    let Some(value) = body.get(name) else {
        return Err(bad(format!("{name} is missing.")));
    };
    let texts = value
        .as_array()
        .filter(|items| !items.is_empty())
        .and_then(|items| {
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        });
    texts.ok_or_else(|| bad(format!("{name} must be a list of one or more strings.")))
}

/// A project id of a batch: without control characters, unlike the ones that v2 takes.
fn project_of(text: &str) -> Result<ProjectId, ApiError> {
    ProjectId::parse(text)
        .ok()
        .filter(|_| !text.chars().any(char::is_control))
        .ok_or_else(|| ApiError::ims(ImsCode::BadProjectId))
}

fn vault_of(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    match body.get("vault_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if (1..=VAULT_ID_MAX).contains(&text.chars().count()) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(bad(format!(
            "vault_id must be a string of 1 to {VAULT_ID_MAX} characters."
        ))),
    }
}

fn idempotency_of(request: &Request) -> Result<Option<Idempotency>, ApiError> {
    let Some(key) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=KEY_MAX).contains(&key.len()))
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| {
            bad(format!(
                "Idempotency-Key must have 1 to {KEY_MAX} visible ASCII characters."
            ))
        })?;
    let mut digest = Sha256::new();
    digest.update(request.method().as_str());
    digest.update(b"\n");
    digest.update(http::body_bytes(request)?);
    Ok(Some(Idempotency {
        key: key.to_owned(),
        digest: hex::encode(digest.finalize()),
    }))
}
