//! The commands about the data of the service on this machine: `imshare backup`, `restore` and `check`.
//! They ask no service; they work in its data directory. Their work is done by `local`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use cli::error::{Exit, count};
use cli::login::settings::Variables;
use cli::output::terminal::{Terminal, say};
use cli::output::{self, OutputOptions, Table};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use local::archive::Manifest;
use local::check::Found;
use local::gone_projects::{self, Authority, GoneMember, Remedy, State};
use local::operator::{Stopped, StoreOptions, block_on};
use local::watch::{Failure, Watch};
use serde_json::json;
use shared::domain::time::Clock;
use shared::store::check::Finding;

use crate::operator::{By, failure};

/// What a signal's number is added to in an exit code, as shells have it.
const SIGNALLED: i32 = 128;

/// The data directory.
#[derive(Debug, Args)]
struct Data {
    /// The directory of the server's records and queue.
    #[arg(long, env = "IMSHARE_DATA_DIR", default_value = "./imshare-data", value_hint = ValueHint::DirPath)]
    data_dir: PathBuf,
    /// Show no progress and no notes.
    #[arg(short, long)]
    quiet: bool,
}

/// `imshare backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
The server may run: the backup holds everything that it acknowledged before the backup began, and
nothing that was half done. The file appears when it is whole. It is a tar archive of the data
directory's files; while it is made, it needs their size twice, beside it.")]
pub struct Backup {
    /// The file to write.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data: Data,
}

/// `imshare restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `imshare backup` has written.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    data: Data,
}

/// `imshare check`.
#[derive(Debug, Args)]
#[command(after_help = "\
The server may run. Exit code 0: all is well; 1: there are findings; 2: it cannot be checked.")]
pub struct Check {
    /// The table's name.
    #[arg(long, env = "IMSHARE_TABLE", default_value = "imshare")]
    table: String,
    #[command(flatten)]
    projects: MemberProjects,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    output: OutputOptions,
}

/// Whether the projects that images are shared with are checked too, and by what.
#[derive(Debug, Args)]
struct MemberProjects {
    /// Find the memberships of projects that this Keystone does not know, too: as `imshare projects
    /// check` does.
    #[arg(long, value_name = "URL", help_heading = "Projects")]
    keystone_url: Option<String>,
    /// The same by the identity file of the server.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "keystone_url",
        help_heading = "Projects"
    )]
    identity: Option<PathBuf>,
    /// End these memberships, as the images' owners would. The server must not run.
    #[arg(long, help_heading = "Projects")]
    remove: bool,
    /// Who does it.
    #[command(flatten, next_help_heading = "Projects")]
    by: By,
}

impl MemberProjects {
    /// The memberships of projects that do not exist; `None` if nobody asked about them.
    fn check(&self, data: &Path) -> Result<Option<Vec<GoneMember>>, Stopped> {
        let authority = Authority {
            keystone_url: self.keystone_url.clone(),
            identity: self.identity.clone(),
        };
        if authority.keystone_url.is_none() && authority.identity.is_none() {
            return match self.remove {
                true => Err(Stopped::WrongUse(
                    "--remove needs --keystone-url or --identity".to_owned(),
                )),
                false => Ok(None),
            };
        }
        let store = StoreOptions {
            data_dir: data.to_owned(),
            dynamodb_endpoint: None,
        };
        let remedy = match self.remove {
            true => Remedy::Remove {
                by: self.by.by.clone(),
            },
            false => Remedy::Report,
        };
        let found = block_on(gone_projects::check(&store, None, &authority, remedy))?;
        Ok(Some(found.gone))
    }
}

/// Says on standard error why a command failed, if it did.
pub fn said(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => failed(&Failure::Failed(sentence), ""),
    }
}

