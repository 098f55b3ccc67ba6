//! Clients of DynamoDB and SQS: endpoints, credentials, time-outs, retries.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use lambda_http::http::Uri;

use super::config::{ConfigError, optional, required};
use crate::store::requests::RequestCounter;
use crate::store::{Client, Engine};

/// How often a request to the store is tried in all.
const ATTEMPTS: u32 = 5;
/// How often a request to the queue is tried in all. [`crate::queue::Queue::send`] retries on top of it.
const SEND_ATTEMPTS: u32 = 2;
/// The time-out of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The time-out of one try.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// The time-out of a request with all its tries: less than half of the shortest function's time-out.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

/// The environment variables for calling AWS.
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

/// Builds clients of DynamoDB and SQS with common settings.
///
/// Credentials are read once: those of a Lambda sandbox last as long as it does.
#[derive(Clone, Debug)]
pub struct Clients {
    region: Region,
    /// `None` leaves requests unsigned.
    credentials: Option<SharedCredentialsProvider>,
    endpoint: Option<String>,
    timeouts: TimeoutConfig,
    /// The HTTPS client, made on first use: it reads the host's certificates, which takes milliseconds
    /// of a cold start.
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

    /// Clients for a local server that uses these endpoints instead of its own engine and queue.
    /// Endpoints on this machine need no configuration ([`Self::local`]). If an endpoint is elsewhere or
    /// any of the variables is set, all must be set.
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

    /// Clients of services on this machine that take any credentials. They have no time-outs: nothing
    /// is lost on the way.
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

    /// Clients of an engine in this process. They do not sign: the engine checks no signature.
    fn in_process() -> Self {
        Self {
            credentials: None,
            ..Self::local()
        }
    }

    /// A DynamoDB client over the network.
    pub fn dynamodb(&self, endpoint: Option<String>) -> aws_sdk_dynamodb::Client {
        let mut config = self.dynamodb_config(self.https());
        config.set_endpoint_url(endpoint.or_else(|| self.endpoint.clone()));
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A DynamoDB client of an engine in this process.
    pub fn dynamodb_in_process(engine: impl Engine + Clone + 'static) -> Client {
        Client::in_process(Self::dynamodb_through(engine.clone()), engine)
    }

    /// A DynamoDB client over another transport in this process, with the whole of the SDK in between: what a
    /// test puts between the store and the engine.
    pub fn dynamodb_through(transport: impl HttpConnector + 'static) -> aws_sdk_dynamodb::Client {
        let config = Self::in_process().dynamodb_config(client_of(transport));
        let config = config.endpoint_url("http://in-process");
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    fn dynamodb_config(&self, http: SharedHttpClient) -> aws_sdk_dynamodb::config::Builder {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            // Answers are small and do not stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(self.timeouts.clone())
            .interceptor(RequestCounter)
            .http_client(http);
        match &self.credentials {
            Some(credentials) => config.set_credentials_provider(Some(credentials.clone())),
            None => config.set_allow_no_auth(),
        };
        config
    }

    /// An SQS client over the network.
    pub fn sqs(&self, endpoint: Option<String>) -> aws_sdk_sqs::Client {
        self.sqs_over(self.https(), endpoint)
    }

    /// An SQS client of a queue in this process.
    pub fn sqs_in_process(queue: impl HttpConnector + 'static) -> aws_sdk_sqs::Client {
        Self::in_process().sqs_over(client_of(queue), None)
    }

    fn sqs_over(&self, http: SharedHttpClient, endpoint: Option<String>) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(SEND_ATTEMPTS))
            // A receive waits for messages without any traffic; its time-out is enough.
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

    /// The HTTPS client. TLS is ring's: AWS-LC takes 23 ms of a cold start for its first random bytes.
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

/// The transport of a client whose requests a service in this process answers, without a socket.
fn client_of(service: impl HttpConnector + 'static) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(service);
    http_client_fn(move |_, _| connector.clone())
}
