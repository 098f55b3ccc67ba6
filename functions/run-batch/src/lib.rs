//! Takes the queue's messages: applies a chunk of a batch, or buries the members of an image that
//! was deleted.
//!
//! A chunk is applied, then its results are recorded and counted in one transaction, and only then
//! is its message done with. Each step may be repeated: an entry that was applied before is
//! recognized by its operation id, a chunk that was counted before by its results.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt as _, stream};
use shared::app::App;
use shared::auth::{Action, Caller, Role, permit};
use shared::batch::{self, Outcome};
use shared::error::{ApiError, ImsCode};
use shared::id::{ImageId, JobId, OperationId, ProjectId};
use shared::image::Image;
use shared::job::{DEADLINE_SECONDS, JobKind};
use shared::member::MemberStatus;
use shared::meter;
use shared::queue::{Chunk, Message, SqsRecord};
use shared::store::jobs::Finished;
use shared::store::members::{Answer, Changed, Order, Stamp, TRANSACTION_MEMBERS};
use shared::time::Timestamp;

/// Images of a chunk that are worked on at once: enough to keep a function's processor busy while
/// the store answers.
const AT_ONCE: usize = 16;
/// Seconds before a job's deadline when nothing of it is begun any more: longer than an
/// invocation may take, so that nothing is applied after the job is over.
const CLOSING_SECONDS: i64 = 60;

/// Handles one message. Takes no new entry after `until`, and gives the message back instead.
pub async fn handle(app: App, record: SqsRecord, until: Timestamp) -> Result<(), ApiError> {
    match record.message()? {
        Message::Bury { image } => {
            let image = ImageId::canonical(&image)
                .ok_or_else(|| ApiError::internal("message: image is not an id"))?;
            // Only of an image that is really gone: the message may be early, or a forgery.
            if app.store().image(image).await?.is_none() {
                let stamp = Stamp {
                    op: app.operation(),
                    now: app.now(),
                    order: Order::Direct,
                };
                let buried = app.store().bury_members_of(image, stamp).await?;
                tracing::info!(image.id = %image, members = buried, "buried the members of a deleted image");
            }
            Ok(())
        }
        Message::Chunk(chunk) => run(&app, &chunk, record.is_redelivery(), until).await,
    }
}

async fn run(app: &App, chunk: &Chunk, redelivery: bool, until: Timestamp) -> Result<(), ApiError> {
    let job = chunk.job_id()?;
    if app.now() >= chunk.deadline().plus_seconds(-CLOSING_SECONDS) {
        tracing::warn!(job.id = %job, job.chunk = chunk.number, "too late: the job is over");
        return Ok(());
    }
    if redelivery && app.store().is_finished(job, chunk.number).await? {
        return Ok(());
    }
    let outcomes = apply(app, chunk, job, until).await?;
    let finished = app
        .store()
        .finish_chunk(job, chunk.number, &outcomes, chunk.deadline(), app.now())
        .await?;
    match finished {
        Finished::Counted => publish(app, chunk, job, &outcomes),
        Finished::Before => {}
        Finished::Over => {
            tracing::warn!(job.id = %job, job.chunk = chunk.number, "the job ended before its chunk");
        }
    }
    Ok(())
}

/// What became of a chunk's entries, for the log and the metrics.
fn publish(app: &App, chunk: &Chunk, job: JobId, outcomes: &[Outcome]) {
    let mut by_code: BTreeMap<&str, f64> = BTreeMap::new();
    for outcome in outcomes {
        let code = match outcome {
            Outcome::Failed(code) => code.as_str(),
            Outcome::Succeeded => "Succeeded",
        };
        *by_code.entry(code).or_default() += 1.0;
    }
    let now = app.now();
    let accepted = chunk.deadline().plus_seconds(-DEADLINE_SECONDS);
    let age = (now.micros() - accepted.micros()) as f64 / 1000.0;
    tracing::info!(
        job.id = %job,
        job.chunk = chunk.number,
        job.age_ms = age,
        entries = outcomes.len(),
        results = ?by_code,
        "applied a chunk"
    );
    let mut metrics = vec![
        ("Entries", "Count", outcomes.len() as f64),
        ("JobAge", "Milliseconds", age),
    ];
    metrics.extend(by_code.iter().map(|(code, count)| (*code, "Count", *count)));
    meter::publish(
        now,
        chunk.kind.job_type(),
        &metrics,
        &[("JobId", &job.to_string())],
    );
}

