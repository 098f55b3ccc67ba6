//! Development identities: the identity file, and a small service with Keystone's API.
//!
//! | module | what it knows |
//! |---|---|
//! | this one | the identity file: projects, users, fixed tokens, access keys |
//! | [`tokens`] | valid tokens, their users and when they expire |
//! | [`login`] | parses and authenticates logins |
//! | [`service`] | HTTP under `/identity` |
//! | `warnings` | probable mistakes in the file |
//! | `view` | the response documents |

pub mod login;
pub mod service;
pub mod tokens;
mod view;
mod warnings;

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use shared::domain::id::ProjectId;
use shared::domain::secret::Secret;
use shared::runtime::projects::Projects;

/// The demo identities, which are used if no file is named.
const DEMO: &str = include_str!("../demo-identity.toml");

/// The content of an identity file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFile {
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
    pub access_key: Vec<AccessKeyEntry>,
}

/// A project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret,
    /// Its roles by project.
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
    /// The token.
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
pub struct AccessKeyEntry {
    /// The id that a signed request names.
    pub access: String,
    /// The secret that requests are signed with.
    pub secret: Secret,
    /// The user's id.
    pub user: String,
    /// The project's id.
    pub project: String,
    /// The roles' names.
    pub roles: Vec<String>,
}

impl IdentityFile {
    /// The demo identities.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn demo() -> Result<Self, String> {
        Self::parse(DEMO)
    }

    /// Reads an identity file.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        // Only the message: the error's own form quotes lines of the file, secrets included.
        let identity: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.get(..span.start)
                    .map_or(1, |before| before.matches('\n').count() + 1)
            });
            format!("line {line}: {}", error.message())
        })?;
        identity.unique_names()?;
        identity.not_empty()?;
        Ok(identity)
    }

    /// Checks that the file lets anybody send a request.
    fn not_empty(&self) -> Result<(), String> {
        match self.user.is_empty() && self.token.is_empty() && self.access_key.is_empty() {
            true => Err(
                "it has no [[user]], no [[token]] and no [[access_key]]: nobody could send a \
                 request"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    /// Checks that no two users, projects, keys or tokens have one id or name.
    fn unique_names(&self) -> Result<(), String> {
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
            // The token itself is a secret.
            Some(token) => Err(format!("two tokens have one id, of user {:?}", token.user)),
            None => Ok(()),
        }
    }

    /// Its projects: all that exist.
    pub fn projects(&self) -> Projects {
        let projects = self.project.iter();
        Projects::fixed(projects.filter_map(|each| ProjectId::parse(each.id.as_str()).ok()))
    }

    /// Finds a user by its id.
    fn user(&self, id: &str) -> Option<&User> {
        self.user.iter().find(|user| user.id == id)
    }

    /// The name of a user, or its id if the file does not list it.
    fn user_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.user(id).map_or(id, |user| &user.name)
    }

    /// The name of a project, or its id if the file does not list it.
    pub(crate) fn project_name<'a>(&'a self, id: &'a str) -> &'a str {
        let found = self.project.iter().find(|project| project.id == id);
        found.map_or(id, |project| &project.name)
    }
}

impl User {
    /// The user's roles in a project.
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
