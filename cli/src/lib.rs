//! The command line of imshare, for people who share images and get them shared: the commands beside
//! `imshare serve`.
//!
//! It knows the service by its public API alone, over HTTP.
//!
//! | module | what it does |
//! |---|---|
//! | [`arguments`] | the commands and their options |
//! | [`login`] | logs in as the `openstack` command does |
//! | [`http`], [`api`] | sends requests; one function for each call |
//! | [`names`] | finds the images and projects that names stand for |
//! | [`jobs`] | runs batches: splits, sends, watches, reports |
//! | [`output`] | prints tables, JSON, YAML, CSV and values |
//! | [`commands`] | one file for each subject |
//! | [`completion`] | shell completion, with the names of images |
//! | [`error`] | exit codes and sentences |
//! | [`visible`] | texts of others on a terminal |

pub mod api;
pub mod arguments;
pub mod commands;
pub mod completion;
pub mod context;
pub mod error;
pub mod http;
pub mod jobs;
pub mod login;
pub mod names;
pub mod output;
pub mod visible;

use std::process::ExitCode;

use arguments::Command;
use context::Context;
use error::{Done, Exit, Failure, Outcome};
use login::LoginOptions;
use output::terminal::say;

/// Runs a command and says on standard error why it fails, if it does. `whole` is the program's
/// command, for completion and manual pages; `before` are the login options before the command.
pub fn run(command: Command, before: &LoginOptions, whole: fn() -> clap::Command) -> ExitCode {
    match carry_out(command, before, whole) {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::SomeFailed) => ExitCode::from(Exit::Incomplete as u8),
        Err(Failure { exit, sentence }) => {
            say(&format!("imshare: {sentence}"));
            ExitCode::from(exit as u8)
        }
    }
}

fn carry_out(
    command: Command,
    before: &LoginOptions,
    whole: fn() -> clap::Command,
) -> Outcome<Done> {
    command.check()?;
    let context = command
        .common()
        .map(|common| Context::new(common, before))
        .transpose()?;
    match (command, context) {
        (Command::Completion(asked), _) => completion::print(asked.shell, &whole()),
        (Command::Man(asked), _) => commands::man::man(asked.directory.as_deref(), whole()),
        (command, Some(context)) => commands::run(&context, command),
        (_, None) => Err(Failure::wrong_use("this command needs a login")),
    }
}
