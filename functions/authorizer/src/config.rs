//! The environment: which Keystone, whose roles, how long an answer is remembered.

use shared::domain::roles::RoleNames;
use shared::runtime::config::{ConfigError, parsed, required, role_names};

use crate::service_user::Source;

/// Seconds that an identity is remembered unless configured otherwise.
const DEFAULT_CACHE_TTL: u32 = 300;

/// What a deployment decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Keystone to ask.
    pub keystone: KeystoneConfig,
    /// What roles are called there.
    pub roles: RoleNames,
    /// Seconds that an identity is remembered; 0 where the gateway remembers it.
    pub cache_ttl: u32,
    /// Whether signed requests come through, for the functions to check.
    pub signed_requests: bool,
}

/// A Keystone, and who asks it.
#[derive(Clone, Debug)]
pub struct KeystoneConfig {
    /// Its address, up to and including `/v3`.
    pub url: String,
    /// Where the service user comes from.
    pub service_user: Source,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::of_keystone(&required("KEYSTONE_URL")?)
    }

    /// The same with this Keystone, whatever `KEYSTONE_URL` says.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn of_keystone(url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            keystone: KeystoneConfig {
                url: versioned(url).ok_or_else(|| {
                    ConfigError::malformed("KEYSTONE_URL", "an http or https URL without a query")
                })?,
                service_user: Source::from_env()?,
            },
            roles: role_names()?,
            cache_ttl: parsed("AUTH_CACHE_TTL", DEFAULT_CACHE_TTL, "a number of seconds")?,
            signed_requests: parsed("SIGNED_REQUESTS", false, "true or false")?,
        })
    }
}

/// An address of Keystone with its version: people write it with and without.
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
