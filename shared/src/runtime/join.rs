//! The results of spawned tasks.

use std::panic::resume_unwind;

use tokio::task::JoinError;

/// The result of a task, from what waiting for it has returned; `None` if the runtime was shut down before the task was
/// done.
///
/// # Panics
/// If the task panicked, with its panic.
pub fn result<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(result) => Some(result),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}
