//! The commands and their arguments.

mod common;
mod image;
mod job;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use crate::completion::{Shell, complete_image};
use crate::error::{Failure, Outcome};
pub use common::{Common, JobOptions, MemberStatus, WithProjects};
pub use image::{ImageCommand, Visibility, Visible};
pub use job::{JobCommand, JobStatus};

/// The commands for people who use an image service.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Share images with projects.
    Share(Share),
    /// Stop sharing images with projects.
    Unshare(Unshare),
    /// List the projects that an image is shared with, and what they answered.
    Members(Members),
    /// List who has not answered yet, over all images of the project.
    Pending(Pending),
    /// List the images that other projects share with this one.
    Inbox(Inbox),
    /// Accept images that are shared with this project.
    Accept(Accept),
    /// Reject images that are shared with this project.
    Reject(Answer),
    /// Share an image with exactly the projects of a list.
    SetMembers(SetMembers),
    /// Accept or reject everything that certain owners share.
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Follow jobs, and repeat what failed.
    #[command(subcommand)]
    Job(JobCommand),
    /// List, show and create image records.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Print what a shell needs to complete commands, options and image names.
    #[command(after_help = COMPLETION_HELP)]
    Completion(Completion),
    /// Print the manual page, or write the pages of all commands to a directory.
    Man(Man),
}

const COMPLETION_HELP: &str = "\
Bash: imshare completion bash > ~/.local/share/bash-completion/completions/imshare
Zsh:  imshare completion zsh > a directory of $fpath, as _imshare
Fish: imshare completion fish > ~/.config/fish/completions/imshare.fish";

/// `imshare share`.
#[derive(Debug, Args)]
pub struct Share {
    /// The images, by name or id.
    #[arg(required = true, value_name = "IMAGE", add = ArgValueCompleter::new(complete_image))]
    pub images: Vec<String>,
    /// The projects.
    #[command(flatten)]
    pub with: WithProjects,
    /// How the job is run.
    #[command(flatten)]
    pub job: JobOptions,
    /// What every command takes.
    #[command(flatten)]
    pub common: Box<Common>,
}

/// `imshare unshare`.
#[derive(Debug, Args)]
pub struct Unshare {
    /// The images, by name or id.
    #[arg(required = true, value_name = "IMAGE", add = ArgValueCompleter::new(complete_image))]
    pub images: Vec<String>,
    /// The projects.
    #[command(flatten)]
    pub with: WithProjects,
    /// How the job is run.
    #[command(flatten)]
    pub job: JobOptions,
    /// What every command takes.
    #[command(flatten)]
    pub common: Box<Common>,
}

/// `imshare members`.
#[derive(Debug, Args)]
pub struct Members {
    /// The image, by name or id.
    #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(complete_image))]
    pub image: String,
    /// Those with this status only.
    #[arg(long, default_value = "all")]
    pub status: MemberStatus,
    /// Show the names of projects too, as far as the identity service tells them.
    #[arg(long)]
    pub names: bool,
    /// What every command takes.
    #[command(flatten)]
    pub common: Box<Common>,
}

/// `imshare pending`.
#[derive(Debug, Args)]
pub struct Pending {
    /// Those of this project only, by name or id.
    #[arg(long, value_name = "PROJECT")]
    pub member: Option<String>,
    /// Show the names of projects too, as far as the identity service tells them.
    #[arg(long)]
    pub names: bool,
    /// What every command takes.
    #[command(flatten)]
    pub common: Box<Common>,
}

/// `imshare inbox`.
#[derive(Debug, Args)]
pub struct Inbox {
    /// Those with this status.
    #[arg(long, default_value = "pending")]
    pub status: MemberStatus,
    /// Those of this owner only, a project by name or id.
    #[arg(long, value_name = "PROJECT")]
    pub from: Option<String>,
    /// Show the names of projects too, as far as the identity service tells them.
    #[arg(long)]
    pub names: bool,
    /// What every command takes.
    #[command(flatten)]
    pub common: Box<Common>,
}

