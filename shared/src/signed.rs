//! The caller of a signed request.

use lambda_http::RequestExt as _;
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::request::RequestContext;

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::{self, Request};
use crate::signature::{Claim, Refused, Signable};

/// Who signed a request.
///
/// # Errors
/// 401 if nobody did, or if this service takes no signed requests.
pub async fn caller(app: &App, request: &Request) -> Result<Caller, ApiError> {
    let Some(keys) = app.access_keys() else {
        return Err(ApiError::Unauthorized);
    };
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
        body: http::body_bytes(request)?,
    };
    Claim::check_date(signable, app.now()).map_err(ApiError::BadSignature)?;
    let key = keys.get(claim.access, app.now()).await?;
    let key = key.ok_or(ApiError::BadSignature(Refused::Signature))?;
    claim
        .check(signable, &key.secret)
        .map_err(ApiError::BadSignature)?;
    Ok(key.caller)
}

/// The path as the client wrote it: at the gateway's own host name it begins with the stage, which
/// is signed too.
fn sent_path(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.path.as_deref(),
        _ => None,
    }
    .unwrap_or_else(|| http::raw_path(request))
}
