//! `imshare`: the whole service on one machine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use authorizer::config::Config;
use clap::{Args, Parser, Subcommand};
use local::identity::Identity;
use local::queue::Settings;
use local::server::{Data, Options, SWEEP_EVERY, Server};
use shared::app::DEFAULT_MEMBER_QUOTA;
use shared::roles::RoleNames;
use shared::time::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Image sharing between the projects of a cloud.
#[derive(Debug, Parser)]
#[command(name = "imshare", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the whole service in this process.
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Serve {
    /// Address and port to listen on.
    #[arg(long, env = "IMSHARE_LISTEN", default_value = "127.0.0.1:9292")]
    listen: SocketAddr,

    /// Listen on an address that other machines can reach.
    #[arg(long, env = "IMSHARE_ALLOW_REMOTE")]
    allow_remote: bool,

    /// Let other machines reach the development identity service too: without --keystone-url one
    /// is served under /identity, whose passwords stand in a file for anybody to guess at.
    #[arg(long, env = "IMSHARE_ALLOW_REMOTE_IDENTITY")]
    allow_remote_identity: bool,

    /// Directory of the records and the queue; created if it is not there.
    #[arg(long, env = "IMSHARE_DATA_DIR", default_value = "./imshare-data")]
    data_dir: PathBuf,

    /// Keep everything in memory: it is gone when the server stops.
    #[arg(long, env = "IMSHARE_IN_MEMORY")]
    in_memory: bool,

    /// TOML file of projects, users, tokens and access keys, for development; without it there
    /// are three demo projects and an admin.
    #[arg(
        long,
        env = "IMSHARE_IDENTITY",
        value_name = "FILE",
        conflicts_with = "keystone_url"
    )]
    identity: Option<PathBuf>,

    /// Keystone to ask about tokens, instead of the identity file; as the user that the variables
    /// KEYSTONE_USERNAME, KEYSTONE_PASSWORD, KEYSTONE_PROJECT and so on name.
    #[arg(long, env = "IMSHARE_KEYSTONE_URL", value_name = "URL")]
    keystone_url: Option<String>,

    /// Most members of one image; negative means no limit.
    #[arg(long, env = "IMSHARE_MEMBER_QUOTA", default_value_t = DEFAULT_MEMBER_QUOTA, allow_hyphen_values = true)]
    member_quota: i64,

    /// Let a member end its own membership.
    #[arg(long, env = "IMSHARE_MEMBER_MAY_LEAVE")]
    member_may_leave: bool,

    /// A DynamoDB (or compatible) to use instead of the embedded engine. AWS_REGION,
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set, unless it is on this machine and
    /// none of them is: then it is called as the user "local" of us-east-1.
    #[arg(long, env = "IMSHARE_DYNAMODB_ENDPOINT", value_name = "URL")]
    dynamodb_endpoint: Option<String>,

    /// The table's name; created if it is not there.
    #[arg(long, env = "IMSHARE_TABLE", default_value = "imshare")]
    table: String,

    /// An SQS queue (or compatible) to use instead of the embedded one, with the same variables.
    #[arg(long, env = "IMSHARE_QUEUE_URL", value_name = "URL")]
    queue_url: Option<String>,

    /// What to log, to standard error: error, warn, info, debug, or a filter.
    #[arg(long, env = "IMSHARE_LOG", default_value = "warn")]
    log: String,
}

