//! The environment: which Keystone, and as whom to ask it.

use std::path::PathBuf;

use lambda_http::http::Uri;

use super::service_user::UserSource;
use crate::runtime::config::{ConfigError, optional};

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

impl KeystoneConfig {
    /// Reads the environment, for a Keystone at this URL.
    ///
    /// # Errors
    /// If the URL or a variable is malformed, or a variable is missing, by its name.
    pub fn of_url(url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            url: versioned(url).ok_or_else(|| {
                ConfigError::malformed("KEYSTONE_URL", "an http or https URL without a query")
            })?,
            service_user: UserSource::from_env()?,
            authorities: optional("KEYSTONE_CA_FILE").map(PathBuf::from),
        })
    }
}

/// Adds Keystone's API version to a URL, which operators write with and without it.
fn versioned(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
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
