//! Who there is on this machine: the identity file, and a service in Keystone's stead for it.
//!
//! | module | what it knows |
//! |---|---|
//! | this one | the file: projects, users, fixed tokens, access keys |
//! | [`tokens`] | which tokens stand for whom, and until when |
//! | [`login`] | what a login says, and whom it proves |
//! | [`service`] | HTTP under `/identity` |
//! | `warnings` | probable mistakes in the file |
//! | `view` | the documents that it answers with |

pub mod login;
pub mod service;
pub mod tokens;
mod view;
mod warnings;

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use shared::domain::secret::Secret;

/// The identities that the server knows when it is given no file: for trying it out.
const DEMO: &str = include_str!("../demo-identity.toml");

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
    pub token: Vec<FixedToken>,
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

/// A token that never expires.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedToken {
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
        let identity: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.get(..span.start)
                    .map_or(1, |before| before.matches('\n').count() + 1)
            });
            format!("line {line}: {}", error.message())
        })?;
        identity.unambiguous()?;
        identity.lets_somebody_in()?;
        Ok(identity)
    }

    /// Checks that anybody could send a request.
    fn lets_somebody_in(&self) -> Result<(), String> {
        match self.user.is_empty() && self.token.is_empty() && self.access_key.is_empty() {
            true => Err(
                "it has no [[user]], no [[token]] and no [[access_key]]: nobody could send a \
                 request"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    /// Checks that an id or a name is one user's, one project's.
    fn unambiguous(&self) -> Result<(), String> {
        let projects = &self.project;
        let users = &self.user;
        unique("project", "id", projects.iter().map(|each| &*each.id))?;
        unique("project", "name", projects.iter().map(|each| &*each.name))?;
        unique("user", "id", users.iter().map(|each| &*each.id))?;
        unique("user", "name", users.iter().map(|each| &*each.name))?;
        unique(
            "access_key",
            "access",
            self.access_key.iter().map(|each| &*each.access),
        )?;
        let mut tokens = HashSet::new();
        match self.token.iter().find(|each| !tokens.insert(&each.id)) {
            // Not which: that would be the token.
            Some(token) => Err(format!("two tokens have one id, of user {:?}", token.user)),
            None => Ok(()),
        }
    }

    /// A user by its id.
    fn user(&self, id: &str) -> Option<&User> {
        self.user.iter().find(|user| user.id == id)
    }

    /// What a user is called; its id, if the file does not list it.
    fn user_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.user(id).map_or(id, |user| &user.name)
    }

    /// What a project is called; its id, if the file does not list it.
    fn project_name<'a>(&'a self, id: &'a str) -> &'a str {
        let found = self.project.iter().find(|project| project.id == id);
        found.map_or(id, |project| &project.name)
    }
}

impl User {
    /// The names of the roles that the user has in a project.
    fn roles_in(&self, project: &str) -> Vec<String> {
        let grants = self.grants.iter().filter(|grant| grant.project == project);
        grants.flat_map(|grant| grant.roles.clone()).collect()
    }
}

fn unique<'a>(
    table: &str,
    field: &str,
    values: impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(format!("two [[{table}]] have the {field} {value:?}"));
        }
    }
    Ok(())
}
