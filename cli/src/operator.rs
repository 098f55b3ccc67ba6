//! The commands of an operator, which work on the store: how they end.

use std::process::ExitCode;

use clap::Args;
use cli::error::{Exit, Failure, Outcome};
use cli::login::LoginOptions;
use cli::output::terminal::say;
use local::operator::Stopped;

/// Who does it, for the record.
#[derive(Clone, Debug, Args)]
pub struct By {
    /// Who does this, for the record.
    #[arg(
        long,
        env = "USER",
        hide_env_values = true,
        value_name = "NAME",
        default_value = "unknown"
    )]
    pub by: String,
}

impl By {
    /// For a command that leaves no record of who used it.
    pub fn nobody() -> Self {
        let by = String::new();
        Self { by }
    }
}

/// Runs a command that asks no service, and so takes no login. It says on standard error why it fails,
/// if it does.
pub fn run(login: &LoginOptions, command: impl FnOnce() -> Outcome<ExitCode>) -> ExitCode {
    let done = match login.is_empty() {
        true => command(),
        false => Err(Failure::wrong_use(
            "the login options are for commands that ask a service",
        )),
    };
    ended(done)
}

/// Says on standard error why a command failed, if it did.
pub fn ended(done: Outcome<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|failure| {
        say(&format!("imshare: {}", failure.sentence));
        ExitCode::from(failure.exit as u8)
    })
}

/// Why a command does not do what it was asked, with its exit code.
pub fn failure(stopped: Stopped) -> Failure {
    match stopped {
        Stopped::WrongUse(sentence) => Failure::new(Exit::WrongUse, sentence),
        Stopped::Refused(sentence) => Failure::new(Exit::Refused, sentence),
        Stopped::Away(sentence) => Failure::new(Exit::Away, sentence),
    }
}
