//! Counts the start of a function's binary, up to its first answer.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tokio::sync::mpsc;

use crate::callgrind::{self, Counts};

/// An event that is answered without a request to the store, whose time-outs are too short for Callgrind.
const EVENT: &str = include_str!("../../../events/read-members/no-authorizer.json");
/// A certificate for the function's HTTPS client, which reads those of the host at the start.
const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certificate.pem");

/// Starts the binary under Callgrind, waits for its first answer, stops it, and returns the
/// instructions of the whole process.
///
/// # Errors
/// One sentence: what could not be run.
pub fn count(function: &Path, directory: &Path) -> Result<u64, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let out = directory.join("start");
        let (events, taken) = mpsc::channel(1);
        let (answer, mut answers) = mpsc::channel(1);
        let api = tests::runtime(taken, answer).await;
        let event: Value = serde_json::from_str(EVENT).map_err(|error| error.to_string())?;
        events
            .send(event)
            .await
            .map_err(|error| error.to_string())?;

        let plain = tests::function(function, api, "http://127.0.0.1:1");
        let mut command = callgrind::command(function, &out, Counts::All);
        let variables = plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        command
            .envs(variables)
            .env("SSL_CERT_FILE", CERTIFICATES)
            // Not the number of processors: each worker thread takes its time to start.
            .env("TOKIO_WORKER_THREADS", "2")
            .stdout(Stdio::null());
        let mut child = tokio::process::Command::from(command)
            .spawn()
            .map_err(|error| format!("valgrind cannot be run: {error}"))?;
        let answered = tokio::select! {
            answer = answers.recv() => answer.unwrap_or_default(),
            ended = child.wait() => return Err(format!("the function ended: {ended:?}")),
        };
        if !answered.contains("\"statusCode\":401") {
            return Err(format!("not the expected answer: {answered}"));
        }
        // It waits for its next event now. Callgrind writes its counts when the signal ends it.
        let id = child.id().unwrap_or_default().to_string();
        let stopped = Command::new("kill").arg(id).status();
        stopped.map_err(|error| format!("kill cannot be run: {error}"))?;
        child.wait().await.map_err(|error| error.to_string())?;
        callgrind::total(&out)
    })
}
