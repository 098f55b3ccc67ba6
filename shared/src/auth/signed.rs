//! Authenticates signed requests.

use lambda_http::RequestExt as _;
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::request::RequestContext;

use super::signature::{Claim, Signable};
use crate::domain::error::{ApiError, BadSignature};
use crate::domain::policy::Caller;
use crate::domain::time::Timestamp;
use crate::http::Request;
use crate::http::request;
use crate::store::access_keys::AccessKeys;

/// Verifies a request's signature and returns the caller of its access key.
///
/// # Errors
/// 401 if the request is not signed, or not by a valid access key.
pub async fn caller(
    keys: &AccessKeys,
    request: &Request,
    now: Timestamp,
) -> Result<Caller, ApiError> {
    let authorization = request.headers().get(AUTHORIZATION);
    let claim = authorization
        .and_then(|value| value.to_str().ok())
        .and_then(Claim::read)
        .ok_or(ApiError::Unauthorized)?
        .map_err(ApiError::BadSignature)?;
    let signable = Signable {
        method: request.method().as_str(),
        path: sent_path(request),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        body: request::body_bytes(request)?,
    };
    Claim::check_date(signable, now).map_err(ApiError::BadSignature)?;
    let key = keys.get(claim.access, now).await?;
    let key = key.ok_or(ApiError::BadSignature(BadSignature::Signature))?;
    claim
        .check(signable, &key.secret)
        .map_err(ApiError::BadSignature)?;
    Ok(key.caller)
}

/// The path as the client sent it. At the gateway's own host name it begins with the stage, which is
/// signed too.
fn sent_path(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.path.as_deref(),
        _ => None,
    }
    .unwrap_or_else(|| request::raw_path(request))
}