/// The chunk's entries of one image: its rows and their projects.
struct Group {
    image: Option<ImageId>,
    rows: Vec<(usize, ProjectId)>,
}

/// Applies a chunk's entries and returns one outcome a row.
async fn apply(
    app: &App,
    chunk: &Chunk,
    op: OperationId,
    until: Timestamp,
) -> Result<Vec<Outcome>, ApiError> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for (row, (image, project)) in chunk.entries.entries().enumerate() {
        let project = ProjectId::parse(project)
            .map_err(|_| ApiError::internal("message: project is not an id"))?;
        let group = groups.entry(image).or_insert_with(|| Group {
            image: ImageId::any_spelling(image),
            rows: Vec::new(),
        });
        group.rows.push((row, project));
    }
    let ids: Vec<ImageId> = groups.values().filter_map(|group| group.image).collect();
    let images: HashMap<ImageId, Result<Option<Image>, ApiError>> =
        app.store().images(&ids).await?.into_iter().collect();

    let stamp = Stamp {
        op,
        now: app.now(),
        order: Order::Batch,
    };
    let images = &images;
    let mut done = stream::iter(groups.into_values().map(|group| async move {
        let outcomes = if app.now() >= until {
            Err(ApiError::unavailable(
                "out of time: the rest of the chunk is given back",
            ))
        } else {
            apply_group(app, chunk, &group, images, stamp, until).await
        };
        (group, outcomes)
    }))
    .buffer_unordered(AT_ONCE);

    let mut rows = vec![Outcome::Failed(chunk.kind.gave_up()); chunk.entries.rows];
    let mut retry = None;
    while let Some((group, outcomes)) = done.next().await {
        match outcomes {
            Ok(outcomes) => {
                for ((row, _), outcome) in group.rows.iter().zip(outcomes) {
                    if let Some(slot) = rows.get_mut(*row) {
                        *slot = outcome;
                    }
                }
            }
            Err(error) if error.retryable() => retry = Some(error),
            // Trying again would not help, and its neighbours are not to suffer.
            Err(ApiError::Internal(why)) => {
                tracing::error!(job.id = %op, error.why = why.for_log(), "entries failed");
            }
            Err(other) => {
                tracing::error!(job.id = %op, error.status = other.status(), "entries failed")
            }
        }
    }
    match retry {
        Some(error) => Err(error),
        None => Ok(rows),
    }
}

/// Applies the entries of one image and returns one outcome each, in their order.
async fn apply_group(
    app: &App,
    chunk: &Chunk,
    group: &Group,
    images: &HashMap<ImageId, Result<Option<Image>, ApiError>>,
    stamp: Stamp,
    until: Timestamp,
) -> Result<Vec<Outcome>, ApiError> {
    let all = |code| Ok(vec![Outcome::Failed(code); group.rows.len()]);
    let Some(id) = group.image else {
        return all(ImsCode::BadImageId);
    };
    let image = match images.get(&id) {
        None | Some(Ok(None)) => None,
        Some(Ok(Some(image))) => Some(image),
        Some(Err(corrupt)) => return Err(corrupt.clone()),
    };
    match chunk.kind {
        JobKind::Update => {
            let status = chunk
                .status
                .ok_or_else(|| ApiError::internal("message: an update without a status"))?;
            let mut outcomes = Vec::with_capacity(group.rows.len());
            for (_, member) in &group.rows {
                outcomes.push(answer(app, chunk, image, member, status, stamp).await?);
            }
            Ok(outcomes)
        }
        JobKind::Add | JobKind::Remove => {
            let caller = Caller {
                project: chunk.project.clone(),
                role: if chunk.admin {
                    Role::Admin
                } else {
                    Role::Member
                },
            };
            let Some(image) = image else {
                return all(ImsCode::ImageNotFound);
            };
            if let Some(code) = refusal(app, chunk.kind, &caller, image).await? {
                return all(code);
            }
            share(app, chunk.kind, &caller, image, group, stamp, until).await
        }
    }
}

