//! Receives the queue's messages: applies a chunk of a batch, or reconciles the memberships of an
//! image with it.
//!
//! A chunk is applied, then its results are recorded and counted in one transaction, and only then is
//! its message acknowledged. Each step may be repeated on a redelivery: an entry that was applied
//! before is recognized by its operation id, a chunk that was counted before by its results.

mod members;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use shared::domain::actor::{Automatic, Origin};
use shared::domain::change::{self, EntryKind};
use shared::domain::error::ApiError;
use shared::domain::facts::Facts;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::job::DEADLINE_SECONDS;
use shared::domain::message::{Chunk, Message, Unreadable};
use shared::domain::outcome::Outcome;
use shared::domain::policy::{Action, Caller, EntryAction, ImageAction, Role, Target};
use shared::domain::task::{Answer, Task};
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::join;
use shared::runtime::messages::{Handled, SqsRecord};
use shared::runtime::metric::{self, Part};
use shared::runtime::metrics;
use shared::store::members::Stamp;
use shared::store::results::{ChunkState, Finished};
use tokio::task::JoinSet;
use tokio::time::Instant;

use members::{Direction, change_members, replace_members};

/// Images of a chunk that are processed concurrently, each as a task of its own: enough to keep all
/// processors busy while the store answers.
const AT_ONCE: usize = 16;
/// Seconds after which a chunk may have been settled although this is its first delivery: an operator may have moved
/// it back from the dead letters.
const OLD_SECONDS: i64 = 60;
/// Entries of a chunk that goes before larger ones.
const SMALL: usize = 16;
/// Seconds before a job's deadline from which no chunk of it is started: longer than an invocation may
/// take, so that no entry is applied after the job has ended.
const CLOSING_SECONDS: i64 = 60;

/// Why a chunk is not done.
enum Unfinished {
    /// There is no time left. The chunk is given back on purpose, so the next delivery begins at once.
    OutOfTime,
    /// A service that we depend on failed, or the chunk did.
    Failed(ApiError),
}

