//! The commands, one file for each subject.

mod answer;
mod image;
mod inbox;
mod job;
pub mod man;
mod members;
mod set_members;
mod share;
mod trust;

use crate::api::Task;
use crate::arguments::{Accept, Command};
use crate::context::Context;
use crate::error::{Done, Failure, Outcome};

/// Runs a command that asks the service.
///
/// # Errors
/// If it fails.
pub fn run(context: &Context, command: Command) -> Outcome<Done> {
    match command {
        Command::Share(asked) => {
            share::run(context, &Task::Share, &asked.images, asked.with, &asked.job)
        }
        Command::Unshare(asked) => share::run(
            context,
            &Task::Unshare,
            &asked.images,
            asked.with,
            &asked.job,
        ),
        Command::Members(asked) => members::members(context, &asked),
        Command::Pending(asked) => members::pending(context, &asked),
        Command::Inbox(asked) => inbox::inbox(context, &asked),
        Command::Accept(Accept { answer, vault }) => answer::answer(context, &answer, true, vault),
        Command::Reject(answer) => answer::answer(context, &answer, false, None),
        Command::SetMembers(asked) => set_members::set_members(context, &asked),
        Command::Trust(asked) => trust::run(context, asked),
        Command::Job(asked) => job::run(context, asked),
        Command::Image(asked) => image::run(context, asked),
        Command::Completion(_) | Command::Man(_) => {
            Err(Failure::wrong_use("this command does not ask the service"))
        }
    }
}
