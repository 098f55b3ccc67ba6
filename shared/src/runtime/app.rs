//! Everything that a handler needs: built once, then passed in.

use std::sync::Arc;

use super::clients::Clients;
use super::config::{Config, ConfigError, optional, role_names};
use super::log;
use super::metrics::Metrics;
use super::precedence::Precedence;
use super::projects::Projects;
use crate::auth::Authentication;
#[cfg(feature = "dev-identity")]
use crate::auth::dev_identity::DevTokens;
use crate::auth::failures::Failures;
use crate::domain::actor::Origin;
use crate::domain::error::ApiError;
use crate::domain::id::OperationId;
use crate::domain::policy::{Caller, Policy};
use crate::domain::time::{Clock, Timestamp};
use crate::http::{self, Request};
use crate::queue::Queue;
use crate::store::access_keys::AccessKeys;
use crate::store::members::Stamp;
use crate::store::{Client, Store};

/// Everything that a handler needs; cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
    projects: Option<Projects>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    store: Store,
    queue: Queue,
    dead_letters: Option<Queue>,
    authentication: Authentication,
    metrics: Metrics,
    clock: Clock,
    precedence: Arc<Precedence>,
}

impl App {
    /// Builds an app that publishes no metrics.
    pub fn new(
        config: Config,
        dynamodb: impl Into<Client>,
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
        dynamodb: impl Into<Client>,
        sqs: aws_sdk_sqs::Client,
        authentication: Authentication,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        let store =
            Store::new(dynamodb, config.table.clone(), config.indexes).with_limits(config.limits);
        let queue = Queue::new(sqs.clone(), config.queue_url.clone());
        let dead_letters = config.dead_letters_url.clone();
        let dead_letters = dead_letters.map(|url| Queue::new(sqs, url));
        Self {
            inner: Arc::new(Inner {
                config,
                store,
                queue,
                dead_letters,
                authentication,
                metrics,
                clock,
                precedence: Arc::default(),
            }),
            projects: None,
        }
    }

    /// The same app, which shares images only with these projects, if there are any.
    #[must_use]
    pub fn checking(self, projects: Option<Projects>) -> Self {
        Self { projects, ..self }
    }

    /// Builds the app of a deployed function from the environment that Lambda sets. A function that shares
    /// images adds [`Projects::from_env`] to it; the others are smaller without a client of Keystone.
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
            failures: Failures::default(),
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

    /// The dead letters, where this function makes some.
    pub fn dead_letters(&self) -> Option<&Queue> {
        self.inner.dead_letters.as_ref()
    }

    /// The policy of this deployment.
    pub fn policy(&self) -> Policy {
        self.inner.config.policy
    }

    /// The metrics of this deployment.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The short work of this process, which goes first.
    pub fn precedence(&self) -> &Arc<Precedence> {
        &self.inner.precedence
    }

    /// Authenticates a request.
    ///
    /// # Errors
    /// 401 if the request is not authenticated; see [`Authentication::caller`].
    pub async fn caller(&self, request: &Request) -> Result<Caller, ApiError> {
        self.inner.authentication.caller(request, self.now()).await
    }

    /// Which projects exist, if this deployment shares images only with those.
    pub fn projects(&self) -> Option<&Projects> {
        self.projects.as_ref()
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
    pub fn stamp(&self, caller: &Caller, request: &Request) -> Stamp {
        Stamp::direct(self.operation(), self.now(), origin(caller, request))
    }
}

/// Where the changes of a request come from.
pub fn origin(caller: &Caller, request: &Request) -> Origin {
    Origin::new(caller.actor(), http::request_id(request))
}

#[cfg(feature = "dev-identity")]
fn dev_tokens(roles: &crate::domain::roles::RoleNames) -> Result<DevTokens, ConfigError> {
    let file = super::config::required("IDENTITY_FILE")?;
    DevTokens::read(&file, roles).ok_or_else(|| {
        ConfigError::malformed("IDENTITY_FILE", "the path of an identity file with tokens")
    })
}
