//! `POST`, `PUT` and `DELETE /v1/cloudimages/members`: accepts a batch and makes it a job.
//!
//! The job's record exists before its id is answered and before its messages are sent.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use shared::app::App;
use shared::auth::{Caller, Role};
use shared::batch::{ENTRIES_MAX, Outcome, Slice};
use shared::error::{ApiError, ImsCode};
use shared::http::{self, Handled, Request};
use shared::id::{JobId, ProjectId};
use shared::job::{DEADLINE_SECONDS, Job, JobKind, JobStatus};
use shared::member::MemberStatus;
use shared::queue::{Chunk, Message};
use shared::store::jobs::{Created, Idempotency};

/// The longest idempotency key, in characters.
const KEY_MAX: usize = 64;
/// The longest vault id, in characters.
const VAULT_ID_MAX: usize = 255;
/// Seconds after which a job that has not begun gets its messages again when its request is
/// repeated: whoever made it may have died before sending them.
const RESEND_AFTER: i64 = 30;

/// What a request asks for.
#[derive(Clone, Debug)]
struct Batch {
    kind: JobKind,
    entries: Slice,
    status: Option<MemberStatus>,
    vault_id: Option<String>,
}

/// Accepts a batch: 200 with the job's id.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = http::caller(&app, &request).await?;
    let kind = match request.method().as_str() {
        "POST" => JobKind::Add,
        "PUT" => JobKind::Update,
        "DELETE" => JobKind::Remove,
        _ => return Err(ApiError::no_such_resource()),
    };
    let batch = parse(kind, http::body_bytes(&request)?, &caller)?;
    let idempotency = idempotency_of(&request)?;
    if caller.role < Role::Member {
        return Err(ApiError::ims(ImsCode::RoleTooWeak));
    }

    let now = app.now();
    let job = Job {
        id: app.operation(),
        project: caller.project.clone(),
        kind,
        total: batch.entries.rows,
        chunk_rows: batch.entries.chunk_rows(),
        succeeded: 0,
        failed: 0,
        errors: std::collections::BTreeMap::new(),
        begin: now,
        updated_at: now,
        deadline: now.plus_seconds(DEADLINE_SECONDS),
    };
    match app
        .store()
        .create_job(&job, &batch.entries, idempotency.as_ref())
        .await?
    {
        Created::New => {
            if !start(&app, &caller, &batch, &job, &request).await? {
                if let Some(sent) = &idempotency {
                    app.store()
                        .forget_key(&job.project, &sent.key, job.id)
                        .await?;
                }
                return Err(ApiError::unavailable(format!(
                    "job {}: queue refused messages",
                    job.id
                )));
            }
            Ok(accepted(job.id))
        }
        Created::Before(id) => {
            if let Some(before) = app.store().job(id, now).await?
                && before.status(now) == JobStatus::Init
                && before.begin.plus_seconds(RESEND_AFTER) <= now
            {
                start(&app, &caller, &batch, &before, &request).await?;
            }
            Ok(accepted(id))
        }
        Created::OtherRequest => Err(ApiError::unprocessable(
            "The Idempotency-Key was used for another request within the last 24 hours.",
        )),
    }
}

fn accepted(job: JobId) -> http::Response {
    http::json(200, &json!({"job_id": job.to_string()}))
}

/// Sends a job's messages. What the queue does not take is settled as failed at once, so that
/// the job ends; `false` if there was any.
async fn start(
    app: &App,
    caller: &Caller,
    batch: &Batch,
    job: &Job,
    request: &Request,
) -> Result<bool, ApiError> {
    let request_id = http::request_id(request);
    tracing::info!(job.id = %job.id, job.entries = job.total, job.kind = ?job.kind, "starting a job");
    let chunks: Vec<Message> = (0..job.chunks())
        .map(|number| {
            Message::Chunk(Chunk {
                job: job.id.to_string(),
                number,
                project: caller.project.clone(),
                admin: caller.is_admin(),
                kind: batch.kind,
                status: batch.status,
                vault_id: batch.vault_id.clone(),
                deadline: job.deadline.micros(),
                entries: batch.entries.part(number * job.chunk_rows, job.chunk_rows),
            })
        })
        .collect();
    let unsent = app.queue().send(&chunks, &request_id).await?;
    for number in &unsent {
        let rows = job.chunk_rows.min(job.total - number * job.chunk_rows);
        let outcomes = vec![Outcome::Failed(job.kind.gave_up()); rows];
        app.store()
            .finish_chunk(job.id, *number, &outcomes, job.deadline, app.now())
            .await?;
    }
    Ok(unsent.is_empty())
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::ims_because(ImsCode::BadRequest, message)
}

fn parse(kind: JobKind, bytes: &[u8], caller: &Caller) -> Result<Batch, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::ims(ImsCode::EmptyBody));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
        return Err(ApiError::ims(ImsCode::BadRequest));
    };
    let images = texts(&body, "images")?;
    let (projects, status, vault_id) = match kind {
        JobKind::Add | JobKind::Remove => {
            let projects = texts(&body, "projects")?;
            for project in &projects {
                project_of(project)?;
            }
            (projects, None, None)
        }
        JobKind::Update => {
            let project = match body.get("project_id") {
                Some(Value::String(text)) => project_of(text)?,
                Some(_) => return Err(bad("project_id must be a string.")),
                None => return Err(bad("project_id is missing.")),
            };
            if !caller.speaks_for(project.as_str()) {
                return Err(ApiError::ims(ImsCode::ForeignProject));
            }
            let status = body
                .get("status")
                .and_then(Value::as_str)
                .and_then(MemberStatus::parse);
            let status = status
                .filter(|status| matches!(status, MemberStatus::Accepted | MemberStatus::Rejected))
                .ok_or_else(|| bad("status must be \"accepted\" or \"rejected\"."))?;
            (vec![project.to_string()], Some(status), vault_of(&body)?)
        }
    };
    let entries = Slice::of_request(&images, &projects);
    if entries.rows > ENTRIES_MAX {
        return Err(ApiError::ims_because(
            ImsCode::TooMany,
            format!("{} entries at once, Maximum: {ENTRIES_MAX}.", entries.rows),
        ));
    }
    Ok(Batch {
        kind,
        entries,
        status,
        vault_id,
    })
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
    let digest = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Some(Idempotency {
        key: key.to_owned(),
        digest,
    }))
}
