//! Takes the queue's messages: applies a chunk of a batch, or brings the memberships of an image in
//! line with it.
//!
//! A chunk is applied, then its results are recorded and counted in one transaction, and only then
//! is its message done with. Each step may be repeated: an entry that was applied before is
//! recognized by its operation id, a chunk that was counted before by its results.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt as _, stream};
use shared::app::App;
use shared::auth::{Action, Caller, Role, permit};
use shared::batch::{self, Outcome};
use shared::change;
use shared::error::{ApiError, ImsCode};
use shared::id::{ImageId, ProjectId};
use shared::image::{Image, Visibility};
use shared::job::{DEADLINE_SECONDS, JobKind};
use shared::member::Membership;
use shared::meter;
use shared::queue::{Chunk, Message, SqsRecord};
use shared::store::jobs::Finished;
use shared::store::members::{Changed, Facts, Order, Stamp, TRANSACTION_MEMBERS};
use shared::task::{Answer, Task};
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
        Message::Memberships { image } => {
            let changed = app
                .store()
                .keep_members(image, app.operation(), app.now())
                .await?;
            tracing::info!(image.id = %image, members = changed, "memberships are in line");
            Ok(())
        }
        Message::Chunk(chunk) => run(&app, &chunk, record.is_redelivery(), until).await,
    }
}

async fn run(app: &App, chunk: &Chunk, redelivery: bool, until: Timestamp) -> Result<(), ApiError> {
    let job = chunk.job;
    if app.now() >= chunk.deadline.plus_seconds(-CLOSING_SECONDS) {
        tracing::warn!(job.id = %job, job.chunk = chunk.number, "too late: the job is over");
        return Ok(());
    }
    if (redelivery || chunk.resent) && app.store().is_finished(job, chunk.number).await? {
        return Ok(());
    }
    let outcomes = apply(app, chunk, until).await?;
    match app
        .store()
        .finish_chunk(chunk, &outcomes, app.now())
        .await?
    {
        Finished::Counted => publish(app, chunk, &outcomes),
        Finished::Before => {}
        Finished::Over => {
            tracing::warn!(job.id = %job, job.chunk = chunk.number, "the job ended before its chunk");
        }
    }
    Ok(())
}

/// What became of a chunk's entries, for the log and the metrics.
fn publish(app: &App, chunk: &Chunk, outcomes: &[Outcome]) {
    let job = chunk.job;
    let mut by_code: BTreeMap<&str, f64> = BTreeMap::new();
    for outcome in outcomes {
        let code = match outcome {
            Outcome::Failed(code) => code.as_str(),
            Outcome::Changed | Outcome::Unchanged => "Succeeded",
        };
        *by_code.entry(code).or_default() += 1.0;
    }
    let now = app.now();
    let accepted = chunk.deadline.plus_seconds(-DEADLINE_SECONDS);
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
        chunk.task.kind().job_type(),
        &metrics,
        &[("JobId", &job.to_string())],
    );
}

/// The chunk's entries of one image: its rows and their projects.
struct Group {
    image: Option<ImageId>,
    rows: Vec<(usize, ProjectId)>,
}

/// All that the entries of a chunk have in common.
struct Work<'a> {
    app: &'a App,
    chunk: &'a Chunk,
    /// Who asked.
    caller: Caller,
    stamp: Stamp,
    /// When to begin nothing any more.
    until: Timestamp,
}

impl Work<'_> {
    fn check_time(&self) -> Result<(), ApiError> {
        if self.app.now() < self.until {
            return Ok(());
        }
        Err(ApiError::unavailable(
            "out of time: the rest of the chunk is given back",
        ))
    }
}

/// Applies a chunk's entries and returns one outcome a row.
async fn apply(app: &App, chunk: &Chunk, until: Timestamp) -> Result<Vec<Outcome>, ApiError> {
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
    // Whether the project that asks is a member is read with each image, so that an image that it
    // may not see takes as many requests as one that does not exist.
    let facts = app
        .store()
        .facts_of(&ids, member_asked(chunk, &groups))
        .await?;
    let work = Work {
        app,
        chunk,
        caller: Caller {
            project: chunk.project.clone(),
            role: if chunk.admin {
                Role::Admin
            } else {
                Role::Member
            },
        },
        stamp: Stamp {
            op: chunk.job,
            now: app.now(),
            order: Order::Batch,
        },
        until,
    };
    let (work, facts) = (&work, &facts);
    let done = stream::iter(groups.into_values().map(|group| async move {
        let outcomes = match work.check_time() {
            Ok(()) => apply_group(work, &group, facts).await,
            Err(late) => Err(late),
        };
        (group, outcomes)
    }));
    let done: Vec<_> = done.buffer_unordered(AT_ONCE).collect().await;
    gather(chunk, done)
}

/// The outcomes of all groups in the order of the rows.
///
/// # Errors
/// The first failure that may pass, so that the message comes again.
fn gather(
    chunk: &Chunk,
    done: Vec<(Group, Result<Vec<Outcome>, ApiError>)>,
) -> Result<Vec<Outcome>, ApiError> {
    let mut rows = vec![Outcome::Failed(chunk.task.kind().gave_up()); chunk.entries.rows];
    for (group, outcomes) in done {
        match outcomes {
            Ok(outcomes) => {
                for ((row, _), outcome) in group.rows.iter().zip(outcomes) {
                    if let Some(slot) = rows.get_mut(*row) {
                        *slot = outcome;
                    }
                }
            }
            Err(error) if error.retryable() => return Err(error),
            // Trying again would not help, and its neighbours are not to suffer.
            Err(error) => {
                tracing::error!(job.id = %chunk.job, error.why = error.for_log(), "entries failed");
            }
        }
    }
    Ok(rows)
}

