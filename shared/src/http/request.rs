//! Reads requests: path, parameters, body, id.

use lambda_http::http::header;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use serde_json::Value;

use super::accept::Accept;
use super::routes::{Destination, NotUtf8, Operation, Path};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::policy::Row;

/// A request as the gateway hands it to a function.
pub type Request = lambda_http::Request;

/// The largest request body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// The longest request id that is echoed, in characters.
const REQUEST_ID_MAX: usize = 64;
/// The header that carries the request id, both ways.
pub const REQUEST_ID: &str = "x-openstack-request-id";

/// The id that was given to a request.
#[derive(Clone, Debug)]
struct RequestId(String);

/// Attaches an id to a request.
pub(crate) fn set_request_id(request: &mut Request, id: &str) {
    // Not as a header: headers may be signed, so they stay as they were sent.
    request.extensions_mut().insert(RequestId(id.to_owned()));
}

/// Returns the id of a request: the one that the caller sent, cut to 64 characters, or a new one.
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

/// Returns the path as the client sent it, without the gateway's stage.
pub fn raw_path(request: &Request) -> &str {
    match request.raw_http_path() {
        "" => request.uri().path(),
        path => path,
    }
}

/// Parses the path of a request. If it has no version, the `Accept` header may name one.
///
/// # Errors
/// If the path is not UTF-8.
pub fn target(request: &Request) -> Result<Path, NotUtf8> {
    let raw = raw_path(request);
    // A REST API passes the path on as it was sent; an HTTP API has decoded it.
    let path = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(_)) => Path::of_decoded(raw),
        _ => Path::parse(raw)?,
    };
    Ok(path.with_version_of(request_header(request, "accept")))
}

/// Whether the gateway has matched the path to a resource with parameters.
pub(crate) fn gateway_has_parameters(request: &Request) -> bool {
    request
        .path_parameters_ref()
        .is_some_and(|parameters| parameters.iter().any(|(name, _)| name != "proxy"))
}

/// Whether the gateway has matched the path to the root's catch-all, where no authorizer is asked.
pub fn is_unmatched(request: &Request) -> bool {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            context.resource_path.as_deref() == Some("/{proxy+}")
        }
        _ => false,
    }
}

/// Returns the destination of a request.
///
/// # Errors
/// 400 if the path is not UTF-8.
pub fn destination(request: &Request) -> Result<Destination, ApiError> {
    match request.extensions().get::<Destination>() {
        Some(found) => Ok(found.clone()),
        None => Ok(target(request)?.resolve(request.method().as_str())),
    }
}

/// Returns the operation of a request.
///
/// # Errors
/// Not found if it has none; 400 if the path is not UTF-8.
pub fn operation(request: &Request) -> Result<Operation, ApiError> {
    destination(request)?
        .operation
        .ok_or_else(ApiError::no_such_resource)
}

impl From<NotUtf8> for ApiError {
    fn from(_: NotUtf8) -> Self {
        Self::bad_request("The path is not UTF-8.")
    }
}

/// Returns a path parameter, decoded.
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

/// Parses the `Accept` headers of a request.
pub fn accept(request: &Request) -> Accept {
    let values = request.headers().get_all(header::ACCEPT);
    let values: Vec<_> = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    Accept::parse(&values.join(","))
}

/// Returns the image that a v2 path names.
///
/// # Errors
/// 404, in Glance's words, for anything but the canonical spelling of a UUID.
pub fn image_id(request: &Request) -> Result<ImageId, ApiError> {
    let text = path(request, "image_id")?;
    ImageId::canonical(&text).ok_or_else(|| ApiError::not_found(format!("Image {text} not found.")))
}

/// The membership that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInPath {
    text: String,
    id: Option<ProjectId>,
}

impl MemberInPath {
    /// Reads the path.
    ///
    /// # Errors
    /// Not found if the path names no member.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let text = path(request, "member_id")?;
        let id = ProjectId::parse(text.as_str()).ok();
        Ok(Self { text, id })
    }

    /// This member and another project: the keys that a decision has to know.
    pub fn with<'a>(&'a self, other: &'a ProjectId) -> Vec<&'a ProjectId> {
        std::iter::once(other).chain(&self.id).collect()
    }

    /// The member's id; `None` if no project can have it.
    pub fn id(&self) -> Option<&ProjectId> {
        self.id.as_ref()
    }

    /// The membership for the policy.
    pub fn row(&self) -> Row<'_> {
        Row {
            text: &self.text,
            member: self.id.as_ref(),
        }
    }
}

/// Returns the bytes of the body.
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
        // The length is unknown: a body that is too large is not read to its end.
        return Err(ApiError::too_large(format!(
            "The request body has more than {BODY_MAX} bytes."
        )));
    }
    Ok(bytes)
}

/// Parses a body that must be a JSON object or list. The request's media type is ignored, as in
/// Glance.
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

/// Checks that a request has no body.
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
