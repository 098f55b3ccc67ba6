//! The service's own address, for links and headers in answers.

use std::net::SocketAddr;

use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;

use super::address::{Endpoint, Host};
use super::cross_origin::Origins;
use super::request::Request;

/// The addresses that a deployment configures.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The service's address, if `Host` does not have it.
    pub public_endpoint: Option<Endpoint>,
    /// The address that the local server listens on, for links if a request has no `Host`.
    pub listen: Option<SocketAddr>,
    /// The identity service's address, for `WWW-Authenticate`.
    pub auth_uri: Option<String>,
    /// The origins whose pages may read answers.
    pub cors_origins: Origins,
}

impl Site {
    /// Returns the service's address as the sender of a request knows it, without a slash at its end.
    ///
    /// The `Host` header counts only if it parses; otherwise links name the address that the server
    /// listens on.
    pub fn base_url(&self, request: &Request) -> String {
        if let Some(endpoint) = &self.public_endpoint {
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
        // Without a gateway in front anybody can send this header.
        let forwarded = header("x-forwarded-proto").filter(|_| has_gateway(request));
        let scheme = match forwarded.or_else(|| request.uri().scheme_str()) {
            Some("https") => "https",
            _ => "http",
        };
        let fallback = match self.listen {
            Some(address) => address.to_string(),
            None => "localhost".to_owned(),
        };
        let host = host.map_or(fallback, |host| host.to_string());
        let stage = match request.request_context_ref() {
            // At the gateway's own host name the path begins with the stage, at a custom domain it does not.
            Some(RequestContext::ApiGatewayV1(context)) if host.contains(".execute-api.") => {
                context.stage.as_deref().map(|stage| format!("/{stage}"))
            }
            _ => None,
        };
        format!("{scheme}://{host}{}", stage.unwrap_or_default())
    }
}

/// Whether the request came through a gateway. The local server's context has no stage.
fn has_gateway(request: &Request) -> bool {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.is_some(),
        Some(_) => true,
        None => false,
    }
}