impl From<ApiError> for Unfinished {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

/// Handles one message. Starts no entry after `until`; the message is redelivered instead.
pub async fn handle(app: App, record: SqsRecord, until: Timestamp) -> Result<Handled, ApiError> {
    let message = match record.message() {
        Ok(message) => message,
        // The workers of that release take it.
        Err(newer @ Unreadable::Newer { .. }) => return Err(newer.into()),
        Err(Unreadable::Malformed { why }) => return Ok(Handled::Poison(why)),
    };
    match message {
        Message::Memberships { image } => {
            let by = Origin::automatic(Automatic::ImageDeleted, record.request_id());
            let changed = app
                .store()
                .reconcile_members(image, app.operation(), app.now(), by)
                .await?;
            tracing::info!(image.id = %image, members = changed, "memberships are reconciled");
            Ok(Handled::Done)
        }
        // Boxed, here and below: together these futures are too large for a thread's stack.
        Message::Chunk(chunk) => match Box::pin(run(&app, chunk.into(), &record, until)).await {
            Ok(handled) => Ok(handled),
            Err(Unfinished::OutOfTime) => Ok(Handled::GivenBack),
            Err(Unfinished::Failed(error)) => Err(error),
        },
    }
}

async fn run(
    app: &App,
    chunk: Arc<Chunk>,
    record: &SqsRecord,
    until: Timestamp,
) -> Result<Handled, Unfinished> {
    let (job, redelivery) = (chunk.job, record.is_redelivery());
    if app.now() >= chunk.deadline.plus_seconds(-CLOSING_SECONDS) {
        tracing::warn!(job.id = %job, job.chunk = chunk.number, "too late: the job is over");
        return Ok(Handled::Done);
    }
    let accepted = chunk.deadline.plus_seconds(-DEADLINE_SECONDS);
    let is_old = app.now() >= accepted.plus_seconds(OLD_SECONDS);
    if redelivery || chunk.resent || is_old {
        match app.store().chunk_state(job, chunk.number).await? {
            ChunkState::Open => {}
            ChunkState::Finished => return Ok(Handled::Done),
            ChunkState::NoJob => {
                let why = format!("chunk {} of a job that does not exist", chunk.number);
                return Ok(Handled::Poison(why));
            }
        }
    }
    let short = (chunk.entries.rows <= SMALL).then(|| app.precedence().short());
    let outcomes = apply(app, &chunk, record.request_id(), until).await?;
    match app
        .store()
        .finish_chunk(&chunk, &outcomes, app.now())
        .await?
    {
        Finished::Counted => publish(app, &chunk, &outcomes),
        Finished::Before => {}
        Finished::Over => {
            tracing::warn!(job.id = %job, job.chunk = chunk.number, "the job ended before its chunk");
        }
    }
    drop(short);
    Ok(Handled::Done)
}

/// Reports the results of a chunk in the log and the metrics.
fn publish(app: &App, chunk: &Chunk, outcomes: &[Outcome]) {
    let job = chunk.job;
    const SUCCEEDED: &str = "Succeeded";
    let mut by_code: BTreeMap<&'static str, f64> = BTreeMap::new();
    for outcome in outcomes {
        let code = match outcome {
            Outcome::Failed(code) => code.as_str(),
            Outcome::Changed | Outcome::Answered(_) | Outcome::Unchanged => SUCCEEDED,
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
    let mut figures = vec![
        metric::ENTRIES.of(outcomes.len() as f64),
        metric::JOB_AGE.of(age),
    ];
    figures.extend(by_code.iter().map(|(code, count)| match *code {
        SUCCEEDED => metric::SUCCEEDED.of(*count),
        code => metric::FAILED_ENTRIES.part(Part::Code(code), *count),
    }));
    app.metrics().publish(
        now,
        chunk.task.kind().job_type(),
        &figures,
        &[("JobId", &job.to_string())],
    );
}

/// The chunk's entries of one image: the row and the project of each.
struct Group {
    /// The image's id as it was sent.
    text: String,
    /// `None` if what was sent is no image id.
    image: Option<ImageId>,
    rows: Vec<(usize, ProjectId)>,
}

impl Group {
    /// The image's id as it was sent, and the rows.
    fn entries(&self) -> (&str, &[(usize, ProjectId)]) {
        (&self.text, &self.rows)
    }

    /// The same outcome for all entries.
    fn all(&self, outcome: Outcome) -> Vec<Applied> {
        let rows = self.rows.iter();
        rows.map(|(row, _)| Applied { row: *row, outcome })
            .collect()
    }
}

/// The outcome of the entry in one row of the chunk.
struct Applied {
    row: usize,
    outcome: Outcome,
}

/// What all entries of a chunk have in common.
struct Work {
    app: App,
    chunk: Arc<Chunk>,
    /// The images and the memberships that decide.
    facts: HashMap<ImageId, Result<Facts, ApiError>>,
    /// The caller that requested the batch.
    caller: Caller,
    stamp: Stamp,
    /// When to start no further entry.
    until: Timestamp,
}

impl Work {
    /// Whether a caller may do this with an image, or the code of an entry for which it may not.
    fn decide(
        &self,
        caller: &Caller,
        target: Target<'_>,
        action: ImageAction<'_>,
    ) -> Result<(), ImsCode> {
        let action = Action::Image(action, target);
        let decided = self.app.policy().decide(caller, action);
        decided.map_err(|denied| denied.entry())
    }

    /// Lets shorter work go first, after a write that took so long.
    async fn step_aside(&self, took: Duration) {
        if self.chunk.entries.rows > SMALL {
            self.app.precedence().step_aside(took).await;
        }
    }

    fn check_time(&self) -> Result<(), Unfinished> {
        match self.app.now() < self.until {
            true => Ok(()),
            false => Err(Unfinished::OutOfTime),
        }
    }
}

/// Applies a chunk's entries and returns one outcome a row.
async fn apply(
    app: &App,
    chunk: &Arc<Chunk>,
    request_id: &str,
    until: Timestamp,
) -> Result<Vec<Outcome>, Unfinished> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for (row, (image, project)) in chunk.entries.entries().enumerate() {
        let group = groups.entry(image).or_insert_with(|| Group {
            text: image.to_owned(),
            image: ImageId::any_spelling(image),
            rows: Vec::new(),
        });
        group.rows.push((row, project.clone()));
    }
    let ids: Vec<ImageId> = groups.values().filter_map(|group| group.image).collect();
    // The membership of the requesting project is read with each image, so that a hidden image takes
    // the same number of requests as an absent one.
    let facts = app
        .store()
        .facts_of(&ids, member_asked(chunk, &groups))
        .await?;
    let caller = Caller {
        user: chunk.user.clone(),
        project: chunk.project.clone(),
        role: if chunk.admin {
            Role::Admin
        } else {
            Role::Member
        },
    };
    let by = Origin::new(caller.actor(), request_id.to_owned());
    let work = Arc::new(Work {
        app: app.clone(),
        chunk: Arc::clone(chunk),
        facts,
        stamp: Stamp::batch(chunk.job, app.now(), by),
        caller,
        until,
    });
    let mut done = Vec::with_capacity(groups.len());
    // Those that are left end with it.
    let mut tasks = JoinSet::new();
    // If the runtime ended a task, the process is about to end.
    let result = |ended| join::result(ended).unwrap_or(Err(Unfinished::OutOfTime));
    for group in groups.into_values() {
        if tasks.len() == AT_ONCE {
            done.extend(tasks.join_next().await.map(result));
        }
        let work = Arc::clone(&work);
        tasks.spawn(metrics::as_part(async move {
            work.check_time()?;
            let begin = Instant::now();
            let applied = Box::pin(apply_group(&work, &group)).await;
            work.step_aside(begin.elapsed()).await;
            applied
        }));
    }
    while let Some(ended) = tasks.join_next().await {
        done.push(result(ended));
    }
    gather(chunk, done)
}

/// Collects the outcomes of all groups in the order of the rows.
///
/// # Errors
/// The first retryable failure, so that the message is redelivered; out of time only if nothing failed.
fn gather(
    chunk: &Chunk,
    done: Vec<Result<Vec<Applied>, Unfinished>>,
) -> Result<Vec<Outcome>, Unfinished> {
    let mut out_of_time = false;
    let gave_up = |row| Outcome::Failed(chunk.task.entry_kind(row).gave_up());
    let mut rows: Vec<Outcome> = (0..chunk.entries.rows).map(gave_up).collect();
    for group in done {
        match group {
            Ok(group) => {
                for applied in group {
                    if let Some(row) = rows.get_mut(applied.row) {
                        *row = applied.outcome;
                    }
                }
            }
            Err(Unfinished::OutOfTime) => out_of_time = true,
            Err(Unfinished::Failed(error)) if error.retryable() => return Err(error.into()),
            // A retry would not help, and other entries must not suffer: these entries fail.
            Err(Unfinished::Failed(error)) => {
                tracing::error!(job.id = %chunk.job, error.why = error.for_log(), "entries failed");
            }
        }
    }
    match out_of_time {
        true => Err(Unfinished::OutOfTime),
        false => Ok(rows),
    }
}

/// The project whose membership a decision needs: the one that answers, or the one that requested
/// the batch.
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
        Task::Share | Task::Unshare | Task::Replace { .. } => &chunk.project,
    }
}

