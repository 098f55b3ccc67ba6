//! Cross-origin requests (CORS): only pages of configured origins may read answers.
//!
//! The same list decides about a browser's preflight and about the answer, errors included. Credentials
//! that a browser adds by itself (cookies) are never allowed: callers send a token.

use std::fmt;
use std::str::FromStr;

use lambda_http::http::{HeaderValue, header};

use super::address::{Host, split_scheme};
use super::request::Request;
use super::response::{Response, with_header};

/// Request headers that a page may send.
const SENT: &str = "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, X-Auth-Token, \
                    X-Openstack-Request-Id, X-Sdk-Date, X-Subject-Token";
/// Headers of an answer that a page may read.
const READ: &str = "Allow, Accept-Patch, ETag, Location, Retry-After, WWW-Authenticate, \
                    X-Openstack-Request-Id, X-Subject-Token";
/// How long a browser may cache a preflight's answer, in seconds.
const REMEMBERED: &str = "600";

/// The origins whose pages may read answers; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Describes the form that [`Origins::from_str`] accepts.
    pub const FORM: &str = "a list of origins with commas between them, each written as a browser \
                            does: scheme, host in lower case and a port that is not the scheme's \
                            own, such as https://console.example.com or http://localhost:8080";
}

/// The text is not a list of origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOrigin(String);

impl fmt::Display for BadOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not an origin; expected {}",
            self.0,
            Origins::FORM
        )
    }
}

impl std::error::Error for BadOrigin {}

impl FromStr for Origins {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let origins = text.split(',').map(str::trim);
        origins
            .filter(|origin| !origin.is_empty())
            .map(|origin| match is_origin(origin) {
                true => Ok(origin.to_owned()),
                false => Err(BadOrigin(origin.to_owned())),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Whether a browser could send this as an `Origin`. Anything else would never match.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = split_scheme(text) else {
        return false;
    };
    let own_port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    Host::parse(host).is_some()
        && !host.ends_with(own_port)
        && !host.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The CORS headers of one answer.
#[derive(Debug)]
pub struct CrossOrigin {
    /// The request's origin, if its pages may read the answer.
    allowed: Option<HeaderValue>,
    preflight: bool,
}

impl CrossOrigin {
    /// Decides for a request. `None` if no origin is configured: then no answer has CORS headers.
    pub fn of(origins: &Origins, request: &Request) -> Option<Self> {
        if origins.0.is_empty() {
            return None;
        }
        let sent = request.headers().get(header::ORIGIN);
        Some(Self {
            allowed: sent
                .filter(|sent| {
                    origins
                        .0
                        .iter()
                        .any(|origin| origin.as_bytes() == sent.as_bytes())
                })
                .cloned(),
            preflight: request.method() == "OPTIONS",
        })
    }

    /// Writes the headers; `methods` are those of the request's path.
    pub fn write(self, methods: impl FnOnce() -> String, mut response: Response) -> Response {
        // A cache must not hand one origin's answer to another.
        let vary = HeaderValue::from_static("Origin");
        response.headers_mut().append(header::VARY, vary);
        let Some(origin) = self.allowed else {
            return response;
        };
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !self.preflight {
            return with_header(response, "access-control-expose-headers", READ);
        }
        let response = with_header(response, "access-control-allow-methods", &methods());
        let response = with_header(response, "access-control-allow-headers", SENT);
        with_header(response, "access-control-max-age", REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_a_browser_does() {
        let parse = |text: &str| text.parse::<Origins>();
        let two = parse("https://console.example.com, http://localhost:8080");
        assert_eq!(two.map(|two| two.0.len()), Ok(2));
        assert_eq!(parse(""), Ok(Origins::default()));
        for bad in [
            "*",
            "null",
            "console.example.com",
            "https://console.example.com/",
            "https://console.example.com:443",
            "http://console.example.com:80",
            "https://Console.example.com",
            "https://*.example.com",
            "file://",
        ] {
            assert_eq!(parse(bad), Err(BadOrigin(bad.to_owned())));
        }
    }
}