/// Says why a command did not come to its end, and what that means.
fn failed(failure: &Failure, meaning: &str) -> ExitCode {
    say(&format!("imshare: {failure}{meaning}"));
    let code = match failure {
        Failure::Failed(_) => Exit::WrongUse as i32,
        Failure::Stopped(signal) => SIGNALLED + signal,
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// A command's terminal, its progress bar, and the watch over its work.
struct Shown {
    terminal: Terminal,
    bar: ProgressBar,
    watch: Watch,
}

impl Shown {
    fn new(data: &Data) -> Result<Self, Failure> {
        let terminal = Terminal::of_process(&Variables::of_process(), data.quiet);
        let target = match terminal.progress {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{msg}  {wide_bar:.green}  {percent} %") {
            let characters = if terminal.unicode { "█▓░" } else { "=>-" };
            bar.set_style(style.progress_chars(characters));
        }
        let shown = bar.clone();
        let watch = Watch::new(move |what, done, of| {
            if shown.message() != what {
                shown.set_message(what.to_owned());
            }
            shown.set_length(of);
            shown.set_position(done);
        })?;
        Ok(Self {
            terminal,
            bar,
            watch,
        })
    }
}

/// Does the work under a watch; the bar is gone when it ends.
fn watched<T>(
    data: &Data,
    work: impl FnOnce(&Watch) -> Result<T, Failure>,
) -> Result<(Shown, T), Failure> {
    let shown = Shown::new(data)?;
    let done = work(&shown.watch);
    shown.bar.finish_and_clear();
    Ok((shown, done?))
}

fn summary(path: &Path, manifest: &Manifest) -> String {
    let (path, bytes) = (path.display(), HumanBytes(manifest.bytes()));
    format!("{path}: {bytes} as of {}", manifest.taken_at)
}

impl Backup {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let (file, data) = (&self.file, &self.data);
        let done = watched(data, |watch| {
            local::backup::backup(&data.data_dir, file, self.force, watch)
        });
        match done {
            Err(failure) => failed(&failure, "; no backup was written"),
            Ok((shown, manifest)) => {
                shown.terminal.note(&summary(file, &manifest));
                ExitCode::SUCCESS
            }
        }
    }
}

impl Restore {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let (file, data) = (&self.file, &self.data);
        let done = watched(data, |watch| {
            local::restore::restore(file, &data.data_dir, watch)
        });
        match done {
            Err(failure) => failed(&failure, "; nothing was restored"),
            Ok((shown, manifest)) => {
                shown.terminal.note(&summary(&data.data_dir, &manifest));
                ExitCode::SUCCESS
            }
        }
    }
}

impl Check {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let data = &self.data;
        let done = watched(data, |watch| {
            local::check::check(&data.data_dir, &self.table, Clock::System.now(), watch)
        });
        let (shown, mut found) = match done {
            Err(failure) => return failed(&failure, "; not checked"),
            Ok(done) => done,
        };
        match self.projects.check(&data.data_dir) {
            Err(stopped) => return crate::operator::ended(Err(failure(stopped))),
            Ok(gone) => found
                .report
                .findings
                .extend(gone.into_iter().flatten().map(finding)),
        }
        let findings = &found.report.findings;
        let rows = findings
            .iter()
            .map(|finding| vec![json!(finding.record), json!(finding.what)]);
        let table = Table {
            columns: vec!["Record", "Finding"],
            rows: rows.collect(),
        };
        if let Err(failure) = output::list(&shown.terminal, &self.output, table) {
            return said(Err(failure.sentence));
        }
        shown.terminal.note(&told(&found));
        match findings.iter().all(|finding| finding.what == REMOVED) {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(Exit::Incomplete as u8),
        }
    }
}

/// What is said of a membership that was ended.
const REMOVED: &str = "removed: its project does not exist";

fn finding(member: GoneMember) -> Finding {
    let (image, project) = (member.image, member.project);
    let what = match member.state {
        State::Gone => "its project does not exist",
        State::Removed => REMOVED,
        State::Kept => {
            "its project does not exist; kept, because its image is not shared at present"
        }
    };
    Finding {
        record: format!("IMAGE#{image} MEM#{project}"),
        what: what.to_owned(),
    }
}

/// How much was checked, and how much was found.
fn told(found: &Found) -> String {
    let checked = found.report.checked;
    let number = |of: u64, noun: &str| count(usize::try_from(of).unwrap_or(usize::MAX), noun);
    let findings = found.report.findings.len() + found.report.left_out;
    let mut text = format!(
        "{} ({}, {}, {}), {}, {}: {}",
        number(checked.records, "record"),
        number(checked.images, "image"),
        number(checked.memberships, "membership"),
        number(checked.jobs, "job"),
        number(found.index_rows, "index row"),
        number(found.messages + found.dead_letters, "message"),
        match findings {
            0 => "all is well".to_owned(),
            findings => count(findings, "finding"),
        }
    );
    if checked.due > 0 {
        text.push_str(&format!(
            "; work is still to be done for {}",
            number(checked.due, "record")
        ));
    }
    text
}
