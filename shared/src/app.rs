//! Configuration, clients and clock: made once, passed in.

use std::env::VarError;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use lambda_http::http::Uri;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::http::address::Endpoint;
use crate::http::cross_origin::Origins;
use crate::id::OperationId;
use crate::meter::{self, Probe};
use crate::queue::Queue;
use crate::roles::RoleNames;
use crate::store::access_keys::AccessKeys;
use crate::store::{Indexes, Store};
use crate::time::{Clock, Timestamp};

/// Members that an image may have unless configured otherwise, as in Glance.
pub const DEFAULT_MEMBER_QUOTA: i64 = 128;
/// How often a request to the store or the queue is tried in all.
const ATTEMPTS: u32 = 5;
/// How often a request to the queue is tried; what is not sent is sent again by [`Queue::send`].
const SEND_ATTEMPTS: u32 = 2;
/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one try may take; a slower one is tried again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a request may take with all its tries; less than half of what the shortest function has.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

/// What a deployment decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table: String,
    /// The URL of the batches' queue.
    pub queue_url: String,
    /// Most members of one image; negative means no limit.
    pub member_quota: i64,
    /// Whether a member may end its own membership.
    pub member_may_leave: bool,
    /// Whether the table's indexes show a write at once.
    pub indexes: Indexes,
    /// The identity service's address, for `WWW-Authenticate`.
    pub auth_uri: Option<String>,
    /// The service's own address, if callers use another one than they send in `Host`.
    pub public_endpoint: Option<Endpoint>,
    /// The origins whose pages may read answers.
    pub cors_origins: Origins,
    /// The address that the local server listens on, for links in answers to requests that name
    /// no host.
    pub listen: Option<SocketAddr>,
}

/// A table and a queue without names, and what a deployment that decides nothing has.
impl Default for Config {
    fn default() -> Self {
        Self {
            table: String::new(),
            queue_url: String::new(),
            member_quota: DEFAULT_MEMBER_QUOTA,
            member_may_leave: false,
            indexes: Indexes::Eventual,
            auth_uri: None,
            public_endpoint: None,
            cors_origins: Origins::default(),
            listen: None,
        }
    }
}

/// Why the configuration is not usable: the variable's name and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// A variable that must be set is not.
    pub fn missing(name: &str) -> Self {
        Self(format!("the environment variable {name} is not set"))
    }

    /// A variable has another form than it must have. Its value may be a secret and is not shown.
    pub fn malformed(name: &str, form: &str) -> Self {
        Self(format!("the environment variable {name} must be {form}"))
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A variable that must be set.
///
/// # Errors
/// If it is not, or is empty.
pub fn required(name: &str) -> Result<String, ConfigError> {
    optional(name).ok_or_else(|| ConfigError::missing(name))
}

/// A variable that may be set; an empty one is not.
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable that may be set to a list. Unlike [`optional`] it tells a list of nothing from a
/// variable that is not set.
///
/// # Errors
/// If it is not UTF-8.
pub fn list(name: &str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        Ok(list) => Ok(Some(list)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ConfigError::malformed(name, "UTF-8")),
    }
}

/// A variable that may be set, read as a value of this type.
///
/// # Errors
/// If it is set and has another form.
pub fn parsed<T: std::str::FromStr>(name: &str, default: T, form: &str) -> Result<T, ConfigError> {
    match optional(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| ConfigError::malformed(name, form)),
    }
}

/// What these say below `info` is whole requests with their headers and bodies, where secrets are.
const LOG_CAPS: &str = "hyper=info,hyper_util=info,lambda_runtime=info,lambda_http=info,\
    aws_smithy_runtime=info,aws_runtime=info,aws_sigv4=info";

/// What is logged at a level such as `debug` or `warn,shared=trace`; never what may hold secrets.
///
/// # Errors
/// If a part is neither a level nor `target=level`: a bare word would be taken as a target.
pub fn log_filter(level: &str) -> Result<EnvFilter, String> {
    let bare = level.split(',').map(str::trim).find(|part| {
        let is_level = part.parse::<LevelFilter>().is_ok();
        !is_level && !part.contains('=') && !part.contains('[')
    });
    if let Some(word) = bare {
        return Err(format!(
            "{word:?} is not a level: use error, warn, info, debug, trace or off, or a filter such \
             as warn,shared=debug"
        ));
    }
    EnvFilter::try_new(format!("{level},{LOG_CAPS}")).map_err(|error| error.to_string())
}

