//! Authenticates requests: by the authorizer's context, or else by their signature. Identity headers
//! sent by the client are ignored. The local server is its own gateway: it attaches the principal
//! itself.
//!
//! It knows tokens only as the context describes them; the function `authorizer` checks them with
//! Keystone. It must not know what a caller may do: that is [`crate::domain::policy`].
//!
//! | module | what it knows |
//! |---|---|
//! | [`principal`] | the user, project and role of a token, as the authorizer writes them into the gateway's context |
//! | [`access_rules`] | the requests that an application credential may make |
//! | [`signature`] | the signing algorithm `SDK-HMAC-SHA256` |
//! | [`failures`] | counts bad signatures, which are answered differently when they are many |
//! | `signed` | the caller of a signed request |
//! | `dev_identity` | callers from the identity file, for `cargo lambda watch` (never in a release build) |

pub mod access_rules;
#[cfg(feature = "dev-identity")]
pub mod dev_identity;
pub mod failures;
pub mod principal;
pub mod signature;
mod signed;

use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use serde_json::Value;

use crate::domain::error::ApiError;
use crate::domain::policy::Caller;
use crate::domain::time::Timestamp;
use crate::http::Request;
use crate::store::access_keys::AccessKeys;
use failures::Failures;
use principal::Principal;

/// The ways to authenticate a request beside the authorizer's context.
#[derive(Clone, Debug, Default)]
pub struct Authentication {
    /// The table of access keys; `None` if signed requests are refused.
    pub access_keys: Option<AccessKeys>,
    /// Bad signatures of the last minute.
    pub failures: Failures,
    /// The fixed tokens of an identity file.
    #[cfg(feature = "dev-identity")]
    pub dev_tokens: Option<dev_identity::DevTokens>,
}

impl Authentication {
    /// Accepts signed requests, by this table of access keys.
    pub fn with_keys(access_keys: AccessKeys) -> Self {
        Self {
            access_keys: Some(access_keys),
            failures: Failures::default(),
            #[cfg(feature = "dev-identity")]
            dev_tokens: None,
        }
    }

    /// Authenticates a request.
    ///
    /// # Errors
    /// 401 if the request is neither authorized nor validly signed, or if its token has expired since or
    /// does not permit this request.
    pub async fn caller(&self, request: &Request, now: Timestamp) -> Result<Caller, ApiError> {
        let principal = match request.extensions().get::<Principal>() {
            Some(attached) => Some(Ok(attached.clone())),
            None => Principal::of_context(|name| context_field(request, name)),
        };
        if let Some(principal) = principal {
            return principal?.caller(request, now);
        }
        #[cfg(feature = "dev-identity")]
        if let Some(tokens) = &self.dev_tokens
            && let Some(caller) = tokens.caller(request)
        {
            return Ok(caller);
        }
        // The authorizer has refused the token. A signature beside it does not make it valid.
        if request.headers().contains_key("x-auth-token") {
            return Err(ApiError::Unauthorized);
        }
        let keys = self.access_keys.as_ref().ok_or(ApiError::Unauthorized)?;
        signed::caller(keys, &self.failures, request, now).await
    }
}

/// A field of the authorizer's context.
fn context_field<'a>(request: &'a Request, name: &str) -> Option<&'a Value> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => context.authorizer.fields.get(name),
        RequestContext::ApiGatewayV2(context) => context.authorizer.as_ref()?.fields.get(name),
        _ => None,
    }
}
