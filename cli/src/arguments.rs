//! The commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use crate::completion::complete_image;
use crate::login::LoginOptions;
use crate::output::OutputOptions;

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
    Accept(Answer),
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
    /// Do not ask before 100 entries or more.
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

/// `imshare accept` and `imshare reject`.
#[derive(Debug, Args)]
pub struct Answer {
    /// The images, by name or id.
    #[arg(value_name = "IMAGE", required_unless_present = "all", add = ArgValueCompleter::new(complete_image))]
    pub images: Vec<String>,
    /// All that wait for an answer.
    #[arg(long, conflicts_with = "images")]
    pub all: bool,
    /// With --all: those of this owner only, a project by name or id.
    #[arg(long, value_name = "PROJECT", requires = "all")]
    pub from: Option<String>,
    /// The vault for images that were made from a backup of a whole server.
    #[arg(long, value_name = "ID")]
    pub vault: Option<String>,
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
        #[arg(long, value_name = "ID", requires = "accept")]
        vault: Option<String>,
        /// How the job is run.
        #[command(flatten)]
        options: JobOptions,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
}

/// The visibilities of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Visibility {
    /// For its project alone.
    Private,
    /// For its project and those that it is shared with.
    Shared,
    /// For everybody who looks for it.
    Community,
    /// For everybody.
    Public,
    /// Any.
    All,
}

impl Visibility {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Community => "community",
            Self::Public => "public",
            Self::All => "all",
        }
    }
}

/// `imshare image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List the images that the project may use.
    List {
        /// Those with this name only.
        #[arg(long)]
        name: Option<String>,
        /// Those with this visibility only.
        #[arg(long)]
        visibility: Option<Visibility>,
        /// Of the images that others share: those with this answer.
        #[arg(long, default_value = "accepted", value_name = "STATUS")]
        member_status: MemberStatus,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Show an image.
    Show {
        /// The image, by name or id.
        #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(complete_image))]
        image: String,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Create the record of an image, without data.
    Create {
        /// Its name.
        name: String,
        /// Its id, instead of a new one.
        #[arg(long)]
        id: Option<String>,
        /// Its visibility.
        #[arg(long)]
        visibility: Option<Visibility>,
        /// Its disk format, such as qcow2.
        #[arg(long, value_name = "FORMAT")]
        disk_format: Option<String>,
        /// Its container format, such as bare.
        #[arg(long, value_name = "FORMAT")]
        container_format: Option<String>,
        /// A tag; can be repeated.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// A property of its own; can be repeated.
        #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
        properties: Vec<(String, String)>,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The shells that are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
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
    /// What every command that asks the service takes; none for the others.
    pub fn common(&self) -> Option<&Common> {
        match self {
            Self::Share(Share { common, .. })
            | Self::Unshare(Unshare { common, .. })
            | Self::Members(Members { common, .. })
            | Self::Pending(Pending { common, .. })
            | Self::Inbox(Inbox { common, .. })
            | Self::Accept(Answer { common, .. })
            | Self::Reject(Answer { common, .. })
            | Self::SetMembers(SetMembers { common, .. })
            | Self::Trust(
                TrustCommand::List { common }
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
