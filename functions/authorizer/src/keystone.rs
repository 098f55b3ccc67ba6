//! Asks Keystone whom a token stands for.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use shared::auth::access_rules::{AccessRules, BadRules};
use shared::auth::principal::Principal;
use shared::domain::id::ProjectId;
use shared::domain::roles::RoleNames;
use shared::domain::time::{Clock, Timestamp};
use tokio::sync::Mutex;

use crate::Denied;
use crate::client::{Client, Reply};
use crate::config::KeystoneConfig;
use crate::service_user::{ServiceUser, Source};

/// How long a question may take, logging in included.
const DEADLINE: Duration = Duration::from_secs(2);
/// How many seconds before its end the service's own token is renewed.
const RENEWED_BEFORE: i64 = 60;
/// The header that declares, in each request to Keystone, that this service enforces access rules.
/// Without it Keystone answers 404 for every token that has such rules.
const ACCESS_RULES: (&str, &str) = ("openstack-identity-access-rules", "1.0");
/// The longest token, in bytes.
pub const TOKEN_MAX: usize = 32 * 1024;

/// A Keystone, and our login there.
#[derive(Debug)]
pub struct Keystone {
    /// Where tokens are given and validated; without the catalog, which nobody here reads.
    tokens: String,
    service_user: Source,
    roles: RoleNames,
    client: Client,
    clock: Clock,
    /// Held while logging in: all who wait for it share one login.
    login: Mutex<Option<Login>>,
}

/// The service's own token. A `HeaderValue` that is marked as sensitive does not show itself.
#[derive(Clone, Debug)]
struct Login {
    token: HeaderValue,
    expires_at: Timestamp,
}

