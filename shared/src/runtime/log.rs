//! The log: which lines it has, and that none of them holds a secret.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use super::config::{ConfigError, optional};

/// Crates that log whole requests below `info`: those contain secrets.
const CAPPED: [&str; 7] = [
    "hyper",
    "hyper_util",
    "lambda_runtime",
    "lambda_http",
    "aws_smithy_runtime",
    "aws_runtime",
    "aws_sigv4",
];

/// What lines are written of: all that both filters let through.
pub type Filtered = Layered<Targets, Layered<Targets, Registry>>;

/// Parses a level such as `debug`, or several such as `warn,shared=trace`. By target alone: filters by span or
/// field would bring a regex engine into each function.
fn levels(text: &str) -> Result<Targets, String> {
    let parts = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    // Without any level, errors are logged.
    let mut levels = Targets::new().with_default(match parts.clone().next() {
        None => LevelFilter::ERROR,
        Some(_) => LevelFilter::OFF,
    });
    for part in parts {
        let (target, level) = part.split_once('=').unwrap_or(("", part));
        let level = level.trim().parse::<LevelFilter>().ok();
        let Some(level) = level.filter(|_| !target.contains('[')) else {
            return Err(format!(
                "{part:?} is not a level: use error, warn, info, debug, trace or off, or a filter such \
                 as warn,shared=debug"
            ));
        };
        levels = match target.trim() {
            "" => levels.with_default(level),
            target => levels.with_target(target, level),
        };
    }
    Ok(levels)
}

/// Lets all through but what may contain secrets.
fn caps() -> Targets {
    let capped = CAPPED.map(|target| (target, LevelFilter::INFO));
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(capped)
}

/// Starts a log of these levels, which `lines` writes. It never lets secrets through.
///
/// # Errors
/// If a part of `level` is neither a level nor `target=level`.
pub fn start<L>(level: &str, lines: L) -> Result<(), String>
where
    L: Layer<Filtered> + Send + Sync,
{
    let filtered = Registry::default().with(caps()).with(levels(level)?);
    filtered.with(lines).init();
    Ok(())
}

/// Starts the log on standard output, one JSON object for each line.
///
/// # Errors
/// If `LOG_LEVEL` is set and has another form.
pub fn as_json() -> Result<(), ConfigError> {
    let level = optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
    let lines = tracing_subscriber::fmt::layer().json().without_time();
    start(&level, lines)
        .map_err(|_| ConfigError::malformed("LOG_LEVEL", "a level, such as info or debug"))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_are_for_all_targets_or_one() {
        let levels = levels("warn, shared=trace,change=info,").unwrap();
        for (target, level, enabled) in [
            ("images", Level::WARN, true),
            ("images", Level::INFO, false),
            ("shared::store", Level::TRACE, true),
            ("change", Level::INFO, true),
            ("change", Level::DEBUG, false),
        ] {
            assert_eq!(levels.would_enable(target, &level), enabled, "{target}");
        }
    }

    #[test]
    fn what_may_contain_secrets_is_capped_in_every_module() {
        for target in ["hyper", "hyper_util::client::legacy", "aws_sigv4::sign"] {
            assert!(!caps().would_enable(target, &Level::DEBUG), "{target}");
            assert!(caps().would_enable(target, &Level::INFO), "{target}");
        }
        assert!(caps().would_enable("shared::store", &Level::TRACE));
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in [
            "inof",
            "warn,shared",
            "shared=inof",
            "a=b=info",
            "[span]=info",
        ] {
            let words = levels(text).unwrap_err();
            assert!(words.contains("is not a level"), "{text}: {words}");
        }
        for text in ["", "off", "INFO", "warn,shared=debug"] {
            assert!(levels(text).is_ok(), "{text}");
        }
    }
}
