//! The authorizer on this machine: whom a token stands for, by the identity file or by a Keystone.

use std::sync::Arc;

use authorizer::Denied;
use hyper::HeaderMap;
use serde_json::Value;
use shared::auth::principal::Principal;
use shared::domain::error::ApiError;
use shared::domain::id::ProjectId;
use shared::domain::roles::RoleNames;
use shared::domain::time::{Clock, Timestamp};

use crate::identity::Identity;
use crate::identity::service::IdentityService;
use crate::identity::tokens::Token;

/// What a gateway adds to a request: names and values.
pub type Context = Vec<(String, Value)>;

/// Says whom tokens stand for; cheap to clone.
#[derive(Clone, Debug)]
pub enum Authority {
    /// The identity file, and what its roles are called.
    File(Arc<IdentityService>, RoleNames),
    /// A Keystone, asked by the deployed authorizer's own code.
    Keystone(authorizer::Authorizer),
}

impl Authority {
    /// These identities.
    pub fn file(identity: Identity, roles: RoleNames) -> Self {
        Self::File(Arc::new(IdentityService::new(identity)), roles)
    }

    /// This Keystone.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn keystone(config: authorizer::config::Config, clock: Clock) -> Result<Self, String> {
        authorizer::Authorizer::new(config, clock)
            .map(Self::Keystone)
            .map_err(|error| format!("no certificates to know Keystone by: {error}"))
    }

    /// The context of a token's request: empty if the token stands for nobody.
    ///
    /// # Errors
    /// If Keystone cannot be asked.
    pub async fn context(&self, token: &[u8], now: Timestamp) -> Result<Context, ApiError> {
        let principal = match self {
            Self::File(service, roles) => {
                let token = std::str::from_utf8(token).unwrap_or_default();
                let token = service.token(token, now);
                token.and_then(|token| principal(&token, roles))
            }
            Self::Keystone(authorizer) => match authorizer.identify(token).await {
                Ok(principal) => Some(principal),
                Err(Denied::Unauthorized) => None,
                Err(Denied::Unavailable(why)) => return Err(ApiError::unavailable(why)),
            },
        };
        let fields = principal.map(|principal| principal.to_context());
        let fields = fields.unwrap_or_default().into_iter();
        Ok(fields
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect())
    }
}

/// The principal of a token of the identity service; `None` if the token is not scoped to a project.
fn principal(token: &Token, roles: &RoleNames) -> Option<Principal> {
    let scope = token.scope.as_ref()?;
    Some(Principal {
        user: token.user.clone(),
        project: ProjectId::parse(scope.project.as_str()).ok()?,
        role: roles.strongest(scope.roles.iter().map(String::as_str)),
        expires_at: token.expires_at,
        access_rules: None,
    })
}

/// The token of a request. Several tokens that differ count as one empty token, which is invalid: none
/// of them may be picked.
pub fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all("x-auth-token").iter();
    let first = values.next()?;
    match values.all(|value| value == first) {
        true => Some(first.as_bytes()),
        false => Some(&[]),
    }
}
