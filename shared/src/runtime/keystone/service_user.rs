//! The user that validates tokens with Keystone: from the environment, or from a secret in Secrets
//! Manager with fields of the same names.

use std::time::Duration;

use crate::domain::secret::Secret;
use crate::runtime::config::{ConfigError, optional, parsed, required};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::client::{Client, FullResponse};

/// The default port of the AWS Parameters and Secrets Lambda Extension.
const EXTENSION_PORT: u16 = 2773;
/// What the extension says while it starts.
const NOT_READY: &str = "not ready";
/// The pauses between requests to an extension that is not ready: 1.5 s together, which a request
/// for a token can wait.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(225),
    Duration::from_millis(400),
    Duration::from_millis(700),
];

/// A Keystone user that may validate tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceUser {
    /// A user with a password.
    Password {
        /// The user's name and domain.
        user: (String, String),
        /// Its password.
        password: Secret,
        /// The name and domain of the project to scope the login to.
        project: (String, String),
    },
    /// An application credential.
    ApplicationCredential {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
}

impl ServiceUser {
    /// Reads the user from variables: the environment's, or the fields of a secret.
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let required = |name: &str| variable(name).ok_or_else(|| ConfigError::missing(name));
        let or = |name: &str, default: &str| variable(name).unwrap_or_else(|| default.to_owned());
        if let Some(id) = variable("KEYSTONE_APPLICATION_CREDENTIAL_ID") {
            let secret = Secret::new(required("KEYSTONE_APPLICATION_CREDENTIAL_SECRET")?);
            return Ok(Self::ApplicationCredential { id, secret });
        }
        Ok(Self::Password {
            user: (
                required("KEYSTONE_USERNAME")?,
                or("KEYSTONE_USER_DOMAIN", "Default"),
            ),
            password: Secret::new(required("KEYSTONE_PASSWORD")?),
            project: (
                or("KEYSTONE_PROJECT", "service"),
                or("KEYSTONE_PROJECT_DOMAIN", "Default"),
            ),
        })
    }

    /// The body of the user's login request.
    pub fn login(&self) -> Value {
        match self {
            Self::Password {
                user,
                password,
                project,
            } => json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user": {
                    "name": user.0,
                    "domain": {"name": user.1},
                    "password": password.reveal(),
                }}},
                "scope": {"project": {"name": project.0, "domain": {"name": project.1}}},
            }}),
            Self::ApplicationCredential { id, secret } => json!({"auth": {"identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": id, "secret": secret.reveal()},
            }}}),
        }
    }
}

/// Where the service user comes from.
#[derive(Clone, Debug)]
pub enum UserSource {
    /// The environment, which was read at the start.
    Fixed(ServiceUser),
    /// A secret, read at each login because it may have been rotated.
    SecretsManager {
        /// The secret's URL at the extension, which listens on this machine.
        url: String,
        /// Proves to the extension that the request comes from its function.
        session_token: Secret,
    },
}

impl UserSource {
    /// Reads the environment.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        let Some(arn) = optional("KEYSTONE_SECRET_ARN") else {
            return ServiceUser::read(optional).map(Self::Fixed);
        };
        let variable = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT";
        let port: u16 = parsed(variable, EXTENSION_PORT, "a port number")?;
        let arn = utf8_percent_encode(&arn, NON_ALPHANUMERIC);
        Ok(Self::SecretsManager {
            url: format!("http://localhost:{port}/secretsmanager/get?secretId={arn}"),
            session_token: Secret::new(required("AWS_SESSION_TOKEN")?),
        })
    }

    /// Whether reading again may give another user.
    pub const fn may_change(&self) -> bool {
        matches!(self, Self::SecretsManager { .. })
    }

    /// Reads the user.
    ///
    /// # Errors
    /// One sentence for the log, without any part of the secret.
    pub async fn user(&self, client: &Client) -> Result<ServiceUser, String> {
        let (url, session_token) = match self {
            Self::Fixed(user) => return Ok(user.clone()),
            Self::SecretsManager { url, session_token } => (url, session_token),
        };
        let request = Request::get(url)
            .header("x-aws-parameters-secrets-token", session_token.reveal())
            .body(Full::default())
            .map_err(|_| "the secret has an impossible address".to_owned())?;
        let response = read(client, &request).await;
        let response = response.map_err(|why| format!("cannot read the secret: {why}"))?;
        let fields = response
            .json()
            .and_then(|answer| serde_json::from_str(answer.get("SecretString")?.as_str()?).ok());
        let fields: Map<String, Value> = fields.ok_or("the secret is not a JSON object")?;
        let field = |name: &str| {
            let text = fields.get(name)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        ServiceUser::read(field).map_err(|error| format!("the secret: {error}"))
    }
}

/// Asks the extension for a secret. Right after a cold start it answers 400 for some moments, until
/// it is ready.
async fn read(client: &Client, request: &Request<Full<Bytes>>) -> Result<FullResponse, String> {
    for pause in PAUSES {
        let response = client.send(request.clone()).await?;
        if response.status == 200 {
            return Ok(response);
        }
        if response.status != 400 || !response.says(NOT_READY) {
            return Err(format!("status {}", response.status));
        }
        tokio::time::sleep(pause).await;
    }
    Err("the extension does not become ready".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_what_is_secret_is_not_shown() {
        let read = |set: &[(&str, &str)]| {
            ServiceUser::read(|name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let missing = read(&[("KEYSTONE_USERNAME", "imshare")]).unwrap_err();
        assert!(missing.to_string().contains("KEYSTONE_PASSWORD"));
        let missing = read(&[("KEYSTONE_APPLICATION_CREDENTIAL_ID", "c")]).unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("KEYSTONE_APPLICATION_CREDENTIAL_SECRET")
        );

        let user = read(&[
            ("KEYSTONE_USERNAME", "imshare"),
            ("KEYSTONE_PASSWORD", "pw"),
        ])
        .unwrap();
        assert!(!format!("{user:?}").contains("pw"));
        let scope = &user.login()["auth"]["scope"];
        assert_eq!(scope["project"]["name"], "service");
        assert_eq!(scope["project"]["domain"]["name"], "Default");
    }
}
