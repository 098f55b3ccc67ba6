//! Callers by the identity file, for `cargo lambda watch`, whose gateway has no authorizer.
//!
//! Nobody is asked whether a token is still good: no release build has this.

#[cfg(not(debug_assertions))]
compile_error!("dev-identity is for development: a release build refuses it");

use std::sync::OnceLock;

use serde::Deserialize;

use crate::auth::Caller;
use crate::http::Request;
use crate::id::ProjectId;
use crate::roles::RoleNames;
use crate::secret::Secret;

/// The fixed tokens of the file, and whom they stand for.
static TOKENS: OnceLock<Vec<(Secret, Caller)>> = OnceLock::new();

/// What is read of the identity file, which `imshare serve --identity` takes as well.
#[derive(Debug, Deserialize)]
struct Identity {
    #[serde(default)]
    token: Vec<Token>,
}

#[derive(Debug, Deserialize)]
struct Token {
    id: Secret,
    project: ProjectId,
    roles: Vec<String>,
}

impl Token {
    fn caller(self, roles: &RoleNames) -> (Secret, Caller) {
        let caller = Caller {
            project: self.project,
            role: roles.strongest(self.roles.iter().map(String::as_str)),
        };
        (self.id, caller)
    }
}

/// Reads the fixed tokens of an identity file; false if it cannot be read or has another form.
pub fn read(path: &str, roles: &RoleNames) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let tokens = toml::from_str::<Identity>(&text).map_or_else(|_| Vec::new(), |file| file.token);
    let callers = tokens.into_iter().map(|token| token.caller(roles));
    let callers: Vec<_> = callers.collect();
    !callers.is_empty() && TOKENS.set(callers).is_ok()
}

/// The caller that the request's `X-Auth-Token` stands for.
pub fn caller(request: &Request) -> Option<Caller> {
    let sent = request.headers().get("x-auth-token")?.to_str().ok()?;
    let mut tokens = TOKENS.get()?.iter();
    let (_, caller) = tokens.find(|(token, _)| token.reveal() == sent)?;
    Some(caller.clone())
}
