//! Handles overdue records: sends the messages of jobs whose request died before it had sent them, gives back
//! what jobs count that ended by their deadline, and reconciles memberships with their images.
//!
//! A record with work still to be done stays in the index `by_due` until the work is done, so no work is
//! lost with a process that dies.

use futures::{StreamExt as _, stream};
use serde::Serialize;
use shared::domain::actor::{Automatic, Origin};
use shared::domain::error::ApiError;
use shared::domain::id::JobId;
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::metric;
use shared::store::due::{DueWork, Overdue};

/// The most records of one partition of the index that one run handles.
const LIMIT: i32 = 100;
/// Records that are handled concurrently.
const AT_ONCE: usize = 8;

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// How many records were overdue.
    pub overdue: usize,
}

/// What a run has found and done.
#[derive(Debug)]
pub struct Run {
    /// How many records were overdue.
    overdue: usize,
    /// Since when the oldest work that failed has been overdue.
    failing_since: Option<Timestamp>,
    /// Why the work of some could not be done.
    failures: Vec<ApiError>,
}

impl Run {
    /// Since when the work that failed has been overdue, if some failed.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// What the function returns for this run.
    ///
    /// # Errors
    /// If something failed.
    pub fn outcome(self) -> Result<Swept, ApiError> {
        if self.failures.is_empty() {
            return Ok(Swept {
                overdue: self.overdue,
            });
        }
        let why = format!(
            "{} of {} are still overdue",
            self.failures.len(),
            self.overdue
        );
        Err(match self.failures.iter().all(ApiError::is_logged) {
            true => ApiError::out_of_order(why),
            false => ApiError::unavailable(why),
        })
    }
}

/// Handles what is overdue, and starts nothing after `until`. A record whose work fails is overdue
/// again a little later.
///
/// # Errors
/// If the index cannot be read, or if something failed.
pub async fn handle(app: App, until: Timestamp) -> Result<Swept, ApiError> {
    sweep(&app, until).await?.outcome()
}

/// Does what [`handle`] does, and tells more about it.
///
/// # Errors
/// If the index cannot be read.
pub async fn sweep(app: &App, until: Timestamp) -> Result<Run, ApiError> {
    let now = app.now();
    let overdue = app.store().overdue(now, LIMIT).await?;
    let mut run = Run {
        overdue: overdue.len(),
        failing_since: None,
        failures: Vec::new(),
    };
    let mut oldest = now;
    let mut tried = stream::iter(overdue)
        .map(|record| settle(app, record, until))
        .buffer_unordered(AT_ONCE);
    while let Some(tried) = tried.next().await {
        oldest = oldest.min(tried.since);
        if let Some(failure) = tried.failure {
            run.failing_since = Some(tried.since.min(run.failing_since.unwrap_or(now)));
            run.failures.push(failure);
        }
    }
    let lag = (now.micros() - oldest.micros()) as f64 / 1000.0;
    let figures = [
        metric::OVERDUE.of(run.overdue as f64),
        metric::OVERDUE_FOR.of(lag),
    ];
    app.metrics().publish(now, "sweep", &figures, &[]);
    Ok(run)
}

/// How the work of one record went.
struct Tried {
    /// Since when it was overdue.
    since: Timestamp,
    failure: Option<ApiError>,
}

/// Does the work of one record, unless another does or it is too late.
async fn settle(app: &App, overdue: Overdue, until: Timestamp) -> Tried {
    let mut tried = Tried {
        since: overdue.due,
        failure: None,
    };
    if app.now() >= until {
        return tried;
    }
    let done = match app.store().claim(overdue, app.now()).await {
        Ok(None) => Ok(()),
        Ok(Some(since)) => {
            tried.since = since;
            work(app, overdue.work).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        // The log has the cause once. Each record would repeat it, every few seconds.
        if !error.is_logged() {
            tracing::error!(work = ?overdue.work, error.why = error.for_log(), "still overdue");
        }
        tried.failure = Some(error);
    }
    tried
}

async fn work(app: &App, work: DueWork) -> Result<(), ApiError> {
    match work {
        DueWork::Memberships(image) => {
            let by = Origin::automatic(Automatic::Sweep, "-");
            let changed = app
                .store()
                .reconcile_members(image, app.operation(), app.now(), by)
                .await?;
            tracing::warn!(image.id = %image, members = changed, "memberships had not been reconciled");
            Ok(())
        }
        DueWork::Job(job) => send(app, job).await,
    }
}

/// Sends the messages of a job's unfinished chunks again. A job that has ended counts no longer: its
/// deadline has passed, or a worker of a release up to 0.2.0 has finished it.
async fn send(app: &App, job: JobId) -> Result<(), ApiError> {
    let store = app.store();
    let Some((batch, open)) = store.due_batch(job, app.now()).await? else {
        if store.release_job(job).await? {
            // An alarm counts these lines.
            tracing::error!(job.id = %job, "the job ended at its deadline, unfinished");
        }
        return Ok(());
    };
    let messages: Vec<_> = open
        .iter()
        .map(|number| batch.message(*number, true))
        .collect();
    tracing::warn!(job.id = %job, messages = messages.len(), "messages may not have been sent");
    let sent = app
        .queue()
        .send(&messages, &batch.job.project, &batch.request_id);
    if !sent.await?.is_empty() {
        return Err(ApiError::unavailable("the queue refused messages"));
    }
    store.messages_sent(job).await
}
