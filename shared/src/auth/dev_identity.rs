//! Authenticates by the identity file, for `cargo lambda watch`, whose gateway has no authorizer.
//!
//! Its tokens never expire, so no release build has it.

#[cfg(not(debug_assertions))]
compile_error!("dev-identity is for development: a release build refuses it");

use std::sync::Arc;

use serde::Deserialize;

use crate::domain::id::ProjectId;
use crate::domain::policy::Caller;
use crate::domain::roles::RoleNames;
use crate::domain::secret::Secret;
use crate::http::Request;

/// The fixed tokens of an identity file, and their callers.
#[derive(Clone, Debug)]
pub struct DevTokens(Arc<[(Secret, Caller)]>);

/// The identity file of `imshare serve --identity`, as far as it is read.
#[derive(Debug, Deserialize)]
struct IdentityFile {
    #[serde(default)]
    token: Vec<Token>,
}

#[derive(Debug, Deserialize)]
struct Token {
    id: Secret,
    user: String,
    project: ProjectId,
    roles: Vec<String>,
}

impl Token {
    fn caller(self, roles: &RoleNames) -> (Secret, Caller) {
        let caller = Caller {
            user: self.user,
            project: self.project,
            role: roles.strongest(self.roles.iter().map(String::as_str)),
        };
        (self.id, caller)
    }
}

impl DevTokens {
    /// Reads the fixed tokens of an identity file; `None` if it cannot be read, is malformed or has none.
    pub fn read(path: &str, roles: &RoleNames) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let file: IdentityFile = toml::from_str(&text).ok()?;
        let callers: Vec<_> = file
            .token
            .into_iter()
            .map(|token| token.caller(roles))
            .collect();
        (!callers.is_empty()).then(|| Self(callers.into()))
    }

    /// The caller of a request, by its `X-Auth-Token`.
    pub fn caller(&self, request: &Request) -> Option<Caller> {
        let sent = request.headers().get("x-auth-token")?.to_str().ok()?;
        let (_, caller) = self.0.iter().find(|(token, _)| token.reveal() == sent)?;
        Some(caller.clone())
    }
}