/// What we read of Keystone's answers.
#[derive(Deserialize)]
struct Answer {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Named,
    /// A token of a domain, of the system or of nothing has none.
    project: Option<Named>,
    #[serde(default)]
    roles: Vec<Role>,
    expires_at: String,
    /// How the user has logged in, if by an application credential.
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    /// What it is restricted to, if it is.
    access_rules: Option<Value>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

/// A token as a header; `None` if it cannot be one that Keystone gave.
pub fn sendable(token: &[u8]) -> Option<HeaderValue> {
    if !(1..=TOKEN_MAX).contains(&token.len()) || !token.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let mut value = HeaderValue::from_bytes(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn outage(why: impl Into<String>) -> Denied {
    Denied::Unavailable(why.into())
}

impl Keystone {
    /// A Keystone that has not been asked yet.
    ///
    /// # Errors
    /// If the host has no certificates to know it by.
    pub fn new(config: KeystoneConfig, roles: RoleNames, clock: Clock) -> std::io::Result<Self> {
        Ok(Self {
            client: Client::new(config.url.starts_with("https:"))?,
            tokens: format!("{}/auth/tokens?nocatalog", config.url),
            service_user: config.service_user,
            roles,
            clock,
            login: Mutex::default(),
        })
    }

    /// Whom a token stands for.
    ///
    /// # Errors
    /// If for nobody, or if Keystone does not say.
    pub async fn validate(&self, token: &HeaderValue) -> Result<Principal, Denied> {
        match tokio::time::timeout(DEADLINE, self.ask(token)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(outage(format!(
                "Keystone: no answer within {} s",
                DEADLINE.as_secs()
            ))),
        }
    }

    async fn ask(&self, token: &HeaderValue) -> Result<Principal, Denied> {
        let own = self.own_token(None).await?;
        let mut reply = self.look_up(&own, token).await?;
        if reply.status == 401 {
            // Our own token, not the caller's: it was revoked, or Keystone has new keys.
            let own = self.own_token(Some(&own)).await?;
            reply = self.look_up(&own, token).await?;
        }
        match reply.status {
            200 => self.principal(&reply),
            // In Keystone's own words: anybody else's 404 says nothing about the token.
            404 if is_keystones_404(&reply) => Err(Denied::Unauthorized),
            status => Err(outage(format!("Keystone: status {status} for a token"))),
        }
    }

    async fn look_up(&self, own: &HeaderValue, token: &HeaderValue) -> Result<Reply, Denied> {
        let request = Request::get(&self.tokens)
            .header(ACCESS_RULES.0, ACCESS_RULES.1)
            .header("x-auth-token", own)
            .header("x-subject-token", token)
            .body(Full::default())
            .map_err(|error| outage(error.to_string()))?;
        let reply = self.client.send(request).await;
        reply.map_err(|why| outage(format!("Keystone: {why}")))
    }

    fn principal(&self, reply: &Reply) -> Result<Principal, Denied> {
        let (token, expires_at) = token_of(reply)
            .ok_or_else(|| outage("Keystone: an answer about a token that is not one"))?;
        let project = token.project.ok_or(Denied::Unauthorized)?;
        let project = ProjectId::parse(project.id).map_err(|_| Denied::Unauthorized)?;
        if expires_at <= self.clock.now() {
            return Err(Denied::Unauthorized);
        }
        let credential = token.application_credential;
        let access_rules = credential.and_then(|credential| credential.access_rules);
        let names = token.roles.iter().map(|role| role.name.as_str());
        Ok(Principal {
            user: token.user.id,
            project,
            role: self.roles.strongest(names),
            expires_at: Some(expires_at),
            access_rules: access_rules.as_ref().map(enforceable).transpose()?,
        })
    }

    /// Our own token: the one that we have, unless it ends soon or was refused.
    async fn own_token(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, Denied> {
        let mut login = self.login.lock().await;
        let renew_at = self.clock.now().plus_seconds(RENEWED_BEFORE);
        if let Some(login) = login.as_ref()
            && refused != Some(&login.token)
            && renew_at < login.expires_at
        {
            return Ok(login.token.clone());
        }
        let new = self.log_in().await?;
        Ok(login.insert(new).token.clone())
    }

    async fn log_in(&self) -> Result<Login, Denied> {
        let mut user = self.service_user.user(&self.client).await.map_err(outage)?;
        let mut reply = self.post(&user).await?;
        if reply.status == 401 && self.service_user.may_change() {
            // The secret may have been rotated between our reading it and Keystone's.
            let before = user;
            user = self.service_user.user(&self.client).await.map_err(outage)?;
            if user != before {
                reply = self.post(&user).await?;
            }
        }
        if reply.status != 201 {
            let status = reply.status;
            return Err(outage(format!(
                "Keystone: status {status} for the service user's login"
            )));
        }
        let token = reply.headers.get("x-subject-token").cloned();
        match (token, token_of(&reply)) {
            (Some(mut token), Some((_, expires_at))) => {
                token.set_sensitive(true);
                Ok(Login { token, expires_at })
            }
            _ => Err(outage("Keystone: an answer to a login that is not one")),
        }
    }

    async fn post(&self, user: &ServiceUser) -> Result<Reply, Denied> {
        let request = Request::post(&self.tokens)
            .header(ACCESS_RULES.0, ACCESS_RULES.1)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(user.login().to_string()))
            .map_err(|error| outage(error.to_string()))?;
        let reply = self.client.send(request).await;
        reply.map_err(|why| outage(format!("Keystone: {why}")))
    }
}

/// The access rules of a token. A token whose rules cannot be enforced is refused.
fn enforceable(rules: &Value) -> Result<AccessRules, Denied> {
    AccessRules::of_keystone(rules).map_err(|error| match error {
        BadRules::Malformed => outage("Keystone: malformed access rules"),
        BadRules::TooLong => {
            tracing::warn!("refused a token: its access rules are too long");
            Denied::Unauthorized
        }
    })
}

/// The token that an answer describes, and when it ends.
fn token_of(reply: &Reply) -> Option<(Token, Timestamp)> {
    let Answer { token } = serde_json::from_value(reply.json()?).ok()?;
    let expires_at = Timestamp::parse(&token.expires_at)?;
    Some((token, expires_at))
}

fn is_keystones_404(reply: &Reply) -> bool {
    reply
        .json()
        .is_some_and(|body| body.pointer("/error/code") == Some(&404.into()))
}
