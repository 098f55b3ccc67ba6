//! What Keystone says: the fields that are needed, and what a response means.

use serde::Deserialize;
use serde_json::Value;

use super::client::FullResponse;
use crate::domain::time::Timestamp;

/// The header that declares, in each request to Keystone, that this service enforces access rules.
/// Without it Keystone answers 404 for every token that has such rules.
pub(super) const ACCESS_RULES: (&str, &str) = ("openstack-identity-access-rules", "1.0");
/// Keystone's description of a token: the fields that are needed.
#[derive(Deserialize)]
pub(super) struct TokenDocument {
    token: TokenBody,
}

#[derive(Deserialize)]
pub(super) struct TokenBody {
    pub(super) user: EntityId,
    /// `None` if the token is unscoped, or scoped to a domain or the system.
    pub(super) project: Option<EntityId>,
    #[serde(default)]
    pub(super) roles: Vec<NamedRole>,
    pub(super) expires_at: String,
    /// Set if the user logged in with an application credential.
    pub(super) application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
pub(super) struct ApplicationCredential {
    /// The requests that the credential is restricted to, if it is.
    pub(super) access_rules: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct EntityId {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct NamedRole {
    pub(super) name: String,
}

/// The token that a response describes, and when it expires.
pub(super) fn token_of(response: &FullResponse) -> Option<(TokenBody, Timestamp)> {
    let TokenDocument { token } = serde_json::from_value(response.json()?).ok()?;
    let expires_at = Timestamp::parse(&token.expires_at)?;
    Some((token, expires_at))
}

/// Whether a 404 is Keystone's own. One from a proxy in between says nothing about what was asked for.
pub(super) fn is_keystones_404(response: &FullResponse) -> bool {
    response
        .json()
        .is_some_and(|body| body.pointer("/error/code") == Some(&404.into()))
}
