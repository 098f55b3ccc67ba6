//! The results of spawned tasks.

use std::panic::resume_unwind;

use tokio::task::JoinError;

/// The result of a task that has ended; `None` if the runtime ended it. If the task panicked, whoever waits for it
/// panics too.
pub fn result<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(result) => Some(result),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}
