//! Builds responses.

use lambda_http::Body;
use lambda_http::http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::domain::error::ApiError;

/// An answer.
pub type Response = lambda_http::Response<Body>;
/// What a handler returns.
pub type Handled = Result<Response, ApiError>;

/// Builds a response with a body of that media type.
pub(super) fn response(
    status: u16,
    content_type: Option<&'static str>,
    body: impl Into<Body>,
) -> Response {
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

/// Builds an answer with a JSON body.
pub fn json(status: u16, value: &impl Serialize) -> Response {
    // Serialization cannot fail: all keys of our bodies are texts.
    let body = serde_json::to_string(value).unwrap_or_default();
    response(status, Some("application/json"), body)
}

/// Builds an answer without a body.
pub fn empty(status: u16) -> Response {
    response(status, None, Body::Empty)
}

/// Builds an answer with a text as its body.
pub fn text(status: u16, content_type: &'static str, text: &str) -> Response {
    response(status, Some(content_type), text)
}

/// Adds a header to an answer, unless its value is not allowed in a header.
pub fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
