//! `imshare`: the whole service on one machine, and the commands for people who use it or another.

#[cfg(feature = "server")]
mod access_key;
#[cfg(feature = "server")]
mod data;
#[cfg(feature = "server")]
mod operator;
#[cfg(feature = "server")]
mod projects;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use cli::login::LoginOptions;

#[cfg(feature = "server")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Share machine images between the projects of a cloud.
#[derive(Debug, Parser)]
#[command(name = "imshare", version, about)]
struct Arguments {
    #[command(flatten)]
    login: LoginOptions,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Client(cli::arguments::Command),
    /// Run the whole service in this process.
    #[cfg(feature = "server")]
    Serve(Box<local::arguments::Serve>),
    /// Create, list, rotate, disable and delete the access keys of signed requests, in the service's store.
    #[cfg(feature = "server")]
    #[command(subcommand)]
    AccessKey(access_key::AccessKeyCommand),
    /// Check the projects that images are shared with, in the service's store.
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Projects(projects::ProjectsCommand),
    /// Back up the data of the service on this machine while it runs.
    #[cfg(feature = "server")]
    Backup(data::Backup),
    /// Restore a backup into an empty directory.
    #[cfg(feature = "server")]
    Restore(data::Restore),
    /// Check that the data of the service on this machine agrees with itself.
    #[cfg(feature = "server")]
    Check(data::Check),
    /// Print the variables of a demo user of the service on this machine.
    #[cfg(feature = "server")]
    DemoEnv(local::demo_env::DemoEnv),
}

fn main() -> ExitCode {
    cli::completion::answer(Arguments::command);
    let Arguments { login, command } = Arguments::parse();
    match command {
        Command::Client(command) => cli::run(command, &login, Arguments::command),
        #[cfg(feature = "server")]
        Command::Serve(serve) => run_here(&login, || data::said(local::command::run(*serve))),
        #[cfg(feature = "server")]
        Command::AccessKey(command) => operator::run(&login, || access_key::run(command)),
        #[cfg(feature = "server")]
        Command::Projects(command) => operator::run(&login, || projects::run(command)),
        #[cfg(feature = "server")]
        Command::Backup(asked) => run_here(&login, || asked.run()),
        #[cfg(feature = "server")]
        Command::Restore(asked) => run_here(&login, || asked.run()),
        #[cfg(feature = "server")]
        Command::Check(asked) => run_here(&login, || asked.run()),
        #[cfg(feature = "server")]
        Command::DemoEnv(demo) => run_here(&login, || data::said(demo.print())),
    }
}

/// Runs a command that asks no service, and so takes no login.
#[cfg(feature = "server")]
fn run_here(login: &LoginOptions, command: impl FnOnce() -> ExitCode) -> ExitCode {
    match login.is_empty() {
        true => command(),
        false => data::said(Err(
            "the login options are for commands that ask a service".to_owned()
        )),
    }
}
