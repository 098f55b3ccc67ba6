//! `imshare demo-env`: the variables that log a demo user in to the service on this machine.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::identity::IdentityFile;

/// The settings of other logins, which would mix with these.
const OTHERS: [&str; 12] = [
    "OS_CLOUD",
    "OS_TOKEN",
    "OS_USER_ID",
    "OS_PROJECT_ID",
    "OS_USER_DOMAIN_ID",
    "OS_PROJECT_DOMAIN_ID",
    "OS_APPLICATION_CREDENTIAL_ID",
    "OS_APPLICATION_CREDENTIAL_NAME",
    "OS_APPLICATION_CREDENTIAL_SECRET",
    "OS_REGION_NAME",
    "OS_INTERFACE",
    "OS_ENDPOINT",
];

/// The arguments of `imshare demo-env`.
#[derive(Debug, Args)]
#[command(after_help = "Use it as: eval \"$(imshare demo-env owner)\"")]
pub struct DemoEnv {
    /// The user: owner, owner-reader, member, member2 or admin, unless --identity names others.
    user: String,

    /// The address of the service.
    #[arg(long, default_value = "http://127.0.0.1:9292")]
    url: String,

    /// The identity file that the service was started with.
    #[arg(long, env = "IMSHARE_IDENTITY", value_name = "FILE")]
    identity: Option<PathBuf>,
}

impl DemoEnv {
    /// Prints the variables, as a shell reads them.
    ///
    /// # Errors
    /// One sentence for the user.
    pub fn print(&self) -> Result<(), String> {
        let identity = match &self.identity {
            Some(path) => IdentityFile::read(path)?,
            None => IdentityFile::demo()?,
        };
        let user = identity.user.iter().find(|user| user.name == self.user);
        let user = user.ok_or_else(|| {
            let names: Vec<&str> = identity.user.iter().map(|user| &*user.name).collect();
            format!(
                "there is no user {:?}: use one of {}",
                self.user,
                names.join(", ")
            )
        })?;
        let grant = user.grants.first();
        let grant = grant.ok_or_else(|| format!("the user {:?} has no project", user.name))?;
        let mut text = format!("unset {}\n", OTHERS.join(" "));
        let auth_url = format!("{}/identity/v3", self.url.trim_end_matches('/'));
        for (name, value) in [
            ("OS_AUTH_URL", auth_url.as_str()),
            ("OS_AUTH_TYPE", "password"),
            ("OS_IDENTITY_API_VERSION", "3"),
            ("OS_USERNAME", &user.name),
            ("OS_PASSWORD", user.password.reveal()),
            ("OS_USER_DOMAIN_NAME", "Default"),
            ("OS_PROJECT_NAME", identity.project_name(&grant.project)),
            ("OS_PROJECT_DOMAIN_NAME", "Default"),
        ] {
            text.push_str(&format!("export {name}={}\n", quoted(value)));
        }
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
        Ok(())
    }
}

/// A value as a shell reads it.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@%+,".contains(c);
    match !value.is_empty() && value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}
