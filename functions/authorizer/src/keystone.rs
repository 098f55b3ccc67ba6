//! Validates tokens with Keystone.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use shared::auth::access_rules::{AccessRules, BadRules};
use shared::auth::principal::Principal;
use shared::domain::id::ProjectId;
use shared::domain::roles::RoleNames;
use shared::domain::time::{Clock, Timestamp};

use crate::AuthError;
use crate::client::{Client, FullResponse, Tls};
use crate::config::KeystoneConfig;
use crate::login::Login;

/// Most time that a request waits for its token to be validated.
const DEADLINE: Duration = Duration::from_secs(2);
/// The header that declares, in each request to Keystone, that this service enforces access rules.
/// Without it Keystone answers 404 for every token that has such rules.
pub(crate) const ACCESS_RULES: (&str, &str) = ("openstack-identity-access-rules", "1.0");
/// Most bytes of a token.
pub const TOKEN_MAX: usize = 32 * 1024;

/// A Keystone, and this service's login there.
#[derive(Debug)]
pub struct Keystone {
    /// The URL of tokens, without the catalog, which is not needed.
    tokens: String,
    roles: RoleNames,
    client: Client,
    clock: Clock,
    login: Login,
}

/// Keystone's description of a token: the fields that are needed.
#[derive(Deserialize)]
struct TokenDocument {
    token: TokenBody,
}

#[derive(Deserialize)]
pub(crate) struct TokenBody {
    user: EntityId,
    /// `None` if the token is unscoped, or scoped to a domain or the system.
    project: Option<EntityId>,
    #[serde(default)]
    roles: Vec<NamedRole>,
    expires_at: String,
    /// Set if the user logged in with an application credential.
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    /// The requests that the credential is restricted to, if it is.
    access_rules: Option<Value>,
}

#[derive(Deserialize)]
struct EntityId {
    id: String,
}

#[derive(Deserialize)]
struct NamedRole {
    name: String,
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

pub(crate) fn outage(why: impl Into<String>) -> AuthError {
    AuthError::Unavailable(why.into())
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
            roles,
            clock,
        })
    }

    /// Resolves a token to its principal.
    ///
    /// # Errors
    /// `Unauthorized` if the token is not valid, `Unavailable` if Keystone does not say.
    pub async fn validate(&self, token: &HeaderValue) -> Result<Principal, AuthError> {
        match tokio::time::timeout(DEADLINE, self.ask(token)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(outage(format!(
                "Keystone: no answer within {} s",
                DEADLINE.as_secs()
            ))),
        }
    }

    async fn ask(&self, token: &HeaderValue) -> Result<Principal, AuthError> {
        let own = self.login.token(None).await?;
        let mut response = self.look_up(&own, token).await?;
        if response.status == 401 {
            // Keystone refuses our own token, not the caller's: it was revoked, or Keystone has new
            // keys.
            let own = self.login.token(Some(&own)).await?;
            response = self.look_up(&own, token).await?;
        }
        match response.status {
            200 => self.principal(&response),
            // A 404 from Keystone means that the token is unknown. A 404 from a proxy in between does
            // not, so it counts as an outage.
            404 if is_keystones_404(&response) => Err(AuthError::Unauthorized),
            status => Err(outage(format!("Keystone: status {status} for a token"))),
        }
    }

    async fn look_up(
        &self,
        own: &HeaderValue,
        token: &HeaderValue,
    ) -> Result<FullResponse, AuthError> {
        let request = Request::get(&self.tokens)
            .header(ACCESS_RULES.0, ACCESS_RULES.1)
            .header("x-auth-token", own)
            .header("x-subject-token", token)
            .body(Full::default())
            .map_err(|error| outage(error.to_string()))?;
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

/// The token that a response describes, and when it expires.
pub(crate) fn token_of(response: &FullResponse) -> Option<(TokenBody, Timestamp)> {
    let TokenDocument { token } = serde_json::from_value(response.json()?).ok()?;
    let expires_at = Timestamp::parse(&token.expires_at)?;
    Some((token, expires_at))
}

fn is_keystones_404(response: &FullResponse) -> bool {
    response
        .json()
        .is_some_and(|body| body.pointer("/error/code") == Some(&404.into()))
}
