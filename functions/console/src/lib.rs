//! The console, a web page that is a client of the public API like any other.
//!
//! Its files are in `console/` at the root of the repository, and compiled into this crate. The
//! function only hands them out: it reads no record and needs no token.

use lambda_http::Body;
use lambda_http::http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};
use shared::domain::error::ApiError;
use shared::http::{self, Handled, Request, Response};
use shared::runtime::app::App;

/// A file of the console.
#[derive(Debug)]
struct Asset {
    /// The path below `/console`; empty for the page itself.
    path: &'static str,
    media_type: &'static str,
    etag: &'static str,
    text: &'static str,
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The first segment of the console's paths.
const ROOT: &str = "/console";
/// The page names the files that belong to it by their version, so a browser need never ask again.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// Whether a path belongs to the console.
pub fn serves(path: &str) -> bool {
    path.strip_prefix(ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers with a file as text: a REST API passes on bytes only if it is told to do so for every
/// client of the API.
///
/// # Errors
/// 404 for a path without a file, 405 for another method than GET or HEAD.
pub async fn handle(app: App, request: Request) -> Handled {
    answer(&app, &request, false)
}

/// Answers with a file, compressed for a client that accepts that.
///
/// # Errors
/// As [`handle`].
pub async fn handle_compressed(app: App, request: Request) -> Handled {
    let accepted = request.headers().get_all(ACCEPT_ENCODING).iter();
    let compressed = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim() == "gzip");
    answer(&app, &request, compressed)
}

fn answer(app: &App, request: &Request, compressed: bool) -> Handled {
    let method = request.method().as_str();
    if !matches!(method, "GET" | "HEAD") {
        return Err(ApiError::MethodNotAllowed {
            method: method.to_owned(),
            allow: "GET, HEAD".to_owned(),
        });
    }
    let path = http::target(request)?.to_string();
    let path = path.strip_prefix(ROOT).unwrap_or_default();
    if path == "/" {
        // Relative, because a stage of the gateway may stand before the path.
        return Ok(http::with_header(
            http::empty(308),
            "location",
            "../console",
        ));
    }
    let asset = ASSETS.iter().find(|asset| asset.path == path);
    let asset = asset.ok_or_else(ApiError::no_such_resource)?;
    let current = request.headers().get(IF_NONE_MATCH);
    let current = current.and_then(|value| value.to_str().ok());
    let response = match current.is_some_and(|tags| tags.contains(asset.etag)) {
        true => http::empty(304),
        false => asset.response(compressed),
    };
    Ok(asset.with_headers(response, app))
}

impl Asset {
    fn response(&self, compressed: bool) -> Response {
        if !compressed {
            return http::text(200, self.media_type, self.text);
        }
        let mut response = http::text(200, self.media_type, "");
        *response.body_mut() = Body::Binary(self.gzip.to_vec());
        http::with_header(response, "content-encoding", "gzip")
    }

    fn with_headers(&self, response: Response, app: &App) -> Response {
        let kept = match self.path {
            "" => "no-cache",
            _ => FOREVER,
        };
        let policy = policy(app);
        let headers = [
            ("etag", self.etag),
            ("cache-control", kept),
            ("vary", "accept-encoding"),
            ("content-security-policy", &policy),
            ("cross-origin-opener-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ];
        headers
            .into_iter()
            .fold(response, |response, (name, value)| {
                http::with_header(response, name, value)
            })
    }
}

/// The page holds a token, so it may run no script but its own, and may send to no other origin than
/// this server's and the identity service's.
fn policy(app: &App) -> String {
    let identity = app.config().site.auth_uri.as_deref().and_then(origin);
    let identity = identity.map(|identity| format!(" {identity}"));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'{}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
        identity.unwrap_or_default()
    )
}

/// The scheme, host and port of an address.
fn origin(address: &str) -> Option<&str> {
    let host = address.find("://")? + "://".len();
    let length = address.get(host..)?.find('/');
    address.get(..length.map_or(address.len(), |length| host + length))
}
