//! What a server is started with, however it was asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use shared::domain::limits::ProjectLimits;
use shared::domain::roles::RoleNames;
use shared::domain::time::Clock;
use shared::http::address::Endpoint;
use shared::http::cross_origin::Origins;
use shared::runtime::config::DEFAULT_MEMBER_QUOTA;

use crate::connection::Limits;
use crate::identity::IdentityFile;
use crate::queue::Settings;

/// How often the sweep does what is overdue.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Where records are kept.
#[derive(Clone, Debug)]
pub enum Data {
    /// In memory: gone when the process ends.
    InMemory,
    /// In files of this directory.
    Directory(PathBuf),
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricsFor {
    /// Programs on this machine, and admins with a token.
    Loopback,
    /// Admins with a token.
    Admin,
    /// Nobody: none are collected.
    Nobody,
}

/// The options of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where records are kept.
    pub data: Data,
    /// Users, projects and tokens.
    pub identity: IdentityFile,
    /// Whether other machines may use these identities. A request that names another host than this machine may
    /// come from one, by way of a browser here.
    pub remote_identity: bool,
    /// A Keystone to ask about tokens, instead of the identity file.
    pub keystone: Option<authorizer::config::Config>,
    /// The names of roles, in the identity file or in Keystone.
    pub roles: RoleNames,
    /// Most members of an image; negative means no limit.
    pub member_quota: i64,
    /// What one project may have at once.
    pub project_limits: ProjectLimits,
    /// Whether a member may end its own membership.
    pub member_may_leave: bool,
    /// Whether images are shared only with projects that exist.
    pub check_projects: bool,
    /// A DynamoDB to use instead of the embedded engine.
    pub dynamodb_endpoint: Option<String>,
    /// The table's name.
    pub table: String,
    /// The table of access keys in that DynamoDB.
    pub access_key_table: Option<String>,
    /// A queue to use instead of the embedded one.
    pub queue_url: Option<String>,
    /// The settings of the embedded queue.
    pub queue: Settings,
    /// The URL that clients reach the server by; without it, links repeat the `Host` header.
    pub public_endpoint: Option<Endpoint>,
    /// The origins whose pages may read responses.
    pub cors_origins: Origins,
    /// What clients may use up.
    pub limits: Limits,
    /// Who may read the metrics.
    pub metrics: MetricsFor,
    /// Where the embedded engine is served to other processes of this machine.
    pub dynamodb_listen: Option<SocketAddr>,
    /// Where the embedded queue is served to other processes of this machine.
    pub sqs_listen: Option<SocketAddr>,
    /// Whether to create the records that `events/` needs.
    pub seed_fixtures: bool,
    /// The clock.
    pub clock: Clock,
    /// How often the sweep runs; `None` for never.
    pub sweep_every: Option<Duration>,
}

impl Options {
    /// A server in memory, on any free port, with the demo identities.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_memory() -> Result<Self, String> {
        Ok(Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: Data::InMemory,
            identity: IdentityFile::demo()?,
            remote_identity: false,
            keystone: None,
            roles: RoleNames::default(),
            member_quota: DEFAULT_MEMBER_QUOTA,
            project_limits: ProjectLimits::default(),
            member_may_leave: false,
            check_projects: false,
            dynamodb_endpoint: None,
            table: "imshare".to_owned(),
            access_key_table: None,
            queue_url: None,
            queue: Settings::default(),
            public_endpoint: None,
            cors_origins: Origins::default(),
            limits: Limits::default(),
            metrics: MetricsFor::Loopback,
            dynamodb_listen: None,
            sqs_listen: None,
            seed_fixtures: false,
            clock: Clock::System,
            sweep_every: Some(SWEEP_EVERY),
        })
    }
}
