//! The authorizer on this machine: whom a token stands for, by the identity file or by a Keystone.

use std::sync::Arc;

use authorizer::Denied;
use serde_json::Value;
use shared::error::ApiError;
use shared::time::{Clock, Timestamp};

use crate::identity::Identity;
use crate::identity::service::IdentityService;

/// What a gateway adds to a request: names and values.
pub type Context = Vec<(String, Value)>;

/// Says whom tokens stand for; cheap to clone.
#[derive(Clone, Debug)]
pub enum Authority {
    /// The identity file.
    File(Arc<IdentityService>),
    /// A Keystone, asked by the deployed authorizer's own code.
    Keystone(authorizer::Authorizer),
}

impl Authority {
    /// These identities.
    pub fn file(identity: Identity) -> Self {
        Self::File(Arc::new(IdentityService::new(identity)))
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
    pub async fn context(&self, token: &[u8], now: Timestamp) -> Result<Context, ApiError> {
        match self {
            Self::File(service) => {
                let token = std::str::from_utf8(token).unwrap_or_default();
                let Some(who) = service.authorize(token, now) else {
                    return Ok(Context::new());
                };
                let mut fields = vec![
                    ("project_id", who.project_id),
                    ("user_id", who.user_id),
                    ("roles", who.roles),
                ];
                fields.extend(who.expires_at.map(|until| ("expires_at", until.stored())));
                Ok(named(&fields))
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
