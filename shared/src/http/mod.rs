//! Parse a request, render an answer, run an API function.

pub mod accept;
pub mod address;
pub mod cross_origin;
mod error_form;
mod query;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use serde_json::Value;
use tracing::Instrument as _;

use accept::Accept;
use address::Host;
use cross_origin::CrossOrigin;
use error_form::ErrorForm;
pub use query::{SentQuery, link, query, utf8_query};

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::id::{ImageId, ProjectId};
use crate::meter;
use crate::principal::Principal;
use crate::routes::{Destination, NotUtf8, Path};
use crate::signed;

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
            let limit = time_left(&request);
            let answered = answer_within(app.clone(), request, limit, handler);
            Ok::<_, std::convert::Infallible>(answered.await)
        },
    ))
    .await
}

/// What is left of an invocation's time for the answer when its handler is given up.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// How long the handler of a request may take under Lambda.
fn time_left(request: &Request) -> Duration {
    let context = request.lambda_context_ref();
    let left = context.map(|context| context.deadline().duration_since(SystemTime::now()));
    match left {
        Some(Ok(left)) => left.saturating_sub(ANSWER_TIME),
        // The clock of the host is ahead: it will be told when the time is over.
        Some(Err(_)) | None => Duration::MAX,
    }
}

/// Answers one request in time: 503 if its handler takes longer. Whatever it asks for, and however
/// often that is tried again, takes less than the function may.
pub async fn answer_within<H, F>(
    app: App,
    request: Request,
    limit: Duration,
    handler: H,
) -> Response
where
    H: FnOnce(App, Request) -> F,
    F: Future<Output = Handled>,
{
    let handler = |app: App, request: Request| {
        let handled = tokio::time::timeout(limit, handler(app, request));
        async move {
            let late = |_| Err(ApiError::unavailable(format!("no answer within {limit:?}")));
            handled.await.unwrap_or_else(late)
        }
    };
    answer(app, request, handler).await
}

/// Answers one request: the one place where a handler's outcome becomes HTTP and a failure is logged.
pub async fn answer<H, F>(app: App, mut request: Request, handler: H) -> Response
where
    H: FnOnce(App, Request) -> F,
    F: Future<Output = Handled>,
{
    let id = request_id(&request);
    // The headers stay as they were sent: they may be signed.
    request.extensions_mut().insert(RequestId(id.clone()));
    let target = target(&request);
    let form = ErrorForm::of(&request, &target, &app);
    let cross_origin = CrossOrigin::of(&app.config().cors_origins, &request);
    let misrouted = gateway_has_parameters(&request)
        && target.as_ref().is_ok_and(|path| path.allowed().is_none());
    let methods = target.as_ref().ok().and_then(Path::allowed);
    let destination = target.map(|target| target.resolve(request.method().as_str()));
    let resource = destination.as_ref().ok().and_then(|found| found.resource);
    let refused = match destination {
        Err(bad) => Some(bad.into()),
        // To the gateway an encoded slash is part of a parameter; to us it separates segments.
        Ok(_) if misrouted => Some(ApiError::no_such_resource()),
        Ok(destination) => {
            request.extensions_mut().insert(destination);
            None
        }
    };
    let path = raw_path(&request).to_owned();
    let now = app.now();
    let span = tracing::info_span!("request", request.id = %id, http.method = %form.method, http.path = %path);
    async {
        let work = async {
            match refused {
                Some(refused) => Err(refused),
                None => handler(app, request).await,
            }
        };
        let work = AssertUnwindSafe(work).catch_unwind();
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
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if let Some(cross_origin) = cross_origin {
            let methods = || methods.unwrap_or_else(|| "GET".to_owned());
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
            || match resource {
                Some(resource) => format!("{} {resource}", form.method),
                None => "other".to_owned(),
            },
        );
        response
    }
    .instrument(span)
    .await
}

/// The id that [`answer`] gave to a request.
#[derive(Clone, Debug)]
struct RequestId(String);

/// The id of a request, also for the messages that it sends: the caller's, cut to 64 characters, or
/// a new one.
pub fn request_id(request: &Request) -> String {
    if let Some(RequestId(id)) = request.extensions().get() {
        return id.clone();
    }
    let sent = request.headers().get(REQUEST_ID);
    let sent = sent.and_then(|value| value.to_str().ok());
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

/// The caller: from the authorizer's context, or else by the request's signature. Identity headers
/// sent by the client are ignored.
///
/// # Errors
/// 401 if the authorizer knows nobody, if the token has ended since or does not permit this request,
/// or if nobody has signed it.
pub async fn caller(app: &App, request: &Request) -> Result<Caller, ApiError> {
    if let Some(principal) = Principal::of_context(|name| context_field(request, name)) {
        let path = target(request).map_err(ApiError::from)?;
        return principal?.caller(request.method().as_str(), &path, app.now());
    }
    #[cfg(feature = "dev-identity")]
    if let Some(caller) = crate::dev_identity::caller(request) {
        return Ok(caller);
    }
    // The authorizer has refused the token, and a signature beside it does not make it good.
    if request.headers().contains_key("x-auth-token") {
        return Err(ApiError::Unauthorized);
    }
    signed::caller(app, request).await
}

/// A field of the authorizer's context.
fn context_field<'a>(request: &'a Request, name: &str) -> Option<&'a Value> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => context.authorizer.fields.get(name),
        RequestContext::ApiGatewayV2(context) => context.authorizer.as_ref()?.fields.get(name),
        _ => None,
    }
}

/// The path of a request, with the version that its `Accept` header names if the path names none.
///
/// # Errors
/// If the path is not UTF-8.
pub fn target(request: &Request) -> Result<Path, NotUtf8> {
    let raw = raw_path(request);
    // A REST API hands the path on as it was sent, an HTTP API has decoded it.
    let path = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(_)) => Path::of_decoded(raw),
        _ => Path::parse(raw)?,
    };
    Ok(path.with_version_of(request_header(request, "accept")))
}

/// Whether the gateway has matched the path with parameters of its own.
fn gateway_has_parameters(request: &Request) -> bool {
    request
        .path_parameters_ref()
        .is_some_and(|parameters| parameters.iter().any(|(name, _)| name != "proxy"))
}

/// Where the path of a request leads.
///
/// # Errors
/// 400 if the path is not UTF-8.
pub fn destination(request: &Request) -> Result<Destination, ApiError> {
    match request.extensions().get::<Destination>() {
        Some(found) => Ok(found.clone()),
        None => Ok(target(request)?.resolve(request.method().as_str())),
    }
}

impl From<NotUtf8> for ApiError {
    fn from(_: NotUtf8) -> Self {
        Self::bad_request("The path is not UTF-8.")
    }
}

/// A path parameter, decoded.
///
/// # Errors
/// 404 if the path has no such parameter.
pub fn path(request: &Request, name: &str) -> Result<String, ApiError> {
    destination(request)?
        .parameter(name)
        .map(str::to_owned)
        .ok_or_else(ApiError::no_such_resource)
}

fn request_header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// What the `Accept` headers of a request ask for.
pub fn accept(request: &Request) -> Accept {
    let values = request.headers().get_all(header::ACCEPT);
    let values: Vec<_> = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    Accept::parse(&values.join(","))
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
