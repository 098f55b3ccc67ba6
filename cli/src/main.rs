//! `imshare` without the server: the commands for people who use an image service.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use cli::arguments::Command;
use cli::login::LoginOptions;

/// Share machine images between the projects of a cloud.
#[derive(Debug, Parser)]
#[command(name = "imshare", version, about)]
struct Arguments {
    #[command(flatten)]
    login: LoginOptions,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    cli::completion::answer(Arguments::command);
    let arguments = Arguments::parse();
    cli::run(arguments.command, &arguments.login, Arguments::command)
}
