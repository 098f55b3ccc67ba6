//! The configuration of a deployment. No other module reads the environment.

use std::env::VarError;

use crate::domain::limits::ProjectLimits;
use crate::domain::policy::Policy;
use crate::domain::roles::RoleNames;
use crate::http::address::Endpoint;
use crate::http::cross_origin::Origins;
use crate::http::site::Site;
use crate::store::Indexes;

/// The default member quota of an image, as in Glance.
pub const DEFAULT_MEMBER_QUOTA: i64 = 128;
/// The configuration of a deployment.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table: String,
    /// The URL of the batches' queue.
    pub queue_url: String,
    /// The URL of their dead letters, for the function that makes some.
    pub dead_letters_url: Option<String>,
    /// The member quota of one image; negative for none.
    pub member_quota: i64,
    /// What one project may have at once.
    pub limits: ProjectLimits,
    /// The options of the permission policy.
    pub policy: Policy,
    /// Whether the table's indexes lag.
    pub indexes: Indexes,
    /// Where the service is reached.
    pub site: Site,
}

/// The defaults; the names of table and queue are empty and must be set.
impl Default for Config {
    fn default() -> Self {
        Self {
            table: String::new(),
            queue_url: String::new(),
            dead_letters_url: None,
            member_quota: DEFAULT_MEMBER_QUOTA,
            limits: ProjectLimits::default(),
            policy: Policy::default(),
            indexes: Indexes::Eventual,
            site: Site::default(),
        }
    }
}

/// Names the variable that is missing or malformed.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// A required variable is not set.
    pub fn missing(name: &str) -> Self {
        Self(format!("the environment variable {name} is not set"))
    }

    /// What a variable names cannot be used, in a sentence.
    pub fn unusable(name: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("the environment variable {name}: {why}"))
    }

    /// A variable is malformed. Its value is not shown: it may be a secret.
    pub fn malformed(name: &str, form: &str) -> Self {
        Self(format!("the environment variable {name} must be {form}"))
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Reads a required variable.
///
/// # Errors
/// If it is not set, or empty.
pub fn required(name: &str) -> Result<String, ConfigError> {
    optional(name).ok_or_else(|| ConfigError::missing(name))
}

/// Reads an optional variable. An empty one counts as not set.
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads an optional list. Unlike [`optional`] it distinguishes an empty list from a variable that is
/// not set.
///
/// # Errors
/// If it is not UTF-8.
pub fn list(name: &str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        Ok(list) => Ok(Some(list)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ConfigError::malformed(name, "UTF-8")),
    }
}

/// Reads and parses an optional variable.
///
/// # Errors
/// If it is set and does not parse.
pub fn parsed<T: std::str::FromStr>(name: &str, default: T, form: &str) -> Result<T, ConfigError> {
    match optional(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| ConfigError::malformed(name, form)),
    }
}

impl Config {
    /// Reads the configuration from the environment.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        let unless = ProjectLimits::default();
        Ok(Self {
            table: required("TABLE_NAME")?,
            queue_url: required("QUEUE_URL")?,
            dead_letters_url: optional("DEAD_LETTERS_URL"),
            member_quota: parsed("MEMBER_QUOTA", DEFAULT_MEMBER_QUOTA, "a whole number")?,
            limits: ProjectLimits {
                jobs: parsed("JOB_QUOTA", unless.jobs, "a whole number")?,
                entries: parsed("ENTRY_QUOTA", unless.entries, "a whole number")?,
                images: parsed("IMAGE_QUOTA", unless.images, "a whole number")?,
            },
            policy: Policy {
                member_may_leave: parsed("MEMBER_MAY_LEAVE", false, "true or false")?,
            },
            indexes: Indexes::Eventual,
            site: Site {
                public_endpoint: optional("PUBLIC_ENDPOINT")
                    .map(|text| text.parse())
                    .transpose()
                    .map_err(|_| ConfigError::malformed("PUBLIC_ENDPOINT", Endpoint::FORM))?,
                listen: None,
                auth_uri: optional("AUTH_URI"),
                cors_origins: parsed("CORS_ORIGINS", Origins::default(), Origins::FORM)?,
            },
        })
    }
}

/// Reads the names of the roles: `ROLE_ADMIN`, `ROLE_MEMBER` and `ROLE_READER` are lists separated
/// by commas. A variable that is set and empty gives the role to nobody.
///
/// # Errors
/// If a variable is not UTF-8, by its name.
pub fn role_names() -> Result<RoleNames, ConfigError> {
    RoleNames::read(list)
}
