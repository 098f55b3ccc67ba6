//! What several commands take.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use crate::login::LoginOptions;
use crate::output::OutputOptions;

/// What every command that asks the service takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// The login.
    #[command(flatten)]
    pub login: LoginOptions,
    /// The output.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Show no progress and no notes.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What every command that starts a job takes.
#[derive(Clone, Debug, Default, Args)]
pub struct JobOptions {
    /// Do not ask, even for 100 entries or more (an entry is an image with a project).
    #[arg(short, long)]
    pub yes: bool,
    /// Start the job and print its id, without waiting for its end.
    #[arg(long)]
    pub no_wait: bool,
}

/// Projects, by name or id.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct WithProjects {
    /// The projects, by name or id, with commas between them; can be repeated.
    #[arg(long, value_name = "PROJECT,…", value_delimiter = ',')]
    pub with: Vec<String>,
    /// A file of projects, one a line or with commas between them; - for standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub with_file: Option<PathBuf>,
}

/// The statuses of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MemberStatus {
    /// Not answered yet.
    Pending,
    /// Accepted.
    Accepted,
    /// Rejected.
    Rejected,
    /// Any.
    All,
}

impl MemberStatus {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::All => "all",
        }
    }
}
