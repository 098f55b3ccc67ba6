//! Parse a request, render an answer, run an API function.

pub mod address;
pub mod cross_origin;
mod error_form;

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use lambda_http::http::{HeaderMap, HeaderValue, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use serde_json::Value;
use tracing::Instrument as _;

use address::Host;
use cross_origin::CrossOrigin;
use error_form::ErrorForm;

use crate::app::App;
use crate::auth::{Caller, Role};
use crate::error::ApiError;
use crate::id::{ImageId, ProjectId};
use crate::meter;
use crate::routes;
use crate::signed;
use crate::time::Timestamp;

/// A request as the gateway hands it to a function.
pub type Request = lambda_http::Request;
/// An answer.
pub type Response = lambda_http::Response<Body>;
/// What a handler returns.
pub type Handled = Result<Response, ApiError>;

/// The largest request body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// The longest request id that is echoed, in characters.
const REQUEST_ID_MAX: usize = 64;
/// The header that carries the request id, both ways.
const REQUEST_ID: &str = "x-openstack-request-id";

/// Runs an API function under the Lambda runtime.
///
/// # Errors
/// If the configuration is not complete, by the name of what is missing.
pub async fn serve<H, F>(handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(App, Request) -> F + Copy + Send,
    F: Future<Output = Handled> + Send,
{
    let app = App::from_env()?;
    let app = &app;
    lambda_http::run(lambda_http::service_fn(
        move |request: Request| async move {
            Ok::<_, std::convert::Infallible>(answer(app.clone(), request, handler).await)
        },
    ))
    .await
}

/// Answers one request: the one place where a handler's outcome becomes HTTP and a failure is logged.
pub async fn answer<H, F>(app: App, mut request: Request, handler: H) -> Response
where
    H: FnOnce(App, Request) -> F,
    F: Future<Output = Handled>,
{
    let id = request_id(request.headers());
    let id_header = HeaderValue::from_str(&id).ok();
    if let Some(value) = id_header.clone() {
        // From here on the request has this id, also for the messages that it sends.
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let form = ErrorForm::of(&request, &app);
    let cross_origin = CrossOrigin::of(&app.config().cors_origins, &request);
    let path = raw_path(&request).to_owned();
    let now = app.now();
    let span = tracing::info_span!("request", request.id = %id, http.method = %form.method, http.path = %path);
    async {
        let work = AssertUnwindSafe(handler(app, request)).catch_unwind();
        let (outcome, usage) = meter::measured(work).await;
        let outcome = outcome.unwrap_or_else(|_| Err(ApiError::internal("the handler panicked")));
        let mut response = match outcome {
            Ok(response) => response,
            Err(error) => {
                match &error {
                    ApiError::Internal(why) | ApiError::Unavailable(why) => {
                        tracing::error!(
                            error.status = error.status(),
                            error.why = why.for_log(),
                            "failed"
                        );
                    }
                    refused => tracing::debug!(error.status = refused.status(), "refused"),
                }
                form.render(&error)
            }
        };
        if let Some(value) = id_header {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if let Some(cross_origin) = cross_origin {
            let methods = || routes::allowed(&path).unwrap_or_else(|| "GET".to_owned());
            response = cross_origin.write(methods, response);
        }
        let status = response.status();
        let ended = meter::Ended {
            how: "answered",
            status: Some(status.as_u16()),
            refused: status.is_client_error(),
            failed: status.is_server_error(),
        };
        meter::report(
            now,
            &usage,
            &ended,
            &[("RequestId", &id), ("Path", &path)],
            || match routes::resolve(&form.method, &path).resource {
                Some(resource) => format!("{} {resource}", form.method),
                None => "other".to_owned(),
            },
        );
        response
    }
    .instrument(span)
    .await
}

/// The id of the request: the caller's, cut to 64 characters, or a new one.
pub fn request_id(headers: &HeaderMap) -> String {
    let sent = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    match sent.map(str::trim).filter(|id| !id.is_empty()) {
        Some(id) => id.chars().take(REQUEST_ID_MAX).collect(),
        None => format!("req-{}", uuid::Uuid::new_v4()),
    }
}

/// The path as the client sent it, without the gateway's stage.
pub fn raw_path(request: &Request) -> &str {
    match request.raw_http_path() {
        "" => request.uri().path(),
        path => path,
    }
}

/// The caller: from the authorizer's context, or else by the request's signature. Headers that
/// speak of identity say nothing.
///
/// # Errors
/// 401 if no authorizer knows the caller, or its word has expired, and nobody has signed.
pub async fn caller(app: &App, request: &Request) -> Result<Caller, ApiError> {
    let field = |name: &str| -> Option<&str> {
        match request.request_context_ref()? {
            RequestContext::ApiGatewayV1(context) => context.authorizer.fields.get(name)?.as_str(),
            RequestContext::ApiGatewayV2(context) => {
                context.authorizer.as_ref()?.fields.get(name)?.as_str()
            }
            _ => None,
        }
    };
    let Some(project) = field("project_id") else {
        #[cfg(feature = "dev-identity")]
        if let Some(caller) = crate::dev_identity::caller(request) {
            return Ok(caller);
        }
        return signed::caller(app, request).await;
    };
    let project = ProjectId::parse(project).map_err(|_| ApiError::Unauthorized)?;
    if let Some(until) = field("expires_at") {
        let until = Timestamp::parse(until).ok_or(ApiError::Unauthorized)?;
        if until <= app.now() {
            return Err(ApiError::Unauthorized);
        }
    }
    let role = Role::strongest(field("roles").unwrap_or_default().split(','));
    Ok(Caller { project, role })
}

/// A path parameter, percent-decoded once as UTF-8.
///
/// # Errors
/// 400 if it is not UTF-8, 404 if the path has no such parameter.
pub fn path(request: &Request, name: &str) -> Result<String, ApiError> {
    let parameters = request.path_parameters_ref();
    let value = parameters
        .and_then(|all| all.first(name))
        .ok_or_else(ApiError::no_such_resource)?;
    // A REST API hands the segment on as it was sent, an HTTP API has decoded it.
    if matches!(
        request.request_context_ref(),
        Some(RequestContext::ApiGatewayV2(_))
    ) {
        return Ok(value.to_owned());
    }
    routes::decoded(value).ok_or_else(|| ApiError::bad_request("The path is not UTF-8."))
}

/// The image that a v2 path names.
///
/// # Errors
/// 404, in Glance's words, for what is not the canonical spelling of a UUID.
pub fn image_id(request: &Request) -> Result<ImageId, ApiError> {
    let text = path(request, "image_id")?;
    ImageId::canonical(&text).ok_or_else(|| ApiError::not_found(format!("Image {text} not found.")))
}

/// The member that a path names.
///
/// # Errors
/// 404 for what cannot be a member's id.
pub fn member_id(request: &Request, image: ImageId) -> Result<ProjectId, ApiError> {
    let text = path(request, "member_id")?;
    ProjectId::parse(text.as_str()).map_err(|_| no_such_member(&text, image))
}

/// 404 in Glance's words for a membership that the caller cannot see.
pub fn no_such_member(member: &str, image: ImageId) -> ApiError {
    ApiError::not_found(format!(
        "{member} not found in the member list of the image {image}."
    ))
}

/// The bytes of the body.
///
/// # Errors
/// 413 if there are more than [`BODY_MAX`].
pub fn body_bytes(request: &Request) -> Result<&[u8], ApiError> {
    let bytes: &[u8] = match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    };
    if bytes.len() > BODY_MAX {
        // Of a body that is too large not all has been read: its length is not known.
        return Err(ApiError::too_large(format!(
            "The request body has more than {BODY_MAX} bytes."
        )));
    }
    Ok(bytes)
}

/// The JSON object or list of a request that must have one. Its media type is not looked at.
///
/// # Errors
/// 400 with a sentence that says what is wrong with it.
pub fn body(request: &Request) -> Result<Value, ApiError> {
    let bytes = body_bytes(request)?;
    if bytes.is_empty() {
        return Err(ApiError::bad_request("Body expected in request."));
    }
    match serde_json::from_slice(bytes) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) => Err(ApiError::bad_request(
            "Unexpected body type. Expected list/dict.",
        )),
        Err(_) => Err(ApiError::bad_request("Malformed JSON in request body.")),
    }
}

/// Checks that a request that must have no body has none.
///
/// # Errors
/// 400 if it has one.
pub fn no_body(request: &Request) -> Result<(), ApiError> {
    if body_bytes(request)?.is_empty() {
        Ok(())
    } else {
        Err(ApiError::bad_request(
            "A body is not expected with this request.",
        ))
    }
}

/// The decoded arguments of the query, in their order.
pub fn query(request: &Request) -> Vec<(String, String)> {
    let parameters = request.query_string_parameters();
    let mut all: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // The event's map forgets the order of different names; a fixed one makes links stable.
    if let Some(sent) = request.uri().query() {
        let place = |name: &str| {
            sent.split('&').position(|pair| {
                pair.split('=')
                    .next()
                    .and_then(routes::decoded)
                    .is_some_and(|sent| sent == name)
            })
        };
        all.sort_by_key(|(name, _)| place(name));
    } else {
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    all
}

/// The service's address as this caller knows it, without a slash at its end.
///
/// Only what parses as a host is taken from the request; otherwise links name the address that
/// the server listens on.
pub fn base_url(app: &App, request: &Request) -> String {
    let config = app.config();
    if let Some(endpoint) = &config.public_endpoint {
        return endpoint.as_str().to_owned();
    }
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let sent = header("host").or_else(|| request.uri().host());
    let host = sent.and_then(Host::parse);
    // Anybody can send the header to a server that no gateway protects.
    let forwarded = header("x-forwarded-proto").filter(|_| has_gateway(request));
    let scheme = match forwarded.or_else(|| request.uri().scheme_str()) {
        Some("https") => "https",
        _ => "http",
    };
    let fallback = match config.listen {
        Some(address) => address.to_string(),
        None => "localhost".to_owned(),
    };
    let host = host.map_or(fallback, |host| host.to_string());
    let stage = match request.request_context_ref() {
        // Only the gateway's own names carry the stage in the path; a custom domain does not.
        Some(RequestContext::ApiGatewayV1(context)) if host.contains(".execute-api.") => {
            context.stage.as_deref().map(|stage| format!("/{stage}"))
        }
        _ => None,
    };
    format!("{scheme}://{host}{}", stage.unwrap_or_default())
}

/// Whether a gateway handed the request on: the local server's context has no stage.
fn has_gateway(request: &Request) -> bool {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.is_some(),
        Some(_) => true,
        None => false,
    }
}

fn response(status: u16, content_type: Option<&'static str>, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(content_type) = content_type {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// An answer with a JSON body.
pub fn json(status: u16, value: &Value) -> Response {
    response(status, Some("application/json"), value.to_string())
}

/// An answer without a body.
pub fn empty(status: u16) -> Response {
    response(status, None, Body::Empty)
}

/// An answer in plain text.
pub fn text(status: u16, content_type: &'static str, text: &str) -> Response {
    response(status, Some(content_type), text)
}

/// The same answer with one more header; a value that no header can hold is left out.
pub fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
