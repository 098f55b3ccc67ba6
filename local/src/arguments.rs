//! The arguments of `imshare serve`, on the command line and in the environment.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use authorizer::config::Config;
use clap::{Args, ValueEnum};
use shared::domain::limits::ProjectLimits;
use shared::domain::time::Clock;
use shared::http::address::Endpoint;
use shared::http::cross_origin::Origins;
use shared::runtime::config::DEFAULT_MEMBER_QUOTA;

use crate::connection::Limits;
use crate::identity::IdentityFile;
use crate::options::{Data, MetricsFor, Options, SWEEP_EVERY};
use crate::queue::Settings;

/// The arguments of `imshare serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on: 127.0.0.1:9292, localhost:9292, or a port alone, which is
    /// this machine's.
    #[arg(long, env = "IMSHARE_LISTEN", default_value = "127.0.0.1:9292", value_parser = address)]
    listen: SocketAddr,

    /// Listen on an address that other machines can reach.
    #[arg(long, env = "IMSHARE_ALLOW_REMOTE")]
    allow_remote: bool,

    /// Let other machines reach the development identity service too: without --keystone-url one
    /// is served under /identity, and its passwords can be guessed without limit.
    #[arg(long, env = "IMSHARE_ALLOW_REMOTE_IDENTITY")]
    allow_remote_identity: bool,

    /// The URL that clients reach the server by, for links and the catalog; without it links
    /// repeat the Host header of each request.
    #[arg(long, env = "IMSHARE_PUBLIC_ENDPOINT", value_name = "URL")]
    public_endpoint: Option<Endpoint>,

    /// Origins whose web pages may read answers, with commas between them, each a scheme and a host
    /// such as `https://console.example.com`; none by default.
    #[arg(
        long,
        env = "IMSHARE_CORS_ORIGINS",
        value_name = "ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    cors_origins: Origins,

    /// Most connections at once; more wait until one ends.
    #[arg(long, env = "IMSHARE_MAX_CONNECTIONS", default_value_t = default_connections())]
    max_connections: NonZeroUsize,

    /// Directory of the records and the queue; created for this user alone if it is not there.
    #[arg(long, env = "IMSHARE_DATA_DIR", default_value = "./imshare-data")]
    data_dir: PathBuf,

    /// Keep everything in memory: it is gone when the server stops.
    #[arg(long, env = "IMSHARE_IN_MEMORY", conflicts_with = "data_dir")]
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

    /// Most jobs of one project that have not ended; negative means no limit.
    #[arg(long, env = "IMSHARE_JOB_QUOTA", default_value_t = ProjectLimits::default().jobs, allow_hyphen_values = true)]
    job_quota: i64,

    /// Most entries of such jobs of one project, whether they are done or not; negative means no limit.
    #[arg(long, env = "IMSHARE_ENTRY_QUOTA", default_value_t = ProjectLimits::default().entries, allow_hyphen_values = true)]
    entry_quota: i64,

    /// Most images of one project; negative means no limit.
    #[arg(long, env = "IMSHARE_IMAGE_QUOTA", default_value_t = ProjectLimits::default().images, allow_hyphen_values = true)]
    image_quota: i64,

    /// Let a member end its own membership.
    #[arg(long, env = "IMSHARE_MEMBER_MAY_LEAVE")]
    member_may_leave: bool,

    /// Share images only with projects that exist: those of the Keystone, or of the identity file.
    #[arg(long, env = "IMSHARE_CHECK_PROJECTS")]
    check_projects: bool,

    /// A DynamoDB (or compatible) to use instead of the embedded engine.
    #[arg(long, env = "IMSHARE_DYNAMODB_ENDPOINT", value_name = "URL")]
    dynamodb_endpoint: Option<String>,

    /// The table's name; created if it is not there.
    #[arg(long, env = "IMSHARE_TABLE", default_value = "imshare")]
    table: String,

    /// The table of access keys in that DynamoDB; created if it is not there. Without it the identity
    /// file's are the only ones.
    #[arg(
        long,
        env = "IMSHARE_ACCESS_KEY_TABLE",
        value_name = "NAME",
        requires = "dynamodb_endpoint"
    )]
    access_key_table: Option<String>,

    /// An SQS queue (or compatible) to use instead of the embedded one.
    #[arg(long, env = "IMSHARE_QUEUE_URL", value_name = "URL")]
    queue_url: Option<String>,

    /// Who may read /metrics: programs on this machine too, admins alone, or nobody. Behind a proxy
    /// everything seems to come from this machine, so with --public-endpoint the default is admin.
    #[arg(long, env = "IMSHARE_METRICS", value_name = "WHO", value_enum)]
    metrics: Option<MetricsFor>,

    /// Let other processes of this machine use the embedded DynamoDB engine at this address.
    #[arg(long, env = "IMSHARE_DYNAMODB_LISTEN", value_name = "ADDRESS", value_parser = address, conflicts_with = "dynamodb_endpoint")]
    dynamodb_listen: Option<SocketAddr>,

    /// Let other processes of this machine use the embedded SQS queues at this address.
    #[arg(long, env = "IMSHARE_SQS_LISTEN", value_name = "ADDRESS", value_parser = address, conflicts_with = "queue_url")]
    sqs_listen: Option<SocketAddr>,

    /// Create the images, the membership and the job that the requests in events/ are about.
    #[arg(long, env = "IMSHARE_SEED_FIXTURES")]
    seed_fixtures: bool,

    /// What to log, to standard error: error, warn, info, debug, or a filter. By default warnings, and one
    /// line for each change.
    #[arg(long, env = "IMSHARE_LOG", default_value = "warn,change=info")]
    pub log: String,

    /// The form of the log: text to read, or JSON, one object for each line, to query.
    #[arg(
        long,
        env = "IMSHARE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text, to read.
    Text,
    /// JSON, one object for each line, with the same fields as the log of a deployed function.
    Json,
}

