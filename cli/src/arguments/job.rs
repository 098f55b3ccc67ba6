//! `imshare job`.

use clap::{Subcommand, ValueEnum};

use super::common::{Common, JobOptions};

/// The statuses of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JobStatus {
    /// Accepted; nothing is done yet.
    Init,
    /// Under way.
    Running,
    /// Every entry succeeded.
    Success,
    /// At least one entry failed.
    Fail,
}

impl JobStatus {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Fail => "FAIL",
        }
    }
}

/// `imshare job`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List the jobs of the project, the newest first.
    List {
        /// Those with this status only.
        #[arg(long)]
        status: Option<JobStatus>,
        /// At most this many.
        #[arg(long, default_value_t = 25, value_name = "N")]
        limit: usize,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Show a job.
    Show {
        /// The job: its id, or the start of it.
        #[arg(value_name = "JOB")]
        job: String,
        /// List the entries instead.
        #[arg(long)]
        entries: bool,
        /// List the entries that failed instead.
        #[arg(long, conflicts_with = "entries")]
        failed: bool,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Wait for the end of jobs.
    Wait {
        /// The jobs: their ids, or the start of them.
        #[arg(required = true, value_name = "JOB")]
        jobs: Vec<String>,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Repeat the entries of a job that failed, as a new job.
    Retry {
        /// The job: its id, or the start of it.
        #[arg(value_name = "JOB")]
        job: String,
        /// For a job that answered: accept.
        #[arg(long)]
        accept: bool,
        /// For a job that answered: reject.
        #[arg(long, conflicts_with = "accept")]
        reject: bool,
        /// The vault for images that were made from a backup of a whole server.
        #[arg(
            long,
            value_name = "ID",
            requires = "accept",
            conflicts_with = "reject"
        )]
        vault: Option<String>,
        /// How the job is run.
        #[command(flatten)]
        options: JobOptions,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
}
