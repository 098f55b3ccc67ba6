//! The authenticator of the local server: resolves tokens by the identity file or by a Keystone.

use std::sync::Arc;

use authorizer::AuthError;
use hyper::HeaderMap;
use shared::auth::principal::Principal;
use shared::domain::error::ApiError;
use shared::domain::id::ProjectId;
use shared::domain::roles::RoleNames;
use shared::domain::time::{Clock, Timestamp};

use crate::host::names_this_machine;
use crate::identity::IdentityFile;
use crate::identity::service::IdentityService;
use crate::identity::tokens::Token;

/// Resolves tokens; cheap to clone.
#[derive(Clone, Debug)]
pub enum Authenticator {
    /// By the identity file.
    File {
        /// The identities of the file.
        service: Arc<IdentityService>,
        /// The names of their roles.
        roles: RoleNames,
        /// Whether other machines may use them.
        remote: bool,
    },
    /// By a Keystone, with the deployed authorizer's own code.
    Keystone(authorizer::Authorizer),
}

impl Authenticator {
    /// Resolves tokens by these identities, which other machines may use if `remote`.
    pub fn file(identity: IdentityFile, roles: RoleNames, remote: bool) -> Self {
        Self::File {
            service: Arc::new(IdentityService::new(identity)),
            roles,
            remote,
        }
    }

    /// Refuses a request that names another host than this machine, if only this machine may use the identities.
    /// Everybody knows the demo tokens, and a page from elsewhere gets at this server by a name of its own that it
    /// makes lead here.
    ///
    /// # Errors
    /// 403 that says what to do.
    pub fn check_host(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self {
            Self::File { remote: false, .. } if !names_this_machine(headers) => {
                Err(ApiError::forbidden(
                    "The development identities are for this machine: use its address or localhost, or start \
                     the server with --allow-remote-identity.",
                ))
            }
            Self::File { .. } | Self::Keystone(_) => Ok(()),
        }
    }

    /// Resolves tokens by a Keystone.
    ///
    /// # Errors
    /// One sentence for the operator, if the host has no certificates to verify Keystone with.
    pub fn keystone(config: authorizer::config::Config, clock: Clock) -> Result<Self, String> {
        authorizer::Authorizer::new(config, clock)
            .map(Self::Keystone)
            .map_err(|error| format!("no certificates to know Keystone by: {error}"))
    }

    /// Returns the principal of a token; `None` if the token is not valid.
    ///
    /// # Errors
    /// If Keystone cannot be asked.
    pub async fn principal(
        &self,
        token: &[u8],
        now: Timestamp,
    ) -> Result<Option<Principal>, ApiError> {
        match self {
            Self::File { service, roles, .. } => {
                let token = std::str::from_utf8(token).ok();
                let token = token.and_then(|token| service.token(token, now));
                Ok(token.and_then(|token| principal(&token, roles)))
            }
            // Boxed: a request to Keystone would make every request's future as large as its own.
            Self::Keystone(authorizer) => match Box::pin(authorizer.identify(token)).await {
                Ok(principal) => Ok(Some(principal)),
                Err(AuthError::Unauthorized) => Ok(None),
                Err(AuthError::Unavailable(why)) => Err(ApiError::unavailable(why)),
            },
        }
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

/// The token of a request; `None` if there is none, or if there are several that differ: to pick one
/// of them could authenticate another caller than the client meant.
pub fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all("x-auth-token").iter();
    let first = values.next()?;
    values
        .all(|value| value == first)
        .then_some(first.as_bytes())
}
