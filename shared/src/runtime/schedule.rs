//! Runs a function that is called on a schedule.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::app::App;
use super::invocation::{self, time_until_left};
use super::metrics;
use super::thread;
use crate::domain::error::ApiError;
use crate::domain::time::Timestamp;

/// The event of EventBridge, as far as it is read.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ScheduledEvent {
    /// Always the same. An event of another source does not parse.
    #[serde(rename = "detail-type")]
    _detail_type: DetailType,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum DetailType {
    #[serde(rename = "Scheduled Event")]
    ScheduledEvent,
}

/// Does one run, and reports its result in the log and the metrics.
///
/// # Errors
/// If the run failed or panicked.
pub async fn run<H, F, T>(
    function: &'static str,
    app: App,
    until: Timestamp,
    handler: H,
) -> Result<T, ApiError>
where
    H: FnOnce(App, Timestamp) -> F,
    F: Future<Output = Result<T, ApiError>>,
{
    let (metrics, now) = (app.metrics().clone(), app.now());
    let span = tracing::info_span!("run", function);
    async {
        let (outcome, usage) = metrics::measured(handler(app, until)).await;
        let outcome = outcome.unwrap_or_else(|| Err(ApiError::internal("the run panicked")));
        match &outcome {
            Err(error) if error.is_logged() => {
                tracing::debug!(error.why = error.for_log(), "failed");
            }
            Err(error) => tracing::error!(error.why = error.for_log(), "failed"),
            Ok(_) => {}
        }
        let ended = metrics::Ended {
            how: "ran",
            status: None,
            refused: false,
            failed: outcome.is_err(),
        };
        metrics.report(now, &usage, &ended, &[], || function.to_owned());
        outcome
    }
    .instrument(span)
    .await
}

/// The time left of an invocation when a run is stopped.
const STOP_TIME: Duration = Duration::from_millis(500);

/// Runs a function under the Lambda runtime. A run that takes too long is stopped, and has failed.
///
/// # Errors
/// If the runtime fails.
pub fn serve<H, F, T>(
    app: App,
    function: &'static str,
    handler: H,
) -> Result<(), lambda_runtime::Error>
where
    H: Fn(App, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
    T: Serialize,
{
    let app = &app;
    thread::run(lambda_runtime::run(lambda_runtime::service_fn(
        move |event: lambda_runtime::LambdaEvent<ScheduledEvent>| async move {
            let deadline = event.context.deadline();
            let limit = time_until_left(deadline, STOP_TIME);
            let handler = |app: App, until: Timestamp| async move {
                let ended = tokio::time::timeout(limit, handler(app, until)).await;
                let late = |_| Err(ApiError::unavailable(format!("no end within {limit:?}")));
                ended.unwrap_or_else(late)
            };
            let outcome = run(function, app.clone(), invocation::until(deadline), handler).await;
            // The cause is in the log; to Lambda the run has failed.
            outcome.map_err(|_| lambda_runtime::Error::from("the run failed"))
        },
    )))
}