/// Sends what a deployed function logs to standard output, one JSON object a line.
///
/// # Errors
/// If `LOG_LEVEL` is set and has another form.
pub fn log_as_json() -> Result<(), ConfigError> {
    let level = optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
    let filter = log_filter(&level)
        .map_err(|_| ConfigError::malformed("LOG_LEVEL", "a level, such as info or debug"))?;
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .without_time()
        .init();
    Ok(())
}

impl Config {
    /// Reads the environment; nothing else does.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            table: required("TABLE_NAME")?,
            queue_url: required("QUEUE_URL")?,
            member_quota: parsed("MEMBER_QUOTA", DEFAULT_MEMBER_QUOTA, "a whole number")?,
            member_may_leave: parsed("MEMBER_MAY_LEAVE", false, "true or false")?,
            indexes: Indexes::Eventual,
            auth_uri: optional("AUTH_URI"),
            public_endpoint: optional("PUBLIC_ENDPOINT")
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| ConfigError::malformed("PUBLIC_ENDPOINT", Endpoint::FORM))?,
            cors_origins: parsed("CORS_ORIGINS", Origins::default(), Origins::FORM)?,
            listen: None,
        })
    }
}

/// Everything that a handler needs; cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    store: Store,
    queue: Queue,
    access_keys: Option<AccessKeys>,
    clock: Clock,
}

impl App {
    /// Puts an app together from its parts. Without access keys it takes no signed requests.
    pub fn new(
        config: Config,
        dynamodb: aws_sdk_dynamodb::Client,
        sqs: aws_sdk_sqs::Client,
        access_keys: Option<AccessKeys>,
        clock: Clock,
    ) -> Self {
        let store = Store::new(dynamodb, config.table.clone(), config.indexes);
        let queue = Queue::new(sqs, config.queue_url.clone());
        Self {
            inner: Arc::new(Inner {
                config,
                store,
                queue,
                access_keys,
                clock,
            }),
        }
    }

    /// The app of a deployed function: configuration, region and credentials come from the
    /// environment, as Lambda sets it.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        log_as_json()?;
        let config = Config::from_env()?;
        if let Some(namespace) = optional("METRICS_NAMESPACE") {
            meter::publish_under(namespace);
        }
        let roles = RoleNames::from_env()?;
        #[cfg(feature = "dev-identity")]
        if !crate::dev_identity::read(&required("IDENTITY_FILE")?, &roles) {
            return Err(ConfigError::malformed(
                "IDENTITY_FILE",
                "the path of an identity file with tokens",
            ));
        }
        let clients = Clients::from_env()?;
        let dynamodb = clients.dynamodb(optional("AWS_ENDPOINT_URL_DYNAMODB"));
        let sqs = clients.sqs(optional("AWS_ENDPOINT_URL_SQS"));
        let access_keys = optional("ACCESS_KEY_TABLE");
        let access_keys = access_keys.map(|table| AccessKeys::new(dynamodb.clone(), table, roles));
        Ok(Self::new(config, dynamodb, sqs, access_keys, Clock::System))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The table.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The batches' queue.
    pub fn queue(&self) -> &Queue {
        &self.inner.queue
    }