/// `imshare accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// The vault for images that were made from a backup of a whole server.
    #[arg(long, value_name = "ID")]
    pub vault: Option<String>,
    /// What is accepted.
    #[command(flatten)]
    pub answer: Answer,
}

/// What `imshare accept` and `imshare reject` take.
#[derive(Debug, Args)]
pub struct Answer {
    /// The images, by name or id.
    #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(complete_image))]
    pub images: Vec<String>,
    /// All that wait for an answer.
    #[arg(long, conflicts_with = "images")]
    pub all: bool,
    /// Those of this owner only, a project by name or id.
    #[arg(long, value_name = "PROJECT")]
    pub from: Option<String>,
    /// How the job is run.
    #[command(flatten)]
    pub job: JobOptions,
    /// What every command takes.
    #[command(flatten)]
    pub common: Box<Common>,
}

/// `imshare set-members`.
#[derive(Debug, Args)]
pub struct SetMembers {
    /// The image, by name or id.
    #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(complete_image))]
    pub image: String,
    /// The file of projects, one a line or with commas between them; - for standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Show the difference and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the job is run.
    #[command(flatten)]
    pub job: JobOptions,
    /// What every command takes.
    #[command(flatten)]
    pub common: Box<Common>,
}

/// What happens to a new share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TrustMode {
    /// It is accepted at once.
    #[default]
    Accept,
    /// It is rejected at once.
    Reject,
}

/// `imshare trust`.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// List the owners.
    List {
        /// Show the names of projects too, as far as the identity service tells them.
        #[arg(long)]
        names: bool,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Accept, or reject, what owners will share from now on.
    Add {
        /// The owners: projects, by name or id.
        #[arg(required = true, value_name = "PROJECT")]
        owners: Vec<String>,
        /// What happens to what they share.
        #[arg(long, default_value = "accept")]
        mode: TrustMode,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Decide again about what owners share.
    Remove {
        /// The owners: projects, by name or id.
        #[arg(required = true, value_name = "PROJECT")]
        owners: Vec<String>,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
}

/// `imshare completion`.
#[derive(Debug, Args)]
pub struct Completion {
    /// The shell.
    pub shell: Shell,
}

/// `imshare man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The directory, which is created if it is not there.
    #[arg(value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
}

impl Command {
    /// Refuses what clap takes: answers without an image. Clap's own words would not name `--all`.
    ///
    /// # Errors
    /// If the arguments make no sense.
    pub fn check(&self) -> Outcome<()> {
        match self {
            Self::Accept(Accept { answer, .. }) | Self::Reject(answer)
                if answer.images.is_empty() && !answer.all =>
            {
                Err(Failure::wrong_use(
                    "name images, or take all that wait with --all",
                ))
            }
            _ => Ok(()),
        }
    }

    /// What every command that asks the service takes; none for the others.
    pub fn common(&self) -> Option<&Common> {
        match self {
            Self::Share(Share { common, .. })
            | Self::Unshare(Unshare { common, .. })
            | Self::Members(Members { common, .. })
            | Self::Pending(Pending { common, .. })
            | Self::Inbox(Inbox { common, .. })
            | Self::Accept(Accept {
                answer: Answer { common, .. },
                ..
            })
            | Self::Reject(Answer { common, .. })
            | Self::SetMembers(SetMembers { common, .. })
            | Self::Trust(
                TrustCommand::List { common, .. }
                | TrustCommand::Add { common, .. }
                | TrustCommand::Remove { common, .. },
            )
            | Self::Job(
                JobCommand::List { common, .. }
                | JobCommand::Show { common, .. }
                | JobCommand::Wait { common, .. }
                | JobCommand::Retry { common, .. },
            )
            | Self::Image(
                ImageCommand::List { common, .. }
                | ImageCommand::Show { common, .. }
                | ImageCommand::Create { common, .. },
            ) => Some(common),
            Self::Completion(_) | Self::Man(_) => None,
        }
    }
}