/// One member's answer for one image.
async fn answer(
    app: &App,
    chunk: &Chunk,
    image: Option<&Image>,
    member: &ProjectId,
    status: MemberStatus,
    stamp: Stamp,
) -> Result<Outcome, ApiError> {
    let vault = chunk.vault_id.as_deref();
    if let Some(code) = batch::answer_refusal(image, member, status, vault) {
        return Ok(Outcome::Failed(code));
    }
    let Some(image) = image else {
        return Ok(Outcome::Failed(ImsCode::ImageNotFound));
    };
    let answer = Answer {
        status,
        vault_id: chunk.vault_id.clone(),
    };
    let change = app
        .store()
        .update_member_in_batch(image.id, image.created_at, member, &answer, stamp)
        .await?;
    Ok(batch::outcome(JobKind::Update, &change, stamp.op))
}

/// What the policy has against adding or removing members of this image.
async fn refusal(
    app: &App,
    kind: JobKind,
    caller: &Caller,
    image: &Image,
) -> Result<Option<ImsCode>, ApiError> {
    let action = match kind {
        JobKind::Add => Action::AddMember,
        JobKind::Update => Action::UpdateMember,
        JobKind::Remove => Action::RemoveMember,
    };
    let relation = caller.relation(image, None);
    let mut decision = permit(caller.role, relation, image.visibility, action);
    if decision == shared::auth::Decision::Hidden {
        // Only a member that is not the owner is told that it is not.
        let facts = app.store().facts(image.id, &[&caller.project]).await?;
        let relation = caller.relation(image, facts.membership(&caller.project));
        decision = permit(caller.role, relation, image.visibility, action);
    }
    Ok(batch::refusal(image, decision))
}

/// Adds or removes an image's members, as many at once as a transaction holds.
async fn share(
    app: &App,
    kind: JobKind,
    caller: &Caller,
    image: &Image,
    group: &Group,
    stamp: Stamp,
    until: Timestamp,
) -> Result<Vec<Outcome>, ApiError> {
    let mut outcomes: Vec<Option<Outcome>> = group
        .rows
        .iter()
        .map(|(_, member)| {
            (kind == JobKind::Add && *member == image.owner)
                .then_some(Outcome::Failed(ImsCode::SharingWithYourself))
        })
        .collect();
    let open: Vec<(usize, ProjectId)> = group
        .rows
        .iter()
        .enumerate()
        .filter(|(place, _)| matches!(outcomes.get(*place), Some(None)))
        .map(|(place, (_, member))| (place, member.clone()))
        .collect();
    for part in open.chunks(TRANSACTION_MEMBERS) {
        if app.now() >= until {
            return Err(ApiError::unavailable(
                "out of time: the rest of the chunk is given back",
            ));
        }
        let members: Vec<ProjectId> = part.iter().map(|(_, member)| member.clone()).collect();
        let store = app.store();
        let changed = match kind {
            JobKind::Add => {
                store
                    .add_members(caller, image.id, &members, app.config().member_quota, stamp)
                    .await?
            }
            JobKind::Remove | JobKind::Update => {
                store
                    .remove_members(caller, image.id, &members, false, stamp)
                    .await?
            }
        };
        let results: Vec<Outcome> = match changed {
            Changed::Members(changes) => changes
                .iter()
                .map(|change| batch::outcome(kind, change, stamp.op))
                .collect(),
            // The image has changed since the chunk was begun.
            Changed::Image(now) => {
                let code = match &now {
                    None => ImsCode::ImageNotFound,
                    Some(now) => refusal(app, kind, caller, now)
                        .await?
                        .unwrap_or(ImsCode::ImageUnavailable),
                };
                vec![Outcome::Failed(code); part.len()]
            }
        };
        for ((place, _), result) in part.iter().zip(results) {
            if let Some(slot) = outcomes.get_mut(*place) {
                *slot = Some(result);
            }
        }
    }
    let gave_up = Outcome::Failed(kind.gave_up());
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or(gave_up))
        .collect())
}
