//! Passes the AWS SDK's HTTP requests to an engine in this process, without a socket.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

pub use shared::store::sdk_error::UNUSABLE;

/// The status that goes with it, "Insufficient Storage": the SDK retries 500, 502, 503 and 504.
pub const UNUSABLE_STATUS: u16 = 507;

/// A response: status and JSON body.
pub type JsonResponse = (u16, String);

/// The operation that a request names (`GetItem` in `DynamoDB_20120810.GetItem`) and its body.
pub fn parts(request: &HttpRequest) -> Option<(&str, &str)> {
    let target = request.headers().get("x-amz-target")?;
    let operation = target.rsplit('.').next()?;
    let body = std::str::from_utf8(request.body().bytes()?).ok()?;
    Some((operation, body))
}

/// Converts a response to the SDK's type.
pub fn response((status, body): JsonResponse) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status)
        .map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// The response to a request that is not one of the SDK's.
pub fn unreadable() -> JsonResponse {
    let error = r#"{"__type":"SerializationException","message":"not a request of the SDK"}"#;
    (400, error.to_owned())
}

/// Makes a service in this process a transport of the AWS SDK: `$perform` answers an operation and its
/// body with a [`JsonResponse`].
macro_rules! sdk_transport {
    ($service:ty, $perform:ident) => {
        impl HttpConnector for $service {
            fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
                let service = self.clone();
                HttpConnectorFuture::new(async move {
                    transport::response(match transport::parts(&request) {
                        Some((operation, body)) => service.$perform(operation, body).await,
                        None => transport::unreadable(),
                    })
                })
            }
        }
    };
}
pub(crate) use sdk_transport;
