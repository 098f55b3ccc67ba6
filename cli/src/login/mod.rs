//! Logging in as the `openstack` command does: options, `OS_*` variables, `clouds.yaml`, Keystone.
//!
//! | module | what it knows |
//! |---|---|
//! | this one | the options of a login, and which source wins |
//! | [`settings`] | what a login is made of |
//! | [`clouds`] | `clouds.yaml`, `secure.yaml`, `clouds-public.yaml` |
//! | [`keystone`], `catalog` | tokens, and where the image service is |
//! | [`directory`] | the names of projects |

mod catalog;
pub mod clouds;
pub mod directory;
pub mod keystone;
pub mod settings;

use std::fmt;

use clap::Args;

use settings::{Settings, Variables};

use crate::error::Outcome;

/// Declares the options of a login; each is also a setting of that name.
macro_rules! options {
    ($($(#[$more:meta])* $field:ident: $setting:literal, $value:literal, $help:literal;)*) => {
        /// Options of a login, as the `openstack` command has them. Each can also be a variable such as
        /// `OS_USERNAME`, or be in `clouds.yaml`.
        #[derive(Clone, Default, Args)]
        #[command(next_help_heading = "Login")]
        pub struct LoginOptions {
            /// The cloud of clouds.yaml to log in to [env: OS_CLOUD].
            #[arg(long, value_name = "NAME")]
            pub os_cloud: Option<String>,
            $(
                #[doc = $help]
                #[arg(long, value_name = $value, hide_short_help = true)]
                $(#[$more])*
                pub $field: Option<String>,
            )*
            /// Trust every certificate.
            #[arg(long, hide_short_help = true)]
            pub insecure: bool,
        }

        impl LoginOptions {
            /// These options, and those of `other` that these do not have.
            #[must_use]
            pub fn or(self, other: &Self) -> Self {
                Self {
                    os_cloud: self.os_cloud.or_else(|| other.os_cloud.clone()),
                    $($field: self.$field.or_else(|| other.$field.clone()),)*
                    insecure: self.insecure || other.insecure,
                }
            }

            /// Whether none is given.
            pub fn is_empty(&self) -> bool {
                self.os_cloud.is_none() && !self.insecure $(&& self.$field.is_none())*
            }

            fn settings(&self) -> Settings {
                let mut settings = Settings::default();
                $(settings.set($setting, self.$field.as_deref());)*
                if self.insecure {
                    settings.set("verify", Some("false"));
                }
                settings
            }
        }
    };
}

options! {
    os_auth_url: "auth_url", "URL", "The address of the identity service.";
    os_auth_type: "auth_type", "TYPE", "password, token, v3applicationcredential or admin_token.";
    os_username: "username", "NAME", "The user.";
    os_user_id: "user_id", "ID", "The user, by id.";
    os_password: "password", "PASSWORD", "The user's password; better in OS_PASSWORD, since other users see options.";
    os_user_domain_name: "user_domain_name", "NAME", "The user's domain.";
    os_user_domain_id: "user_domain_id", "ID", "The user's domain, by id.";
    os_project_name: "project_name", "NAME", "The project.";
    os_project_id: "project_id", "ID", "The project, by id.";
    os_project_domain_name: "project_domain_name", "NAME", "The project's domain.";
    os_project_domain_id: "project_domain_id", "ID", "The project's domain, by id.";
    os_token: "token", "TOKEN", "A token; better in OS_TOKEN, since other users see options.";
    os_application_credential_id: "application_credential_id", "ID", "An application credential.";
    os_application_credential_name: "application_credential_name", "NAME", "An application credential of the user.";
    os_application_credential_secret: "application_credential_secret", "SECRET", "Its secret; better in the environment.";
    os_region_name: "region_name", "NAME", "The region whose image service is used.";
    os_interface: "interface", "INTERFACE", "public, internal or admin.";
    os_image_endpoint_override: "image_endpoint_override", "URL", "The address of the image service, instead of the catalog's.";
    os_cacert: "cacert", "FILE", "Certificates to trust instead of the system's.";
}

impl fmt::Debug for LoginOptions {
    /// Without the values, some of which are secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LoginOptions({:?})", self.settings())
    }
}

/// Collects the settings: an option wins over a variable, and a variable over `clouds.yaml`, as with
/// the `openstack` command.
///
/// # Errors
/// If the cloud is not in `clouds.yaml`, or the file cannot be read.
pub fn collect(options: &LoginOptions, variables: &Variables) -> Outcome<Settings> {
    let given = options.settings().or(Settings::of_environment(variables));
    let asked = options
        .os_cloud
        .as_deref()
        .or_else(|| variables.get("OS_CLOUD"));
    let of_cloud = match asked {
        Some(name) => clouds::named(name, variables, given.get("region_name"))?,
        // As the SDK has it: a single cloud needs no name.
        None if given.get("auth_url").is_none() && given.get("endpoint").is_none() => {
            clouds::single(variables, given.get("region_name"))?
        }
        None => Settings::default(),
    };
    Ok(given.or(of_cloud))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Variables(owned.collect())
    }

    #[test]
    fn an_option_wins_over_a_variable_and_that_over_the_file() {
        let directory = std::env::temp_dir().join(format!("imshare-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&directory).unwrap();
        let file = directory.join("clouds.yaml");
        let text = "clouds: {prod: {auth: {auth_url: 'http://yaml', username: yaml, password: yaml, \
                    project_name: yaml}, region_name: yaml, verify: false}}";
        std::fs::write(&file, text).unwrap();
        let variables = variables(&[
            ("OS_CLIENT_CONFIG_FILE", file.to_str().unwrap()),
            ("OS_CLOUD", "prod"),
            ("OS_USERNAME", "variable"),
            ("OS_TENANT_NAME", "variable"),
            ("OS_PASSWORD", ""),
        ]);
        let options = LoginOptions {
            os_project_name: Some("option".to_owned()),
            ..LoginOptions::default()
        };
        let found = collect(&options, &variables).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found.get("project_name"), Some("option"));
        assert_eq!(found.get("username"), Some("variable"));
        assert_eq!(found.get("password"), Some("yaml"));
        assert!(found.trust().insecure);
        // Neither form shows a value.
        for shown in [format!("{found:?}"), format!("{options:?}")] {
            assert!(
                !shown.contains("yaml") && !shown.contains("\"option\""),
                "{shown}"
            );
        }
        assert!(!found.identity().contains("password"));
    }
}
