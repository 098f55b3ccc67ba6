//! Runs a function that is called on a schedule.

use std::future::Future;

use serde_json::Value;
use tracing::Instrument as _;

use crate::app::App;
use crate::error::ApiError;
use crate::meter;
use crate::queue::{MARGIN, micros_of};
use crate::time::Timestamp;

/// Does one run, and says in the log and in the metrics how it went.
///
/// # Errors
/// If the run failed.
pub async fn run<H, F>(
    function: &'static str,
    app: App,
    until: Timestamp,
    handler: H,
) -> Result<(), ApiError>
where
    H: FnOnce(App, Timestamp) -> F,
    F: Future<Output = Result<(), ApiError>>,
{
    let now = app.now();
    let span = tracing::info_span!("run", function);
    let (outcome, usage) = meter::measured(handler(app, until)).instrument(span).await;
    if let Err(error) = &outcome {
        tracing::error!(function, error.why = error.for_log(), "failed");
    }
    let ended = meter::Ended {
        how: "ran",
        status: None,
        refused: false,
        failed: outcome.is_err(),
    };
    meter::report(now, &usage, &ended, &[], || function.to_owned());
    outcome
}

/// Runs a function under the Lambda runtime. Of the event nothing is read.
///
/// # Errors
/// If the configuration is not complete, by the name of what is missing.
pub async fn serve<H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(App, Timestamp) -> F + Copy + Send + 'static,
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let app = App::from_env()?;
    let app = &app;
    lambda_runtime::run(lambda_runtime::service_fn(
        move |event: lambda_runtime::LambdaEvent<Value>| async move {
            let until = micros_of(event.context.deadline() - MARGIN);
            match run(function, app.clone(), until, handler).await {
                Ok(()) => Ok(Value::Null),
                // What it was is in the log; the run counts as failed.
                Err(_) => Err(lambda_runtime::Error::from("the run failed")),
            }
        },
    ))
    .await
}
