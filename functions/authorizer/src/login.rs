//! This service's own login at Keystone.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use shared::domain::time::{Clock, Timestamp};

use crate::AuthError;
use crate::client::{Client, FullResponse};
use crate::keystone::{ACCESS_RULES, outage, token_of};
use crate::service_user::{ServiceUser, UserSource};

/// Most time that a login may take. It is longer than a request waits for Keystone: a login that is
/// slower than that goes on beside the request, and serves the next one.
const LOGIN_DEADLINE: Duration = Duration::from_secs(10);
/// How many seconds before it expires this service's own token is renewed.
const RENEWED_BEFORE: i64 = 60;

/// This service's own token. Its `HeaderValue` is marked as sensitive, so that `Debug` redacts it.
#[derive(Clone, Debug)]
struct OwnToken {
    token: HeaderValue,
    expires_at: Timestamp,
}

/// A login that is under way or done. All who need it wait for the same one.
type Attempt = Shared<BoxFuture<'static, Result<OwnToken, AuthError>>>;

/// Keeps this service logged in.
pub struct Login {
    work: Work,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<OwnToken>,
    attempt: Option<Attempt>,
}

/// What a login needs. It is cloned into each attempt, which outlives the request that began it.
#[derive(Clone)]
struct Work {
    tokens: Arc<str>,
    service_user: UserSource,
    client: Client,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Login {
    /// Creates a login that has not begun. `tokens` is the URL of Keystone's tokens.
    pub fn new(tokens: &str, service_user: UserSource, client: Client, clock: Clock) -> Self {
        Self {
            work: Work {
                tokens: tokens.into(),
                service_user,
                client,
            },
            clock,
            state: Mutex::default(),
        }
    }

    /// Our own token: the one from the last login, unless it expires soon or is the one that
    /// Keystone has `refused`. The login goes on if the caller stops waiting.
    ///
    /// # Errors
    /// `Unavailable` if Keystone does not log this service in.
    pub async fn token(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, AuthError> {
        let attempt = {
            let mut state = self.state();
            state.settle();
            if let Some(token) = self.usable(&state, refused) {
                return Ok(token);
            }
            let begin = || begin(self.work.clone());
            state.attempt.get_or_insert_with(begin).clone()
        };
        attempt.await.map(|own| own.token)
    }

    fn usable(&self, state: &State, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let renew_at = self.clock.now().plus_seconds(RENEWED_BEFORE);
        let own = state.token.as_ref()?;
        let usable = refused != Some(&own.token) && renew_at < own.expires_at;
        usable.then(|| own.token.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes over the result of an attempt that is done. A failure is forgotten: the next caller
    /// begins anew.
    fn settle(&mut self) {
        // Polled, because an attempt that nobody waits for does not take note of its end.
        let Some(outcome) = self.attempt.clone().and_then(Attempt::now_or_never) else {
            return;
        };
        self.attempt = None;
        if let Ok(own) = outcome {
            self.token = Some(own);
        }
    }
}

/// Begins a login in a task of its own, which no caller can stop.
fn begin(work: Work) -> Attempt {
    let task = tokio::spawn(async move {
        let late = |_| {
            Err(outage(format!(
                "Keystone: no login within {LOGIN_DEADLINE:?}"
            )))
        };
        let login = tokio::time::timeout(LOGIN_DEADLINE, work.log_in());
        login.await.unwrap_or_else(late)
    });
    let done = task.map(|ended| ended.unwrap_or_else(|_| Err(outage("the login panicked"))));
    done.boxed().shared()
}

impl Work {
    async fn log_in(&self) -> Result<OwnToken, AuthError> {
        let mut user = self.user().await?;
        let mut response = self.post(&user).await?;
        if response.status == 401 && self.service_user.may_change() {
            // The secret may have been rotated after we read it and before Keystone did.
            let before = user;
            user = self.user().await?;
            if user != before {
                response = self.post(&user).await?;
            }
        }
        if response.status != 201 {
            let status = response.status;
            return Err(outage(format!(
                "Keystone: status {status} for the service user's login"
            )));
        }
        let token = response.headers.get("x-subject-token").cloned();
        match (token, token_of(&response)) {
            (Some(mut token), Some((_, expires_at))) => {
                token.set_sensitive(true);
                Ok(OwnToken { token, expires_at })
            }
            _ => Err(outage("Keystone: an answer to a login that is not one")),
        }
    }

    async fn user(&self) -> Result<ServiceUser, AuthError> {
        let user = self.service_user.user(&self.client).await;
        user.map_err(outage)
    }

    async fn post(&self, user: &ServiceUser) -> Result<FullResponse, AuthError> {
        let request = Request::post(&*self.tokens)
            .header(ACCESS_RULES.0, ACCESS_RULES.1)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(user.login().to_string()))
            .map_err(|error| outage(error.to_string()))?;
        let response = self.client.send(request).await;
        response.map_err(|why| outage(format!("Keystone: {why}")))
    }
}
