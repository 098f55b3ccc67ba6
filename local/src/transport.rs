//! How the AWS SDK's requests reach an engine inside this process: as the HTTP requests that they
//! are, without a socket.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

/// The code of an answer that tells of files that cannot be used.
pub const UNUSABLE: &str = "com.amazonaws#ServiceUnavailable";
/// Its status, "Insufficient Storage": the SDK repeats 500, 502, 503 and 504.
pub const UNUSABLE_STATUS: u16 = 507;

/// An answer: status and JSON body.
pub type Answer = (u16, String);

/// The operation that a request names (`DynamoDB_20120810.GetItem` is `GetItem`) and its body.
pub fn parts(request: &HttpRequest) -> Option<(&str, &str)> {
    let target = request.headers().get("x-amz-target")?;
    let operation = target.rsplit('.').next()?;
    let body = std::str::from_utf8(request.body().bytes()?).ok()?;
    Some((operation, body))
}

/// The answer as the SDK reads it.
pub fn response((status, body): Answer) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status)
        .map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// The answer to a request that is not one of the SDK's.
pub fn unreadable() -> Answer {
    let error = r#"{"__type":"SerializationException","message":"not a request of the SDK"}"#;
    (400, error.to_owned())
}
