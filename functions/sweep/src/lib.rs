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

/// Handles what is overdue, and starts nothing after `until`. A record whose work fails is overdue
/// again a little later.
///
/// # Errors
/// If the index cannot be read, or if something failed.
pub async fn handle(app: App, until: Timestamp) -> Result<Swept, ApiError> {
    let now = app.now();
    let overdue = app.store().overdue(now, LIMIT).await?;
    let since = overdue.iter().map(|record| record.due).min().unwrap_or(now);
    let lag = (now.micros() - since.micros()) as f64 / 1000.0;
    let found = overdue.len();
    let app = &app;
    let failed: Vec<ApiError> = stream::iter(overdue)
        .map(|record| async move {
            if app.now() >= until {
                return None;
            }
            let error = settle(app, record).await.err()?;
            // The log has the cause once. Each record would repeat it, every few seconds.
            if !error.is_logged() {
                tracing::error!(work = ?record.work, error.why = error.for_log(), "still overdue");
            }
            Some(error)
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let figures = [
        metric::OVERDUE.of(found as f64),
        metric::OVERDUE_FOR.of(lag),
    ];
    app.metrics().publish(now, "sweep", &figures, &[]);
    if !failed.is_empty() {
        let why = format!("{} of {found} are still overdue", failed.len());
        return Err(match failed.iter().all(ApiError::is_logged) {
            true => ApiError::out_of_order(why),
            false => ApiError::unavailable(why),
        });
    }
    Ok(Swept { overdue: found })
}

async fn settle(app: &App, overdue: Overdue) -> Result<(), ApiError> {
    if !app.store().claim(overdue, app.now()).await? {
        return Ok(());
    }
    match overdue.work {
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
/// deadline has passed, or a worker of release 0.1.0 has finished it.
async fn send(app: &App, job: JobId) -> Result<(), ApiError> {
    let store = app.store();
    let Some((batch, open)) = store.due_batch(job, app.now()).await? else {
        return store.release_job(job).await;
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
