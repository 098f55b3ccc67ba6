//! The environment: which Keystone, whose roles, how long tokens are cached.

use shared::domain::roles::RoleNames;
use shared::runtime::config::{ConfigError, parsed, required, role_names};
pub use shared::runtime::keystone::KeystoneConfig;

/// How many seconds a valid token is cached by default.
const DEFAULT_CACHE_TTL: u32 = 300;

/// The configuration of a deployment.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Keystone to ask.
    pub keystone: KeystoneConfig,
    /// The names of roles in Keystone.
    pub roles: RoleNames,
    /// How many seconds a valid token is cached; 0 if the gateway caches it.
    pub cache_ttl: u32,
    /// Whether signed requests are let through, for the functions to verify.
    pub signed_requests: bool,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::of_keystone(&required("KEYSTONE_URL")?)
    }

    /// Reads the environment, with this Keystone instead of `KEYSTONE_URL`.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn of_keystone(url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            keystone: KeystoneConfig::of_url(url)?,
            roles: role_names()?,
            cache_ttl: parsed("AUTH_CACHE_TTL", DEFAULT_CACHE_TTL, "a number of seconds")?,
            signed_requests: parsed("SIGNED_REQUESTS", false, "true or false")?,
        })
    }
}
