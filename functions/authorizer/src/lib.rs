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

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent};
use sha2::{Digest as _, Sha256};
use shared::auth::principal::Principal;
use shared::domain::cache::ExpiringCache;
use shared::domain::time::{Clock, Timestamp};
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::keystone::{Keystone, sendable};

/// How many tokens an instance remembers: some 5 MB, unless many have access rules.
const TOKENS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How many refused tokens an instance remembers: some 1 MB. They have a cache of their own, so that
/// a flood of them cannot evict valid tokens.
const REFUSED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How many seconds a refusal is remembered. A token that was sent before Keystone knew it is accepted
/// at most that much later.
const REFUSED_SECONDS: i64 = 5;
/// How many tokens Keystone is asked about at once.
const QUESTIONS_MAX: usize = 16;
/// How long a token waits for its turn to be asked about.
const TURN_TIMEOUT: Duration = Duration::from_secs(1);

/// The digest of a token. The caches hold no token itself.
type Fingerprint = [u8; 32];

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
    known: ExpiringCache<Fingerprint, Principal>,
    refused: ExpiringCache<Fingerprint, ()>,
    questions: Semaphore,
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
                known: ExpiringCache::new(TOKENS_MAX),
                refused: ExpiringCache::new(REFUSED_MAX),
                questions: Semaphore::new(QUESTIONS_MAX),
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
    pub async fn identify(&self, token: &[u8]) -> Result<Principal, Denied> {
        let inner = &self.inner;
        let token = sendable(token).ok_or(Denied::Unauthorized)?;
        let key: Fingerprint = Sha256::digest(token.as_bytes()).into();
        if let Some(answer) = inner.remembered(&key) {
            return answer;
        }
        let turn = tokio::time::timeout(TURN_TIMEOUT, inner.questions.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Denied::Unavailable(
                "Keystone: too many tokens to ask about at once".to_owned(),
            ));
        };
        // Somebody else may have asked about the same token meanwhile.
        if let Some(answer) = inner.remembered(&key) {
            return answer;
        }
        let asked_at = inner.clock.now();
        let answer = inner.keystone.validate(&token).await;
        inner.remember(key, &answer, asked_at);
        answer
    }

    /// Whether requests without a token may come through, for the function to check their
    /// signature.
    pub fn lets_signed_through(&self) -> bool {
        self.inner.signed_requests
    }
}

impl Inner {
    fn remembered(&self, key: &Fingerprint) -> Option<Result<Principal, Denied>> {
        let now = self.clock.now();
        if let Some(principal) = self.known.get(key, now) {
            return Some(Ok(principal));
        }
        let refused = self.refused.get(key, now);
        refused.map(|()| Err(Denied::Unauthorized))
    }

    /// Remembers Keystone's answer. The time counts from the question, because Keystone may have
    /// looked the token up at once and answered late.
    fn remember(&self, key: Fingerprint, answer: &Result<Principal, Denied>, asked_at: Timestamp) {
        match answer {
            Ok(_) if self.cache_ttl == 0 => {}
            Ok(principal) => {
                let until = asked_at.plus_seconds(self.cache_ttl.into());
                let until = principal.expires_at.map_or(until, |end| end.min(until));
                self.known.insert(key, principal.clone(), until);
            }
            Err(Denied::Unauthorized) => {
                let until = asked_at.plus_seconds(REFUSED_SECONDS);
                self.refused.insert(key, (), until);
            }
            // During an outage nobody knows whether the token is good.
            Err(Denied::Unavailable(_)) => {}
        }
    }
}

/// Runs the authorizer under the Lambda runtime.
///
/// # Errors
/// If the configuration is not complete, by the name of what is missing.
pub async fn serve() -> Result<(), lambda_runtime::Error> {
    shared::runtime::log::as_json()?;
    let authorizer = Authorizer::new(Config::from_env()?, Clock::System)?;
    let authorizer = &authorizer;
    lambda_runtime::run(lambda_runtime::service_fn(
        move |event: LambdaEvent<event::Event>| event::answer(authorizer, event.payload),
    ))
    .await
}
