//! Secrets: texts that are never shown.

use std::fmt;

use serde::Deserialize;

/// A password, a token or a key. Its `Debug` form does not contain it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Reveals the text, for the few places that must send it or compute with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("open sesame".to_owned());
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "redacted Some(\n    redacted,\n)"
        );
    }

    #[test]
    fn a_secret_is_revealed_to_who_asks_for_it() {
        let secret: Secret = serde_json::from_str("\"open sesame\"").unwrap();
        assert_eq!(secret.reveal(), "open sesame");
        assert_eq!(secret, Secret::new("open sesame".to_owned()));
    }
}
