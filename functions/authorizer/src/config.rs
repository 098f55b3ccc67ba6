//! The environment: which Keystone, whose roles, how long tokens are cached.

use std::path::PathBuf;

use shared::domain::roles::RoleNames;
use shared::runtime::config::{ConfigError, optional, parsed, required, role_names};

use crate::service_user::UserSource;

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

/// A Keystone, and the user that asks it.
#[derive(Clone, Debug)]
pub struct KeystoneConfig {
    /// Its address, up to and including `/v3`.
    pub url: String,
    /// Where the service user comes from.
    pub service_user: UserSource,
    /// A file of certificates in PEM that verify Keystone's, beside those of the host: a private
    /// cloud's own authorities.
    pub authorities: Option<PathBuf>,
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
            keystone: KeystoneConfig {
                url: versioned(url).ok_or_else(|| {
                    ConfigError::malformed("KEYSTONE_URL", "an http or https URL without a query")
                })?,
                service_user: UserSource::from_env()?,
                authorities: optional("KEYSTONE_CA_FILE").map(PathBuf::from),
            },
            roles: role_names()?,
            cache_ttl: parsed("AUTH_CACHE_TTL", DEFAULT_CACHE_TTL, "a number of seconds")?,
            signed_requests: parsed("SIGNED_REQUESTS", false, "true or false")?,
        })
    }
}

/// Adds Keystone's API version to a URL, which operators write with and without it.
fn versioned(url: &str) -> Option<String> {
    let uri: hyper::Uri = url.parse().ok()?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    if !known || uri.host()?.is_empty() || uri.query().is_some() {
        return None;
    }
    let base = url.trim_end_matches('/');
    Some(format!("{}/v3", base.strip_suffix("/v3").unwrap_or(base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_its_version() {
        for (written, read) in [
            ("https://keystone:5000", Some("https://keystone:5000/v3")),
            (
                "https://keystone:5000/v3/",
                Some("https://keystone:5000/v3"),
            ),
            ("http://cloud/identity", Some("http://cloud/identity/v3")),
            ("keystone:5000", None),
            ("ftp://keystone", None),
            ("https://keystone/?a=b", None),
            ("", None),
        ] {
            assert_eq!(versioned(written).as_deref(), read, "{written}");
        }
    }
}
