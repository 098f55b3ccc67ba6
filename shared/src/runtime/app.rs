//! Everything that a handler needs: built once, then passed in.

use std::sync::Arc;

use super::clients::Clients;
use super::config::{Config, ConfigError, optional, role_names};
use super::log;
use super::metrics::Metrics;
use crate::auth::Authentication;
#[cfg(feature = "dev-identity")]
use crate::auth::dev_identity::DevTokens;
use crate::domain::error::ApiError;
use crate::domain::id::OperationId;
use crate::domain::policy::{Caller, Policy};
use crate::domain::time::{Clock, Timestamp};
use crate::http::Request;
use crate::queue::Queue;
use crate::store::Store;
use crate::store::access_keys::AccessKeys;
use crate::store::members::Stamp;

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
    authentication: Authentication,
    metrics: Metrics,
    clock: Clock,
}

impl App {
    /// Builds an app that publishes no metrics.
    pub fn new(
        config: Config,
        dynamodb: aws_sdk_dynamodb::Client,
        sqs: aws_sdk_sqs::Client,
        authentication: Authentication,
        clock: Clock,
    ) -> Self {
        Self::with_metrics(
            config,
            dynamodb,
            sqs,
            authentication,
            Metrics::default(),
            clock,
        )
    }

    /// Builds an app that publishes these metrics.
    pub fn with_metrics(
        config: Config,
        dynamodb: aws_sdk_dynamodb::Client,
        sqs: aws_sdk_sqs::Client,
        authentication: Authentication,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        let store = Store::new(dynamodb, config.table.clone(), config.indexes);
        let queue = Queue::new(sqs, config.queue_url.clone());
        Self {
            inner: Arc::new(Inner {
                config,
                store,
                queue,
                authentication,
                metrics,
                clock,
            }),
        }
    }

    /// Builds the app of a deployed function from the environment that Lambda sets.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        log::as_json()?;
        let config = Config::from_env()?;
        let metrics = Metrics::new(optional("METRICS_NAMESPACE"));
        let roles = role_names()?;
        #[cfg(feature = "dev-identity")]
        let dev_tokens = dev_tokens(&roles)?;
        let clients = Clients::from_env()?;
        let dynamodb = clients.dynamodb(optional("AWS_ENDPOINT_URL_DYNAMODB"));
        let sqs = clients.sqs(optional("AWS_ENDPOINT_URL_SQS"));
        let access_keys = optional("ACCESS_KEY_TABLE");
        let authentication = Authentication {
            access_keys: access_keys.map(|table| AccessKeys::new(dynamodb.clone(), table, roles)),
            #[cfg(feature = "dev-identity")]
            dev_tokens: Some(dev_tokens),
        };
        Ok(Self::with_metrics(
            config,
            dynamodb,
            sqs,
            authentication,
            metrics,
            Clock::System,
        ))
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

    /// The policy of this deployment.
    pub fn policy(&self) -> Policy {
        self.inner.config.policy
    }

    /// The metrics of this deployment.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Authenticates a request.
    ///
    /// # Errors
    /// 401 if the request is not authenticated; see [`Authentication::caller`].
    pub async fn caller(&self, request: &Request) -> Result<Caller, ApiError> {
        self.inner.authentication.caller(request, self.now()).await
    }

    /// The service's address as the sender of a request knows it, without a slash at its end.
    pub fn base_url(&self, request: &Request) -> String {
        self.inner.config.site.base_url(request)
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

    /// The stamp of a direct call accepted now.
    pub fn stamp(&self) -> Stamp {
        Stamp::direct(self.operation(), self.now())
    }
}

#[cfg(feature = "dev-identity")]
fn dev_tokens(roles: &crate::domain::roles::RoleNames) -> Result<DevTokens, ConfigError> {
    let file = super::config::required("IDENTITY_FILE")?;
    DevTokens::read(&file, roles).ok_or_else(|| {
        ConfigError::malformed("IDENTITY_FILE", "the path of an identity file with tokens")
    })
}
