//! What a login is made of, and the environment that it may come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::http::Trust;

/// What a login is made of, by the names that `clouds.yaml` uses.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl fmt::Debug for Settings {
    /// The names only: some values are secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.keys()).finish()
    }
}

/// Older names of settings.
const RENAMED: [(&str, &str); 6] = [
    ("tenant_name", "project_name"),
    ("tenant_id", "project_id"),
    ("endpoint_type", "interface"),
    ("user_name", "username"),
    ("url", "endpoint"),
    ("auth_token", "token"),
];

impl Settings {
    /// These, for tests.
    #[cfg(test)]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let mut settings = Self::default();
        for (name, value) in pairs {
            settings.set(name, Some(value));
        }
        settings
    }

    /// Sets one, unless the value is empty.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let renamed = RENAMED.iter().find(|(before, _)| *before == name);
        let name = renamed.map_or(name, |(_, now)| now);
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// One setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// These, and those of `other` that these do not have.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (name, value) in other.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// The settings that the variables `OS_*` are.
    pub fn of_environment(variables: &Variables) -> Self {
        let mut settings = Self::default();
        for (name, value) in &variables.0 {
            if let Some(name) = name.strip_prefix("OS_") {
                settings.set(&name.to_ascii_lowercase(), Some(value));
            }
        }
        settings
    }

    /// How connections are trusted.
    pub fn trust(&self) -> Trust {
        let off = |name, word: &str| {
            self.get(name)
                .is_some_and(|it| it.eq_ignore_ascii_case(word))
        };
        Trust {
            cacert: self.get("cacert").map(PathBuf::from),
            insecure: off("verify", "false") || off("insecure", "true") || off("insecure", "1"),
        }
    }

    /// Whether a login needs no question: its password, secret or token is there.
    pub fn can_log_in_silently(&self) -> bool {
        let secrets = ["password", "token", "application_credential_secret"];
        secrets.iter().any(|name| self.get(name).is_some())
    }

    /// A text that tells logins apart, to make a digest of: a token is in it, passwords are not.
    pub fn identity(&self) -> String {
        let secret = |name: &str| {
            ["password", "secret"]
                .iter()
                .any(|word| name.contains(word))
        };
        let shown = self.0.iter().filter(|(name, _)| !secret(name));
        shown
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect()
    }
}

/// The environment, passed in so that tests have their own.
#[derive(Clone, Debug, Default)]
pub struct Variables(pub BTreeMap<String, String>);

impl Variables {
    /// The process's environment.
    pub fn of_process() -> Self {
        let utf8 = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self(utf8.collect())
    }

    /// A variable that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}