    /// The table of access keys, if signed requests are taken.
    pub fn access_keys(&self) -> Option<&AccessKeys> {
        self.inner.access_keys.as_ref()
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// An operation id for a request accepted now.
    pub fn operation(&self) -> OperationId {
        match &self.inner.clock {
            Clock::System => OperationId::now(),
            manual @ Clock::Manual(_) => OperationId::at(manual.now().micros()),
        }
    }
}

/// The variables that say where and as whom AWS is called.
const AWS_VARIABLES: [&str; 5] = [
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

fn is_on_this_machine(endpoint: &str) -> bool {
    let uri: Option<Uri> = endpoint.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = address.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// What the clients of the store and the queue have in common.
///
/// Credentials are read once: those of a Lambda sandbox last as long as it does.
#[derive(Clone, Debug)]
pub struct Clients {
    region: Region,
    /// Requests are not signed if there are none.
    credentials: Option<SharedCredentialsProvider>,
    endpoint: Option<String>,
    timeouts: TimeoutConfig,
    /// The way over the network, made when one first goes it: the certificates of the host are
    /// read for it, which takes milliseconds of a cold start.
    https: Arc<OnceLock<SharedHttpClient>>,
}

impl Clients {
    /// Reads region, credentials and an optional common endpoint from the usual variables.
    ///
    /// # Errors
    /// If a variable is missing, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        let region = optional("AWS_REGION").or_else(|| optional("AWS_DEFAULT_REGION"));
        let region = match region {
            Some(region) => region,
            None => required("AWS_REGION")?,
        };
        Ok(Self {
            region: Region::new(region),
            credentials: Some(SharedCredentialsProvider::new(Credentials::new(
                required("AWS_ACCESS_KEY_ID")?,
                required("AWS_SECRET_ACCESS_KEY")?,
                optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ))),
            endpoint: optional("AWS_ENDPOINT_URL"),
            timeouts: TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
            https: Arc::default(),
        })
    }

    /// Clients for a server with these endpoints instead of its own engine and queue. Nothing needs
    /// to be configured for endpoints on this machine: they are called as [`Self::local`]. As soon
    /// as one of the variables is set, or an endpoint is elsewhere, all must be.
    ///
    /// # Errors
    /// If a variable is missing, by its name.
    pub fn for_endpoints<'a>(
        endpoints: impl IntoIterator<Item = &'a String>,
    ) -> Result<Self, ConfigError> {
        let endpoints: Vec<&String> = endpoints.into_iter().collect();
        let unset = AWS_VARIABLES.iter().all(|name| optional(name).is_none());
        let local = unset && endpoints.iter().all(|each| is_on_this_machine(each));
        match endpoints.is_empty() || local {
            true => Ok(Self::local()),
            false => Self::from_env(),
        }
    }

    /// Clients of what runs on this machine and lets everybody in. Nothing is lost on the way to
    /// it, so a slow answer is waited for.
    pub fn local() -> Self {
        let anybody = Credentials::new("local", "local", None, None, "local");
        Self {
            region: Region::new("us-east-1"),
            credentials: Some(SharedCredentialsProvider::new(anybody)),
            endpoint: None,
            timeouts: TimeoutConfig::disabled(),
            https: Arc::default(),
        }
    }

    /// Clients of an engine in this process, which looks at no signature: they make none.
    pub fn in_process() -> Self {
        Self {
            credentials: None,
            ..Self::local()
        }
    }

    /// A DynamoDB client over the network.
    pub fn dynamodb(&self, endpoint: Option<String>) -> aws_sdk_dynamodb::Client {
        self.dynamodb_over(self.https(), endpoint)
    }

    /// A DynamoDB client over any transport.
    pub fn dynamodb_over(
        &self,
        http: impl aws_smithy_runtime_api::client::http::HttpClient + 'static,
        endpoint: Option<String>,
    ) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            // Answers are small and come whole.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(self.timeouts.clone())
            .interceptor(Probe)
            .http_client(http);
        match &self.credentials {
            Some(credentials) => config.set_credentials_provider(Some(credentials.clone())),
            None => config.set_allow_no_auth(),
        };
        config.set_endpoint_url(endpoint.or_else(|| self.endpoint.clone()));
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// An SQS client over the network.
    pub fn sqs(&self, endpoint: Option<String>) -> aws_sdk_sqs::Client {
        self.sqs_over(self.https(), endpoint)
    }

    /// An SQS client over any transport.
    pub fn sqs_over(
        &self,
        http: impl aws_smithy_runtime_api::client::http::HttpClient + 'static,
        endpoint: Option<String>,
    ) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(SEND_ATTEMPTS))
            // A receive waits in silence for messages; its timeout is bound enough.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(self.timeouts.clone())
            .http_client(http);
        match &self.credentials {
            Some(credentials) => config.set_credentials_provider(Some(credentials.clone())),
            None => config.set_allow_no_auth(),
        };
        config.set_endpoint_url(endpoint.or_else(|| self.endpoint.clone()));
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// TLS by ring: AWS-LC's first random bytes cost 23 ms of a cold start.
    fn https(&self) -> SharedHttpClient {
        let make = || {
            aws_smithy_http_client::Builder::new()
                .tls_provider(tls::Provider::Rustls(
                    tls::rustls_provider::CryptoMode::Ring,
                ))
                .build_https()
        };
        self.https.get_or_init(make).clone()
    }
}
