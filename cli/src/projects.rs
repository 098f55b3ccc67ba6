//! `imshare projects`: its arguments, and its output.

use std::process::ExitCode;

use clap::Subcommand;
use cli::error::{Exit, Outcome, count};
use cli::login::settings::Variables;
use cli::output::terminal::Terminal;
use cli::output::{self, OutputOptions, Table};
use local::gone_projects::{Authority, Found, Remedy, State, check};
use local::operator::{StoreOptions, block_on};
use serde_json::json;

use crate::operator::{By, failure};

/// `imshare projects`.
#[derive(Debug, Subcommand)]
pub enum ProjectsCommand {
    /// Find the memberships of projects that do not exist any more.
    #[command(
        after_help = "Exit code 1: there are such memberships, and they were not all removed."
    )]
    Check {
        /// End these memberships, as the images' owners would.
        #[arg(long)]
        remove: bool,
        /// Who does it.
        #[command(flatten)]
        by: By,
        /// Who says which projects exist.
        #[command(flatten)]
        authority: Authority,
        /// The store.
        #[command(flatten)]
        store: StoreOptions,
        /// The table in DynamoDB: the output TableName of the stack.
        #[arg(
            long,
            env = "IMSHARE_TABLE",
            value_name = "NAME",
            help_heading = "Store"
        )]
        table: Option<String>,
        /// The output.
        #[command(flatten)]
        output: OutputOptions,
        /// Show no notes.
        #[arg(short, long)]
        quiet: bool,
    },
}

/// Runs a command about projects.
///
/// # Errors
/// A sentence for the operator, with an exit code.
pub fn run(command: ProjectsCommand) -> Outcome<ExitCode> {
    let ProjectsCommand::Check {
        remove,
        by,
        authority,
        store,
        table,
        output,
        quiet,
    } = command;
    let remedy = match remove {
        true => Remedy::Remove { by: by.by },
        false => Remedy::Report,
    };
    let found = block_on(check(&store, table.as_deref(), &authority, remedy)).map_err(failure)?;
    let terminal = Terminal::of_process(&Variables::of_process(), quiet);
    terminal.note(&summary(&found));
    let left = found
        .gone
        .iter()
        .any(|member| member.state != State::Removed);
    let mut table = Table::new(&["Project", "Image", "State"]);
    for member in found.gone {
        table.push([
            json!(member.project.as_str()),
            json!(member.image.to_string()),
            json!(member.state.as_str()),
        ]);
    }
    output::list(&terminal, &output, table)?;
    Ok(match left {
        true => ExitCode::from(Exit::Incomplete as u8),
        false => ExitCode::SUCCESS,
    })
}

fn summary(found: &Found) -> String {
    let of = |state: State| found.gone.iter().filter(|each| each.state == state).count();
    let projects = count(found.projects, "member project");
    match (found.gone.len(), of(State::Removed)) {
        (0, _) => format!("{projects}: all exist."),
        (gone, 0) => format!(
            "{projects}: {} of projects that do not exist.",
            members(gone)
        ),
        (gone, removed) => format!(
            "{projects}: {} of projects that do not exist, {removed} removed.",
            members(gone)
        ),
    }
}

fn members(number: usize) -> String {
    count(number, "membership")
}
