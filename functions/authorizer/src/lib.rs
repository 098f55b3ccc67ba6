//! The authorizer: validates Keystone tokens, and returns the context that the gateway hands to the
//! functions.
//!
//! | module | what it knows |
//! |---|---|
//! | [`config`] | the environment: which Keystone, whose roles, how long tokens are cached |
//! | [`event`] | the gateway's event, and the policy that answers it |
//!
//! An outage is not a refusal: a token is refused only if Keystone says that it does not know it.
//! The local server validates tokens with the same code.

pub mod config;
pub mod event;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::LambdaEvent;
use sha2::{Digest as _, Sha256};
use shared::auth::principal::Principal;
use shared::domain::cache::ExpiringCache;
use shared::domain::time::{Clock, Timestamp};
pub use shared::runtime::keystone::{AuthError, service_user};
use shared::runtime::keystone::{Keystone, sendable};
use shared::runtime::thread;
use tokio::sync::Semaphore;

use crate::config::Config;

/// Most valid tokens that an instance caches: some 5 MB, unless many have access rules.
const TOKENS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Most refused tokens that an instance caches: some 1 MB. They have a cache of their own, so that
/// a flood of them cannot evict valid tokens.
const REFUSED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How many seconds a refusal is cached. A token that was sent before Keystone knew it is accepted
/// at most that much later.
const REFUSED_SECONDS: i64 = 5;
/// Most tokens that are validated at once.
const VALIDATIONS_MAX: usize = 16;
/// How long a token waits to be validated.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// SHA-256 of a token. The caches hold no token in clear.
type Fingerprint = [u8; 32];

/// Resolves tokens to principals; cheap to clone.
#[derive(Clone, Debug)]
pub struct Authorizer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    keystone: Keystone,
    known: ExpiringCache<Fingerprint, Principal>,
    refused: ExpiringCache<Fingerprint, ()>,
    validations: Semaphore,
    cache_ttl: u32,
    signed_requests: bool,
    clock: Clock,
}

impl Authorizer {
    /// Creates an authorizer with empty caches.
    ///
    /// # Errors
    /// If there are no certificates to verify Keystone with.
    pub fn new(config: Config, clock: Clock) -> std::io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                keystone: Keystone::new(config.keystone, config.roles, clock.clone())?,
                known: ExpiringCache::new(TOKENS_MAX),
                refused: ExpiringCache::new(REFUSED_MAX),
                validations: Semaphore::new(VALIDATIONS_MAX),
                cache_ttl: config.cache_ttl,
                signed_requests: config.signed_requests,
                clock,
            }),
        })
    }

    /// Resolves a token to its principal.
    ///
    /// # Errors
    /// `Unauthorized` if the token is not valid, `Unavailable` if Keystone cannot be asked.
    pub async fn identify(&self, token: &[u8]) -> Result<Principal, AuthError> {
        let inner = &self.inner;
        let token = sendable(token).ok_or(AuthError::Unauthorized)?;
        let key: Fingerprint = Sha256::digest(token.as_bytes()).into();
        if let Some(answer) = inner.remembered(&key) {
            return answer;
        }
        let permit = tokio::time::timeout(WAIT_TIMEOUT, inner.validations.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(AuthError::Unavailable(
                "Keystone: too many tokens to ask about at once".to_owned(),
            ));
        };
        // Another request may have validated the same token meanwhile.
        if let Some(answer) = inner.remembered(&key) {
            return answer;
        }
        let asked_at = inner.clock.now();
        let answer = inner.keystone.validate(&token).await;
        inner.remember(key, &answer, asked_at);
        answer
    }

    /// Whether requests without a token are let through, for the function to verify their
    /// signature.
    pub fn lets_signed_through(&self) -> bool {
        self.inner.signed_requests
    }
}

impl Inner {
    fn remembered(&self, key: &Fingerprint) -> Option<Result<Principal, AuthError>> {
        let now = self.clock.now();
        if let Some(principal) = self.known.get(key, now) {
            return Some(Ok(principal));
        }
        let refused = self.refused.get(key, now);
        refused.map(|()| Err(AuthError::Unauthorized))
    }

    /// Caches Keystone's answer. Its time counts from the request, because Keystone may have looked
    /// the token up at once and answered late.
    fn remember(
        &self,
        key: Fingerprint,
        answer: &Result<Principal, AuthError>,
        asked_at: Timestamp,
    ) {
        match answer {
            Ok(_) if self.cache_ttl == 0 => {}
            Ok(principal) => {
                let until = asked_at.plus_seconds(self.cache_ttl.into());
                let until = principal.expires_at.map_or(until, |end| end.min(until));
                self.known.insert(key, principal.clone(), until);
            }
            Err(AuthError::Unauthorized) => {
                let until = asked_at.plus_seconds(REFUSED_SECONDS);
                self.refused.insert(key, (), until);
            }
            // During an outage it is unknown whether the token is valid.
            Err(AuthError::Unavailable(_)) => {}
        }
    }
}

/// Runs the authorizer under the Lambda runtime.
///
/// # Errors
/// If a variable is missing or malformed, by its name.
pub fn serve() -> Result<(), lambda_runtime::Error> {
    shared::runtime::log::as_json()?;
    let authorizer = Authorizer::new(Config::from_env()?, Clock::System)?;
    let authorizer = &authorizer;
    thread::run(lambda_runtime::run(lambda_runtime::service_fn(
        move |event: LambdaEvent<event::Event>| event::answer(authorizer, event.payload),
    )))
}
