//! Asks Keystone, as the service user: whom a token stands for, and whether a project exists.

use std::time::Duration;

use crate::auth::access_rules::{AccessRules, BadRules};
use crate::auth::principal::Principal;
use crate::domain::id::ProjectId;
use crate::domain::roles::RoleNames;
use crate::domain::time::Clock;
use http_body_util::Full;
use hyper::Request;
use hyper::header::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::client::{Client, FullResponse, Tls};
use super::config::KeystoneConfig;
use super::document::{ACCESS_RULES, is_keystones_404, token_of};
use super::error::{AuthError, outage};
use super::login::Login;

/// Most time that a request waits for Keystone.
const DEADLINE: Duration = Duration::from_secs(2);
/// The longest token that no web server refuses for its length, in bytes.
const LONG_TOKEN: usize = 2 * 1024;
/// Most characters of a project's id in Keystone.
const PROJECT_ID_MAX: usize = 64;
/// Most bytes of a token.
pub const TOKEN_MAX: usize = 32 * 1024;

/// A Keystone, and this service's login there.
#[derive(Debug)]
pub struct Keystone {
    /// The URL of tokens, without the catalog, which is not needed.
    tokens: String,
    /// The URL of projects.
    projects: String,
    roles: RoleNames,
    client: Client,
    clock: Clock,
    login: Login,
}

/// Converts a token to a header; `None` if Keystone cannot have issued it.
pub fn sendable(token: &[u8]) -> Option<HeaderValue> {
    if !(1..=TOKEN_MAX).contains(&token.len()) || !token.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let mut value = HeaderValue::from_bytes(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Keystone {
    /// Creates a client that has not logged in yet.
    ///
    /// # Errors
    /// If there are no certificates to verify Keystone with.
    pub fn new(config: KeystoneConfig, roles: RoleNames, clock: Clock) -> std::io::Result<Self> {
        let tls = match config.url.starts_with("https:") {
            true => Tls::On(config.authorities.as_deref()),
            false => Tls::Off,
        };
        let client = Client::new(tls)?;
        let tokens = format!("{}/auth/tokens?nocatalog", config.url);
        let user = config.service_user;
        Ok(Self {
            login: Login::new(&tokens, user, client.clone(), clock.clone()),
            client,
            tokens,
            projects: format!("{}/projects", config.url),
            roles,
            clock,
        })
    }

    /// Resolves a token to its principal.
    ///
    /// # Errors
    /// `Unauthorized` if the token is not valid, `Unavailable` if Keystone does not say.
    pub async fn validate(&self, token: &HeaderValue) -> Result<Principal, AuthError> {
        in_time(self.ask(token)).await
    }

    /// Whether a project exists, enabled or not.
    ///
    /// # Errors
    /// `Unavailable` if Keystone does not say.
    pub async fn has_project(&self, project: &ProjectId) -> Result<bool, AuthError> {
        in_time(self.look_up_project(project)).await
    }

    async fn look_up_project(&self, project: &ProjectId) -> Result<bool, AuthError> {
        if !may_be_keystones(project.as_str()) {
            return Ok(false);
        }
        let id = utf8_percent_encode(project.as_str(), NON_ALPHANUMERIC);
        let url = format!("{}/{id}", self.projects);
        let response = self.get(&url, None).await?;
        let named = |body: Value| body.pointer("/project/id").map(|id| id == project.as_str());
        match response.status {
            // A proxy may answer with something else.
            200 if response.json().and_then(named) == Some(true) => Ok(true),
            404 if is_keystones_404(&response) => Ok(false),
            403 => Err(outage(
                "Keystone: the service user may not read projects; give it the role admin in its \
                 project, or one that identity:get_project permits",
            )),
            status => Err(outage(format!("Keystone: status {status} for a project"))),
        }
    }

    async fn ask(&self, token: &HeaderValue) -> Result<Principal, AuthError> {
        let response = self.get(&self.tokens, Some(token)).await?;
        match response.status {
            200 => self.principal(&response),
            // A 404 from Keystone means that the token is unknown. A 404 from a proxy in between does
            // not, so it counts as an outage.
            404 if is_keystones_404(&response) => Err(AuthError::Unauthorized),
            // Keystone takes no header that long, so it has not issued this token. As an outage, which
            // calls the operator, it would be one that anybody can cause.
            400 | 413 | 414 | 431 if token.len() > LONG_TOKEN => Err(AuthError::Unauthorized),
            status => Err(outage(format!("Keystone: status {status} for a token"))),
        }
    }

    /// Sends a GET as the service user, about a token if there is one.
    async fn get(
        &self,
        url: &str,
        subject: Option<&HeaderValue>,
    ) -> Result<FullResponse, AuthError> {
        let own = self.login.token(None).await?;
        let response = self.look_up(url, &own, subject).await?;
        if response.status != 401 {
            return Ok(response);
        }
        // Keystone refuses our own token, not the caller's: it was revoked, or Keystone has new keys.
        let own = self.login.token(Some(&own)).await?;
        self.look_up(url, &own, subject).await
    }

    async fn look_up(
        &self,
        url: &str,
        own: &HeaderValue,
        subject: Option<&HeaderValue>,
    ) -> Result<FullResponse, AuthError> {
        let mut request = Request::get(url)
            .header(ACCESS_RULES.0, ACCESS_RULES.1)
            .header("x-auth-token", own);
        if let Some(subject) = subject {
            request = request.header("x-subject-token", subject);
        }
        let request = request.body(Full::default());
        let request = request.map_err(|error| outage(error.to_string()))?;
        let response = self.client.send(request).await;
        response.map_err(|why| outage(format!("Keystone: {why}")))
    }

    fn principal(&self, response: &FullResponse) -> Result<Principal, AuthError> {
        let (token, expires_at) = token_of(response)
            .ok_or_else(|| outage("Keystone: an answer about a token that is not one"))?;
        let project = token.project.ok_or(AuthError::Unauthorized)?;
        let project = ProjectId::parse(project.id).map_err(|_| AuthError::Unauthorized)?;
        if expires_at <= self.clock.now() {
            return Err(AuthError::Unauthorized);
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
}

/// Whether a project in Keystone can have this id. Any other text would be an error there, or name another path,
/// and so look like an outage that anybody can cause.
fn may_be_keystones(id: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    id.len() <= PROJECT_ID_MAX && id.bytes().all(known) && !id.bytes().all(|byte| byte == b'.')
}

/// Waits for an answer as long as a request may.
async fn in_time<T>(asked: impl Future<Output = Result<T, AuthError>>) -> Result<T, AuthError> {
    let late = |_| {
        let seconds = DEADLINE.as_secs();
        Err(outage(format!("Keystone: no answer within {seconds} s")))
    };
    let answer = tokio::time::timeout(DEADLINE, asked).await;
    answer.unwrap_or_else(late)
}

/// Parses a token's access rules. If they cannot be enforced, the token is refused: it must not
/// gain rights.
fn enforceable(rules: &Value) -> Result<AccessRules, AuthError> {
    AccessRules::of_keystone(rules).map_err(|error| match error {
        BadRules::Malformed => outage("Keystone: malformed access rules"),
        BadRules::TooLong => {
            tracing::warn!("refused a token: its access rules are too long");
            AuthError::Unauthorized
        }
    })
}