impl Serve {
    fn options(self) -> Result<Options, String> {
        if !self.listen.ip().is_loopback() && !self.allow_remote {
            return Err(format!(
                "{} can be reached from other machines: say --allow-remote if that is meant",
                self.listen
            ));
        }
        if !self.listen.ip().is_loopback()
            && !self.allow_remote_identity
            && self.keystone_url.is_none()
        {
            return Err(format!(
                "the identity service under /identity is for development and would be reached \
                 from other machines at {}: use --keystone-url, or say --allow-remote-identity \
                 too if that is meant",
                self.listen
            ));
        }
        let keystone = self.keystone_url.as_deref().map(Config::of_keystone);
        let keystone = keystone.transpose().map_err(|error| error.to_string())?;
        let identity = match (&self.identity, &keystone) {
            (Some(path), _) => Identity::read(path)?,
            (None, None) => Identity::demo()?,
            (None, Some(_)) => Identity::default(),
        };
        Ok(Options {
            listen: self.listen,
            data: if self.in_memory {
                Data::InMemory
            } else {
                Data::Directory(self.data_dir)
            },
            identity,
            keystone,
            roles: RoleNames::from_env().map_err(|error| error.to_string())?,
            member_quota: self.member_quota,
            member_may_leave: self.member_may_leave,
            dynamodb_endpoint: self.dynamodb_endpoint,
            table: self.table,
            queue_url: self.queue_url,
            queue: Settings::default(),
            clock: Clock::System,
            sweep_every: Some(SWEEP_EVERY),
        })
    }
}

fn main() -> ExitCode {
    let Command::Serve(serve) = Cli::parse().command;
    match run(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(std::io::stderr(), "imshare: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run(serve: Serve) -> Result<(), String> {
    let filter = shared::app::log_filter(&serve.log)
        .map_err(|error| format!("--log {}: {error}", serve.log))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let demo = serve.identity.is_none() && serve.keystone_url.is_none();
    let development = serve.keystone_url.is_none();
    let options = serve.options()?;
    let identity = options.identity.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let server = Server::start(options).await?;
        if development {
            tracing::warn!(
                "the identity service under /identity is for development only: its passwords \
                 stand in a file, and nothing slows down who guesses them"
            );
        }
        // Who is told that it is ready may stop it at once.
        let mut stop = Stop::listen().map_err(|error| format!("cannot start: {error}"))?;
        say(&server, development, demo.then_some(&identity));
        stop.asked().await;
        server.stop().await;
        Ok(())
    })
}

/// Tells where the server listens and, with the demo identities, how to try it.
fn say(server: &Server, development: bool, demo: Option<&Identity>) {
    let mut out = std::io::stdout().lock();
    let url = server.url();
    let mut help = String::new();
    if development {
        help.push_str(&format!(
            "\nFor development only: passwords get tokens at {url}/identity/v3\n"
        ));
    }
    if let Some(identity) = demo {
        help.push_str("\nDemo tokens, for trying it out on this machine only:\n\n");
        for token in &identity.token {
            let project = identity
                .project
                .iter()
                .find(|project| project.id == token.project);
            help.push_str(&format!(
                "  {:8} {}  project {}\n",
                project.map_or("", |project| &project.name),
                token.id.reveal(),
                token.project
            ));
        }
        help.push_str("\nDemo access keys, for signed requests:\n\n");
        for key in &identity.access_key {
            let (access, secret) = (&key.access, key.secret.reveal());
            help.push_str(&format!("  {access} {secret}  project {}\n", key.project));
        }
        help.push_str(&format!(
            r#"
Try:

  curl -s -H 'X-Auth-Token: owner-token-0123456789abcdef' -d '{{"name": "debian"}}' {url}/v2/images
  curl -s -H 'X-Auth-Token: owner-token-0123456789abcdef' {url}/v2/images
  curl -s -H 'X-Auth-Token: owner-token-0123456789abcdef' \
       -d '{{"member": "edc89b490d7d4392898e19b2deb34797"}}' {url}/v2/images/IMAGE_ID/members

  openstack --os-auth-url {url}/identity/v3 --os-username owner --os-password secret \
            --os-project-name owner --os-user-domain-name Default --os-project-domain-name Default image list
"#
        ));
    }
    let _ = writeln!(out, "listening on {url}\n{help}");
    let _ = out.flush();
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// From now on neither ends the process.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
