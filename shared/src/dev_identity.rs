//! Callers by the identity file, for `cargo lambda watch`, whose gateway has no authorizer.
//!
//! Nobody is asked whether a token is still good: no release build has this.

#[cfg(not(debug_assertions))]
compile_error!("dev-identity is for development: a release build refuses it");

use std::sync::OnceLock;

use serde::Deserialize;

use crate::auth::{Caller, Role};
use crate::http::Request;
use crate::id::ProjectId;
use crate::secret::Secret;

/// The fixed tokens of the file.
static TOKENS: OnceLock<Vec<Token>> = OnceLock::new();

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

/// Reads the fixed tokens of an identity file; false if it cannot be read or has another form.
pub fn read(path: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match toml::from_str::<Identity>(&text) {
        Ok(identity) if !identity.token.is_empty() => TOKENS.set(identity.token).is_ok(),
        Ok(_) | Err(_) => false,
    }
}

/// The caller that the request's `X-Auth-Token` stands for.
pub fn caller(request: &Request) -> Option<Caller> {
    let sent = request.headers().get("x-auth-token")?.to_str().ok()?;
    let mut tokens = TOKENS.get()?.iter();
    let token = tokens.find(|token| token.id.reveal() == sent)?;
    Some(Caller {
        project: token.project.clone(),
        role: Role::strongest(token.roles.iter().map(String::as_str)),
    })
}
