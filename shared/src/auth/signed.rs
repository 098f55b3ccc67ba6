//! Authenticates signed requests.

use lambda_http::RequestExt as _;
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::request::RequestContext;

use super::failures::{Failures, SourceAddress};
use super::signature::{Claim, Signable};
use crate::domain::error::ApiError;
use crate::domain::policy::Caller;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::http::Request;
use crate::http::request;
use crate::store::access_keys::AccessKeys;

/// The secret that a signature is checked with if there is no such key, so that the answer takes as long.
/// No signature is good by it.
const NOBODYS: &str = "0000000000000000000000000000000000000000";

/// Verifies a request's signature and returns the caller of its access key.
///
/// The signature is checked before anything is counted, so failures of others, even from the same
/// address, never keep a good signature out.
///
/// # Errors
/// 401 if the request is not signed, or not by a valid access key; 429 if there were many such requests.
pub async fn caller(
    keys: &AccessKeys,
    failures: &Failures,
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
    let nobodys = Secret::new(NOBODYS.to_owned());
    let secret = key.as_ref().map_or(&nobodys, |key| &key.secret);
    let fits = claim.check(signable, secret).is_ok();
    let Some(key) = key.filter(|_| fits) else {
        let answer = failures.count(claim.access, &source(request), now);
        return Err(ApiError::BadSignature(answer));
    };
    keys.record_use(claim.access, &key, now).await;
    Ok(key.caller)
}

/// The address that the request came from, as far as it is known.
fn source(request: &Request) -> String {
    if let Some(SourceAddress(address)) = request.extensions().get() {
        return address.to_string();
    }
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.clone(),
        _ => None,
    }
    .unwrap_or_default()
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
