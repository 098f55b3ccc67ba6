//! The authorizer on this machine: who the tokens of the identity file stand for.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use shared::secret::Secret;

/// The identities that the server knows when it is given no file: for trying it out.
const DEMO: &str = include_str!("demo-identity.toml");

/// The identity file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Projects.
    #[serde(default)]
    pub project: Vec<Project>,
    /// Users.
    #[serde(default)]
    pub user: Vec<User>,
    /// Tokens that never expire.
    #[serde(default)]
    pub token: Vec<Token>,
    /// Keys of signed requests.
    #[serde(default)]
    pub access_key: Vec<AccessKey>,
}

/// A project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its password.
    pub password: Secret,
    /// What it is in which project.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// Roles in a project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The project's id.
    pub project: String,
    /// The roles' names.
    pub roles: Vec<String>,
}

/// A token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What a caller sends.
    pub id: Secret,
    /// The user's id.
    pub user: String,
    /// The project's id.
    pub project: String,
    /// The roles' names.
    pub roles: Vec<String>,
}

/// An access key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// What a caller names.
    pub access: String,
    /// What it signs with.
    pub secret: Secret,
    /// The user's id.
    pub user: String,
    /// The project's id.
    pub project: String,
    /// The roles' names.
    pub roles: Vec<String>,
}

impl Identity {
    /// The identities for trying the service out.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn demo() -> Result<Self, String> {
        Self::parse(DEMO)
    }

    /// The identities in this file.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The message alone: the error's own form would show lines of the file, secrets included.
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.get(..span.start)
                    .map_or(1, |before| before.matches('\n').count() + 1)
            });
            format!("line {line}: {}", error.message())
        })
    }
}

/// What an authorizer says of a caller: the context that the gateway hands to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The project that the token is scoped to.
    pub project_id: String,
    /// Who it was given to.
    pub user_id: String,
    /// Names of roles, with commas between them.
    pub roles: String,
}

/// Looks tokens up.
#[derive(Debug, Default)]
pub struct Authorizer {
    tokens: HashMap<Secret, Context>,
}

impl Authorizer {
    /// The authorizer of these identities.
    pub fn new(identity: &Identity) -> Self {
        let tokens = identity
            .token
            .iter()
            .map(|token| {
                let context = Context {
                    project_id: token.project.clone(),
                    user_id: token.user.clone(),
                    roles: token.roles.join(","),
                };
                (token.id.clone(), context)
            })
            .collect();
        Self { tokens }
    }

    /// Who a token stands for; `None` if nobody.
    pub fn authorize(&self, token: &str) -> Option<&Context> {
        self.tokens.get(&Secret::new(token.to_owned()))
    }
}