fn default_connections() -> NonZeroUsize {
    NonZeroUsize::new(Limits::default().connections).unwrap_or(NonZeroUsize::MIN)
}

/// Parses an address with a port, or the port alone, which is this machine's.
fn address(text: &str) -> Result<SocketAddr, String> {
    let full = match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.to_owned(),
    };
    let form = "expected an address and a port, such as 127.0.0.1:9292, localhost:9292 or 9292";
    let found = full.to_socket_addrs().map_err(|_| form.to_owned())?;
    // If a name has several addresses, IPv4 is what most clients try.
    found
        .min_by_key(SocketAddr::is_ipv6)
        .ok_or_else(|| form.to_owned())
}

impl Serve {
    /// Whether the demo identities are used.
    pub fn has_demo_identities(&self) -> bool {
        self.identity.is_none() && self.keystone_url.is_none()
    }

    /// Whether the development identity service runs.
    pub fn has_identity_service(&self) -> bool {
        self.keystone_url.is_none()
    }

    /// Reads the files that the options name, and returns the server's options.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn options(self) -> Result<Options, String> {
        self.check_addresses()?;
        let keystone = self.keystone_url.as_deref().map(Config::of_keystone);
        let keystone = keystone.transpose().map_err(|error| error.to_string())?;
        let identity = match (&self.identity, &keystone) {
            (Some(path), _) => IdentityFile::read(path)?,
            (None, None) => IdentityFile::demo()?,
            (None, Some(_)) => IdentityFile::default(),
        };
        let metrics = self.metrics.unwrap_or(match self.public_endpoint {
            Some(_) => MetricsFor::Admin,
            None => MetricsFor::Loopback,
        });
        Ok(Options {
            listen: self.listen,
            data: match self.in_memory {
                true => Data::InMemory,
                false => Data::Directory(self.data_dir),
            },
            identity,
            remote_identity: self.allow_remote_identity,
            keystone,
            member_quota: self.member_quota,
            project_limits: ProjectLimits {
                jobs: self.job_quota,
                entries: self.entry_quota,
                images: self.image_quota,
            },
            member_may_leave: self.member_may_leave,
            check_projects: self.check_projects,
            dynamodb_endpoint: self.dynamodb_endpoint,
            table: self.table,
            access_key_table: self.access_key_table,
            queue_url: self.queue_url,
            queue: Settings::default(),
            public_endpoint: self.public_endpoint,
            cors_origins: self.cors_origins,
            limits: Limits {
                connections: self.max_connections.get(),
                ..Limits::default()
            },
            metrics,
            dynamodb_listen: self.dynamodb_listen,
            sqs_listen: self.sqs_listen,
            seed_fixtures: self.seed_fixtures,
            roles: shared::runtime::config::role_names().map_err(|error| error.to_string())?,
            clock: Clock::System,
            sweep_every: Some(SWEEP_EVERY),
        })
    }

    /// Refuses addresses that other machines can reach, unless an option allows them.
    fn check_addresses(&self) -> Result<(), String> {
        for (option, address) in [
            ("--dynamodb-listen", self.dynamodb_listen),
            ("--sqs-listen", self.sqs_listen),
        ] {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
                return Err(format!(
                    "{option} {address} can be reached from other machines, and nothing there \
                     asks who calls: use an address such as 127.0.0.1:{}",
                    address.port()
                ));
            }
        }
        let is_remote = !self.listen.ip().is_loopback();
        if is_remote && !self.allow_remote {
            return Err(format!(
                "{} can be reached from other machines: say --allow-remote if that is meant",
                self.listen
            ));
        }
        let reached = match &self.public_endpoint {
            Some(endpoint) => endpoint.as_str().to_owned(),
            None if is_remote => self.listen.to_string(),
            None => return Ok(()),
        };
        if !self.allow_remote_identity && self.has_identity_service() {
            return Err(format!(
                "the identity service under /identity is for development and would be reached \
                 from other machines at {reached}: use --keystone-url, or say \
                 --allow-remote-identity too if that is meant"
            ));
        }
        Ok(())
    }
}
