//! The log of a deployed function.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::config::{ConfigError, optional};

/// The most verbose levels of crates that log whole requests below `info`: those contain secrets.
const LOG_CAPS: &str = "hyper=info,hyper_util=info,lambda_runtime=info,lambda_http=info,\
    aws_smithy_runtime=info,aws_runtime=info,aws_sigv4=info";

/// Builds the filter of a level such as `debug` or `warn,shared=trace`. It never lets secrets through.
///
/// # Errors
/// If a part is neither a level nor `target=level`: `tracing` would take a bare word as a target.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    let bare = level.split(',').map(str::trim).find(|part| {
        let is_level = part.parse::<LevelFilter>().is_ok();
        !is_level && !part.contains('=') && !part.contains('[')
    });
    if let Some(word) = bare {
        return Err(format!(
            "{word:?} is not a level: use error, warn, info, debug, trace or off, or a filter such \
             as warn,shared=debug"
        ));
    }
    EnvFilter::try_new(format!("{level},{LOG_CAPS}")).map_err(|error| error.to_string())
}

/// Starts the log on standard output, one JSON object for each line.
///
/// # Errors
/// If `LOG_LEVEL` is set and has another form.
pub fn as_json() -> Result<(), ConfigError> {
    let level = optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
    let filter = filter(&level)
        .map_err(|_| ConfigError::malformed("LOG_LEVEL", "a level, such as info or debug"))?;
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .without_time()
        .init();
    Ok(())
}
