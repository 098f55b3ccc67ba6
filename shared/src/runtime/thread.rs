//! The one thread of a function.

use std::future::Future;

/// Runs a function on this thread.
///
/// Lambda gives a function of less than 1,769 MB of memory less than one processor
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>), so further threads would
/// only be started, woken and switched to. Measured with `bench start`: without them a function's first
/// answer takes a fifth less time.
///
/// # Errors
/// If the function returns one, or the system starts no event loop.
pub fn run<T, E>(function: impl Future<Output = Result<T, E>>) -> Result<T, E>
where
    E: From<std::io::Error>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(function)
}
