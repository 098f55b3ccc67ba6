//! The authorizer on this machine: whom a token stands for, by the identity file or by a Keystone.

use std::sync::Arc;

use authorizer::Denied;
use serde_json::Value;
use shared::error::ApiError;
use shared::time::Clock;

use crate::identity::{self, Identity};

/// What a gateway adds to a request: names and values.
pub type Context = Vec<(String, Value)>;

/// Says whom tokens stand for; cheap to clone.
#[derive(Clone, Debug)]
pub enum Authority {
    /// The identity file.
    File(Arc<identity::Authorizer>),
    /// A Keystone, asked by the deployed authorizer's own code.
    Keystone(authorizer::Authorizer),
}

impl Authority {
    /// These identities.
    pub fn file(identity: &Identity) -> Self {
        Self::File(Arc::new(identity::Authorizer::new(identity)))
    }

    /// This Keystone.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn keystone(config: authorizer::config::Config, clock: Clock) -> Result<Self, String> {
        authorizer::Authorizer::new(config, clock)
            .map(Self::Keystone)
            .map_err(|error| format!("no certificates to know Keystone by: {error}"))
    }

    /// The context of a token's request: empty if the token stands for nobody.
    ///
    /// # Errors
    /// If Keystone cannot be asked.
    pub async fn context(&self, token: &[u8]) -> Result<Context, ApiError> {
        match self {
            Self::File(authorizer) => {
                let token = std::str::from_utf8(token).unwrap_or_default();
                let who = authorizer.authorize(token);
                Ok(who.map_or_else(Context::new, |who| {
                    named(&[
                        ("project_id", &who.project_id),
                        ("user_id", &who.user_id),
                        ("roles", &who.roles),
                    ])
                }))
            }
            Self::Keystone(authorizer) => match authorizer.identify(token).await {
                Ok(identity) => Ok(named(&identity.context())),
                Err(Denied::Unauthorized) => Ok(Context::new()),
                Err(Denied::Unavailable(why)) => Err(ApiError::unavailable(why)),
            },
        }
    }
}

fn named(fields: &[(&str, impl AsRef<str>)]) -> Context {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_ref())))
        .collect()
}
