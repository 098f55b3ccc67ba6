//! Who calls: a token of Keystone becomes the context that the gateway hands to the functions.
//!
//! | module | what it knows |
//! |---|---|
//! | [`config`] | the environment: which Keystone, whose roles, how long an answer is remembered |
//! | [`event`] | the gateway's event, and the policy that answers it |
//! | [`keystone`] | asks Keystone about a token, as a service user |
//! | [`service_user`] | who that user is: the environment, or a secret in Secrets Manager |
//! | [`client`] | HTTP with a deadline |
//!
//! An outage is not a refusal: a token is refused only when Keystone says that it does not know
//! it. The local server asks Keystone with the same code.

pub mod client;
pub mod config;
pub mod event;
pub mod keystone;
pub mod service_user;

use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent};
use sha2::{Digest as _, Sha256};
use shared::cache::Cache;
use shared::time::{Clock, Timestamp};

use crate::config::Config;
use crate::keystone::{Keystone, sendable};

/// How many tokens an instance remembers: some 5 MB.
const TOKENS_MAX: usize = 10_000;

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user_id: String,
    /// The project that the token is scoped to.
    pub project_id: String,
    /// The roles that this service knows, by its own names, with commas between them.
    pub roles: &'static str,
    /// When the token ends.
    pub expires_at: Timestamp,
}

impl Identity {
    /// What the functions are told: names and values. Never the token.
    pub fn context(&self) -> [(&'static str, String); 4] {
        [
            ("project_id", self.project_id.clone()),
            ("user_id", self.user_id.clone()),
            ("roles", self.roles.to_owned()),
            ("expires_at", self.expires_at.stored()),
        ]
    }
}

/// Why a token stands for nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is missing, unknown, expired, revoked or of no project.
    Unauthorized,
    /// Keystone could not be asked; the words are for the log.
    Unavailable(String),
}

/// A gateway answers 401 for exactly this message, and 5xx for every other one.
impl From<Denied> for Diagnostic {
    fn from(denied: Denied) -> Self {
        let (kind, message) = match denied {
            Denied::Unauthorized => ("Unauthorized", "Unauthorized"),
            Denied::Unavailable(_) => ("Unavailable", "The identity service is not available."),
        };
        Self {
            error_type: kind.to_owned(),
            error_message: message.to_owned(),
        }
    }
}

/// Says whom tokens stand for; cheap to clone.
#[derive(Clone, Debug)]
pub struct Authorizer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    keystone: Keystone,
    /// By the token's digest, so that no token is kept. Refusals are not remembered: a token may
    /// be known a moment later.
    known: Cache<[u8; 32], Identity>,
    cache_ttl: u32,
    signed_requests: bool,
    clock: Clock,
}

impl Authorizer {
    /// An authorizer that has asked nothing yet.
    ///
    /// # Errors
    /// If the host has no certificates to know Keystone by.
    pub fn new(config: Config, clock: Clock) -> std::io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                keystone: Keystone::new(config.keystone, config.roles, clock.clone())?,
                known: Cache::new(TOKENS_MAX),
                cache_ttl: config.cache_ttl,
                signed_requests: config.signed_requests,
                clock,
            }),
        })
    }

    /// Whom a token stands for.
    ///
    /// # Errors
    /// If for nobody, or if Keystone cannot be asked.
    pub async fn identify(&self, token: &[u8]) -> Result<Identity, Denied> {
        let inner = &self.inner;
        let token = sendable(token).ok_or(Denied::Unauthorized)?;
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(identity) = inner.known.get(&key, inner.clock.now()) {
            return Ok(identity);
        }
        let identity = inner.keystone.validate(&token).await?;
        let ttl = inner.clock.now().plus_seconds(inner.cache_ttl.into());
        inner
            .known
            .insert(key, identity.clone(), ttl.min(identity.expires_at));
        Ok(identity)
    }

    /// Whether requests without a token may come through, for the function to check their
    /// signature.
    pub fn lets_signed_through(&self) -> bool {
        self.inner.signed_requests
    }
}

/// Runs the authorizer under the Lambda runtime.
///
/// # Errors
/// If the configuration is not complete, by the name of what is missing.
pub async fn serve() -> Result<(), lambda_runtime::Error> {
    shared::app::log_as_json()?;
    let authorizer = Authorizer::new(Config::from_env()?, Clock::System)?;
    let authorizer = &authorizer;
    lambda_runtime::run(lambda_runtime::service_fn(
        move |event: LambdaEvent<event::Event>| event::answer(authorizer, event.payload),
    ))
    .await
}
