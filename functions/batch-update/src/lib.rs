//! `POST`, `PUT` and `DELETE /v1/cloudimages/members`: accepts a batch and makes it a job. So does `PUT
//! /v1/{project_id}/cloudimages/{image_id}/members`, for the declared members of one image: see
//! `replace`.
//!
//! The job's record exists before its id is answered and before its messages are sent.

mod replace;

use sha2::{Digest as _, Sha256};
use shared::domain::actor::Origin;
use shared::domain::batch::{Batch, ENTRIES_MAX};
use shared::domain::bodies::{BatchAnswers, BatchMembers};
use shared::domain::entries::Entries;
use shared::domain::error::ApiError;
use shared::domain::id::{ImageId, JobId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::limits::{JobLimit, bound};
use shared::domain::policy::{Action, ApiAction};
use shared::domain::task::{Answer, Task};
use shared::http::answers::JobAccepted;
use shared::http::routes::{BatchKind, Operation};
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;
use shared::store::change_log::{self, Line};
use shared::store::jobs::{Created, Idempotency};

/// The longest idempotency key, in characters.
const KEY_MAX: usize = 64;

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
    let (task, entries) = match kind {
        BatchKind::Add => over_members(Task::Share, &request)?,
        BatchKind::Remove => over_members(Task::Unshare, &request)?,
        BatchKind::Update => answers(&request, may)?,
        // On the heap: together these futures are too large for a thread's stack.
        BatchKind::Replace => {
            return Box::pin(replace::handle(&app, &caller, &request, may)).await;
        }
    };
    let (rows, most) = (entries.rows, entries_max(&app));
    if rows > most {
        return Err(too_many(rows, most));
    }
    let idempotency = idempotency_of(&request, None)?;
    may(ApiAction::StartBatch)?;
    let request_id = http::request_id(&request);
    let (op, now) = (app.operation(), app.now());
    let batch = Batch::new(&caller, task, entries, op, now, request_id);
    match app.store().create_job(&batch, idempotency.as_ref()).await? {
        Created::New => {
            start(&app, &batch, None).await?;
            Ok(accepted(batch.job.id))
        }
        // If its messages were not sent, they are due: the sweep sends them.
        Created::Before(id) => Ok(accepted(id)),
        Created::OtherRequest => Err(other_request()),
        Created::ImageChanged => Err(ApiError::internal("create job: of no single image")),
        Created::Limited(limit) => Err(limited(&app, limit)),
    }
}

fn other_request() -> ApiError {
    ApiError::unprocessable(
        "The Idempotency-Key was used for another request within the last 24 hours.",
    )
}

fn too_many(entries: usize, most: usize) -> ApiError {
    ApiError::ims_because(
        ImsCode::TooMany,
        format!("{entries} entries at once, Maximum: {most}."),
    )
}

/// The most entries of a request: more than a project may have open would never be accepted.
fn entries_max(app: &App) -> usize {
    let open = bound(app.config().limits.entries);
    let open = open.and_then(|open| usize::try_from(open).ok());
    open.map_or(ENTRIES_MAX, |open| open.min(ENTRIES_MAX))
}

/// The answer to a project that has as much open work as it may have.
fn limited(app: &App, limit: JobLimit) -> ApiError {
    let limits = app.config().limits;
    ApiError::TooMuchOpen(match limit {
        JobLimit::Jobs => format!(
            "The project has {} jobs that have not ended, and may have no more. Try again later.",
            limits.jobs
        ),
        JobLimit::Entries => format!(
            "The project's jobs that have not ended would have more than {} entries with this one. \
             Try again later.",
            limits.entries
        ),
    })
}

fn accepted(job: JobId) -> http::Response {
    http::json(200, &JobAccepted { job_id: job })
}

/// Sends a job's messages. The job is accepted in any case: the record says that its messages are
/// due until it is known that all were sent, so what the queue does not take now it gets later.
///
/// `image` is the one whose members are declared.
async fn start(app: &App, batch: &Batch, image: Option<ImageId>) -> Result<(), ApiError> {
    let job = &batch.job;
    log(batch, image);
    let chunks = batch.messages();
    let sent = app.queue().send(&chunks, &job.project, &batch.request_id);
    let unsent = sent.await?;
    if !unsent.is_empty() {
        tracing::error!(job.id = %job.id, unsent = unsent.len(), "the queue refused messages: left to the sweep");
    } else if chunks.len() != 1
        && let Err(error) = app.store().messages_sent(job.id).await
    {
        tracing::warn!(job.id = %job.id, error.why = error.for_log(), "left to the sweep");
    }
    Ok(())
}

/// Logs that a job was created, or that the members of an image were declared.
fn log(batch: &Batch, image: Option<ImageId>) {
    let job = &batch.job;
    let line = Line {
        what: match image {
            Some(_) => "members.declare",
            None => "job.create",
        },
        image,
        from: change_log::NONE,
        to: job.kind.job_type(),
        entries: Some(job.total),
        ..Line::default()
    };
    line.write(&Origin {
        job: Some(job.id),
        ..Origin::new(batch.actor(), batch.request_id.clone())
    });
}

/// What a request asks for that shares images, or ends memberships.
fn over_members(task: Task, request: &Request) -> Result<(Task, Entries), ApiError> {
    let BatchMembers { images, projects } = BatchMembers::parse(http::body_bytes(request)?)?;
    Ok((task, Entries::of_request(&images, &projects)))
}

/// What a request asks for that answers for a project.
fn answers(
    request: &Request,
    may: impl Fn(ApiAction<'_>) -> Result<(), ApiError>,
) -> Result<(Task, Entries), ApiError> {
    let may_answer = |project: &ProjectId| may(ApiAction::AnswerFor(project));
    let body = BatchAnswers::parse(http::body_bytes(request)?, may_answer)?;
    let task = Task::Answer(Answer {
        status: body.status,
        vault_id: body.vault_id,
    });
    let entries = Entries::of_request(&body.images, &[body.project_id]);
    Ok((task, entries))
}

/// The key that makes a request safe to repeat. Of a request about one image the key stands for that
/// image too.
fn idempotency_of(
    request: &Request,
    image: Option<ImageId>,
) -> Result<Option<Idempotency>, ApiError> {
    let Some(key) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=KEY_MAX).contains(&key.len()))
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| {
            let message =
                format!("Idempotency-Key must have 1 to {KEY_MAX} visible ASCII characters.");
            ApiError::ims_because(ImsCode::BadRequest, message)
        })?;
    let mut digest = Sha256::new();
    digest.update(request.method().as_str());
    digest.update(b"\n");
    if let Some(image) = image {
        digest.update(format!("{image}\n"));
    }
    digest.update(http::body_bytes(request)?);
    Ok(Some(Idempotency {
        key: key.to_owned(),
        digest: hex::encode(digest.finalize()),
    }))
}
