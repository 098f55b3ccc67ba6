//! `imshare access-key`: its arguments, and its output.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use cli::error::Outcome;
use cli::login::settings::Variables;
use cli::output::terminal::Terminal;
use cli::output::{self, OutputOptions, Table};
use local::key_command::{Keys, NewKey, NewSecret};
use local::operator::{Stopped, StoreOptions, block_on};
use serde_json::{Value, json};

use crate::operator::{By, failure};

/// `imshare access-key`.
#[derive(Debug, Subcommand)]
pub enum AccessKeyCommand {
    /// Create a key for a user of a project, and show its secret this once.
    Create {
        /// The project's id.
        #[arg(long, value_name = "ID")]
        project: String,
        /// The user's id.
        #[arg(long, value_name = "ID")]
        user: String,
        /// A role of the key; can be repeated.
        #[arg(long = "role", value_name = "NAME", default_value = "member")]
        roles: Vec<String>,
        /// Who does it.
        #[command(flatten)]
        by: By,
        /// What every command about keys takes.
        #[command(flatten)]
        common: Common,
    },
    /// List the keys, without their secrets.
    List {
        /// Those of this project only.
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// Those of this user only.
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// What every command about keys takes.
        #[command(flatten)]
        common: Common,
    },
    /// Create a second key like another one, to take its place.
    Rotate {
        /// The id of the old key, which works until it is disabled.
        #[arg(value_name = "ACCESS")]
        access: String,
        /// Who does it.
        #[command(flatten)]
        by: By,
        /// What every command about keys takes.
        #[command(flatten)]
        common: Common,
    },
    /// Disable a key for good.
    Disable {
        /// Its id.
        #[arg(value_name = "ACCESS")]
        access: String,
        /// Who does it.
        #[command(flatten)]
        by: By,
        /// What every command about keys takes.
        #[command(flatten)]
        common: Common,
    },
    /// Delete the record of a disabled key.
    Delete {
        /// Its id.
        #[arg(value_name = "ACCESS")]
        access: String,
        /// What every command about keys takes.
        #[command(flatten)]
        common: Common,
    },
}

/// What every command about keys takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The store.
    #[command(flatten)]
    store: StoreOptions,
    /// The table of access keys in DynamoDB: the output AccessKeyTableName of the stack.
    #[arg(
        long,
        env = "IMSHARE_ACCESS_KEY_TABLE",
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
}

impl Common {
    /// Opens the store for somebody who is recorded with what is changed.
    async fn keys(&self, by: By) -> Result<Keys, Stopped> {
        Keys::open(&self.store, self.table.clone(), by.by).await
    }

    fn terminal(&self) -> Terminal {
        Terminal::of_process(&Variables::of_process(), self.quiet)
    }

    fn note(&self, text: &str) {
        self.terminal().note(text);
    }
}

/// Runs a command about access keys.
///
/// # Errors
/// A sentence for the operator, with an exit code.
pub fn run(command: AccessKeyCommand) -> Outcome<ExitCode> {
    match command {
        AccessKeyCommand::Create {
            project,
            user,
            roles,
            by,
            common,
        } => {
            let new = NewKey {
                user,
                project,
                roles,
            };
            let created = block_on(async { common.keys(by).await?.create(new).await });
            show(&common, created.map_err(failure)?)?;
        }
        AccessKeyCommand::Rotate { access, by, common } => {
            let created = block_on(async { common.keys(by).await?.rotate(&access).await });
            show(&common, created.map_err(failure)?)?;
        }
        AccessKeyCommand::List {
            project,
            user,
            common,
        } => list(&common, project.as_deref(), user.as_deref())?,
        AccessKeyCommand::Disable { access, by, common } => {
            let done = block_on(async { common.keys(by).await?.disable(&access).await });
            common.note(&done.map_err(failure)?);
        }
        AccessKeyCommand::Delete { access, common } => {
            let done = block_on(async { common.keys(By::nobody()).await?.delete(&access).await });
            common.note(&done.map_err(failure)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(common: &Common, created: NewSecret) -> Outcome<()> {
    let NewSecret { key, secret, notes } = created;
    let lost = format!("the key {} was created, and its secret is lost", key.access);
    let fields = vec![
        ("Access Key", json!(key.access)),
        ("Secret", json!(secret.reveal())),
        ("Project", json!(key.project.as_str())),
        ("User", json!(key.user)),
        ("Roles", json!(key.roles)),
        ("Created At", seconds(key.created_at)),
        ("Created By", json!(key.created_by)),
    ];
    output::record(&common.terminal(), &common.output, fields)
        .map_err(|failure| failure.and(lost))?;
    for note in notes {
        common.note(&note);
    }
    Ok(())
}

fn list(common: &Common, project: Option<&str>, user: Option<&str>) -> Outcome<()> {
    let keys = block_on(async { common.keys(By::nobody()).await?.list(project, user).await });
    let mut table = Table::new(&[
        "Access Key",
        "Project",
        "User",
        "Roles",
        "State",
        "Last Used",
        "Created At",
        "Created By",
        "Disabled By",
    ]);
    for key in keys.map_err(failure)? {
        table.push([
            json!(key.access),
            json!(key.project.as_str()),
            json!(key.user),
            json!(key.roles),
            json!(if key.disabled { "disabled" } else { "enabled" }),
            json!(key.last_used),
            seconds(key.created_at),
            json!(key.created_by),
            json!(key.disabled_by),
        ]);
    }
    if table.is_empty() {
        common.note("There is no access key.");
    }
    output::list(&common.terminal(), &common.output, table)
}

/// A stored time as other commands show times: to the second.
fn seconds(stored: Option<String>) -> Value {
    let whole = |text: String| match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    };
    stored.map_or(Value::Null, |text| whole(text).into())
}