/// The project whose membership decides what an entry may do: who answers, or who asked.
fn member_asked<'a>(chunk: &'a Chunk, groups: &'a BTreeMap<&str, Group>) -> &'a ProjectId {
    let answering = || {
        groups
            .values()
            .next()?
            .rows
            .first()
            .map(|(_, project)| project)
    };
    match &chunk.task {
        Task::Answer(_) => answering().unwrap_or(&chunk.project),
        Task::Share | Task::Unshare => &chunk.project,
    }
}

/// Applies the entries of one image and returns one outcome each, in their order.
async fn apply_group(
    work: &Work<'_>,
    group: &Group,
    facts: &HashMap<ImageId, Result<Facts, ApiError>>,
) -> Result<Vec<Outcome>, ApiError> {
    let all = |code| Ok(vec![Outcome::Failed(code); group.rows.len()]);
    let Some(id) = group.image else {
        return all(ImsCode::BadImageId);
    };
    let facts = match facts.get(&id) {
        None => &Facts::default(),
        Some(Ok(facts)) => facts,
        Some(Err(corrupt)) => return Err(corrupt.clone()),
    };
    match (&work.chunk.task, &facts.image) {
        (Task::Answer(answer), _) => {
            let mut outcomes = Vec::with_capacity(group.rows.len());
            for (_, member) in &group.rows {
                outcomes.push(apply_answer(work, facts, member, answer).await?);
            }
            Ok(outcomes)
        }
        (Task::Share | Task::Unshare, None) => all(ImsCode::ImageNotFound),
        (Task::Share | Task::Unshare, Some(image)) => {
            let own = facts.membership(&work.caller.project);
            match work.chunk.task {
                Task::Share => change_members(work, image, own, group, Action::AddMember).await,
                Task::Unshare | Task::Answer(_) => {
                    change_members(work, image, own, group, Action::RemoveMember).await
                }
            }
        }
    }
}

/// One member's answer for one image.
async fn apply_answer(
    work: &Work<'_>,
    facts: &Facts,
    member: &ProjectId,
    answer: &Answer,
) -> Result<Outcome, ApiError> {
    let image = facts.image.as_ref();
    if let Some(code) = batch::answer_refusal(image, member, facts.is_member(member), answer) {
        return Ok(Outcome::Failed(code));
    }
    let Some(image) = image else {
        return Ok(Outcome::Failed(ImsCode::ImageNotFound));
    };
    let store = work.app.store();
    let change = store
        .update_member_in_batch(image.id, image.created_at, member, answer, work.stamp)
        .await?;
    Ok(change::outcome(JobKind::Update, &change, work.stamp.op))
}

/// What the policy has against adding or removing members of this image.
fn refusal(
    caller: &Caller,
    image: &Image,
    own: Option<&Membership>,
    action: Action,
) -> Option<ImsCode> {
    let relation = caller.relation(image, own);
    let decision = permit(caller.role, relation, image.visibility, action);
    batch::refusal(image, decision)
}

/// Adds or removes an image's members, as many at once as a transaction holds.
async fn change_members(
    work: &Work<'_>,
    image: &Image,
    own: Option<&Membership>,
    group: &Group,
    action: Action,
) -> Result<Vec<Outcome>, ApiError> {
    let (kind, caller, stamp) = (work.chunk.task.kind(), &work.caller, work.stamp);
    let adds = kind == JobKind::Add;
    // A member that leaves ends its own membership and no other.
    let may_leave = !adds && work.app.config().member_may_leave;
    let leaves = |member: &ProjectId| {
        may_leave
            && *member == caller.project
            && image.visibility == Visibility::Shared
            && matches!(own, Some(Membership::Present(_)))
            && image.owner != caller.project
    };
    let refused = refusal(caller, image, own, action);
    let mut outcomes: Vec<Option<Outcome>> = group
        .rows
        .iter()
        .map(|(_, member)| match refused {
            Some(_) if leaves(member) => None,
            Some(code) => Some(Outcome::Failed(code)),
            None if adds && *member == image.owner => {
                Some(Outcome::Failed(ImsCode::SharingWithYourself))
            }
            None => None,
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
        work.check_time()?;
        let members: Vec<ProjectId> = part.iter().map(|(_, member)| member.clone()).collect();
        let store = work.app.store();
        let changed = if adds {
            let quota = work.app.config().member_quota;
            store
                .add_members(caller, image.id, &members, quota, stamp)
                .await?
        } else {
            let leaving = refused.is_some();
            store
                .remove_members(caller, image.id, &members, leaving, stamp)
                .await?
        };
        let results: Vec<Outcome> = match changed {
            Changed::Members(changes) => changes
                .iter()
                .map(|change| change::outcome(kind, change, stamp.op))
                .collect(),
            // The image has changed since the chunk was begun.
            Changed::Image(now) => {
                let code = now.as_deref().map_or(Some(ImsCode::ImageNotFound), |now| {
                    refusal(caller, now, own, action)
                });
                let code = code.unwrap_or(ImsCode::ImageUnavailable);
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