/// Applies the entries of one image.
async fn apply_group(work: &Work, group: &Group) -> Result<Vec<Applied>, Unfinished> {
    let Some(id) = group.image else {
        return Ok(group.all(Outcome::Failed(ImsCode::BadImageId)));
    };
    let facts = match work.facts.get(&id) {
        None => &Facts::default(),
        Some(Ok(facts)) => facts,
        Some(Err(corrupt)) => return Err(corrupt.clone().into()),
    };
    match &work.chunk.task {
        Task::Answer(answer) => {
            let mut done = Vec::with_capacity(group.rows.len());
            for (row, member) in &group.rows {
                let outcome = apply_answer(work, &group.text, facts, member, answer).await?;
                done.push(Applied { row: *row, outcome });
            }
            Ok(done)
        }
        Task::Share => change_members(work, id, facts, group.entries(), Direction::Share).await,
        Task::Unshare => change_members(work, id, facts, group.entries(), Direction::Unshare).await,
        Task::Replace { removes } => {
            Box::pin(replace_members(work, id, facts, group, *removes)).await
        }
    }
}

/// One member's answer for one image.
async fn apply_answer(
    work: &Work,
    text: &str,
    facts: &Facts,
    member: &ProjectId,
    answer: &Answer,
) -> Result<Outcome, ApiError> {
    // The policy decides about the project that answers, even if an admin requested the batch. If that
    // project is not a member, the entry fails as for an absent image, before anything else is checked.
    let answering = Caller {
        user: work.caller.user.clone(),
        project: member.clone(),
        role: Role::Member,
    };
    if let Err(code) = work.decide(
        &answering,
        facts.target(text),
        ImageAction::Entry(EntryAction::Answer),
    ) {
        return Ok(Outcome::Failed(code));
    }
    let Some(image) = &facts.image else {
        return Ok(Outcome::Failed(ImsCode::ImageNotFound));
    };
    if let Err(code) = answer.check_vault(image) {
        return Ok(Outcome::Failed(code));
    }
    let store = work.app.store();
    let change = store
        .update_member_in_batch(image.id, member, answer, work.stamp.clone())
        .await?;
    Ok(change::outcome(EntryKind::Update, &change, work.stamp.op))
}
