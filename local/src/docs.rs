//! The OpenAPI document, and a page to read it and to try the API.
//!
//! They are for developers: the deployed gateway serves neither. All of it is in this binary, and
//! the page may not load anything from elsewhere.

use hyper::http::request::Parts;
use serde_json::{Value, json};
use shared::domain::error::ApiError;
use shared::http::{self, Handled, Request, Response};
use shared::runtime::app::App;

const DOCUMENT: &str = include_str!("../../docs/openapi.json");
const WELCOME: &str = include_str!("../docs/welcome.html");
const PAGE: &str = include_str!("../docs/index.html");
/// Stored compressed and sent as it is: every browser accepts gzip.
const VIEWER: &[u8] = include_bytes!("../docs/openapi-explorer.min.js.gz");
/// Users type tokens into the page, so no script of another origin may run in it, and it may send
/// to no other origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// A document that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Docs {
    /// `/`, for a browser.
    Welcome,
    /// `/openapi.json`
    Document,
    /// `/docs`
    Page,
    /// The page's script.
    Viewer,
}

impl Docs {
    /// Finds the document that a request is for. `OPTIONS`, and `/` for a program, belong to
    /// discovery.
    pub fn find(request: &Parts) -> Option<Self> {
        let found = match request.uri.path() {
            "/" if is_browser(request) => Self::Welcome,
            "/openapi.json" => Self::Document,
            "/docs" => Self::Page,
            "/docs/openapi-explorer.min.js" => Self::Viewer,
            _ => return None,
        };
        (request.method != "OPTIONS").then_some(found)
    }

    /// Answers a request for the document, which needs no token.
    ///
    /// # Errors
    /// 405 for another method than GET, 400 for a body.
    pub fn answer(self, app: &App, request: &Request) -> Handled {
        if request.method() != "GET" {
            return Err(ApiError::MethodNotAllowed {
                method: request.method().to_string(),
                allow: "GET".to_owned(),
            });
        }
        http::no_body(request)?;
        let response = match self {
            // The status that programs get, with links for a reader.
            Self::Welcome => http::text(300, "text/html; charset=UTF-8", WELCOME),
            Self::Document => http::json(200, &document(&app.base_url(request))?),
            Self::Page => http::text(200, "text/html; charset=UTF-8", PAGE),
            Self::Viewer => viewer(),
        };
        let response = http::with_header(response, "content-security-policy", POLICY);
        Ok(http::with_header(
            response,
            "x-content-type-options",
            "nosniff",
        ))
    }
}

/// Whether a request asks for HTML by name, as browsers do. Clients of the API ask for JSON or for
/// anything.
fn is_browser(request: &Parts) -> bool {
    let accept = request.headers.get_all("accept").iter();
    request.method == "GET"
        && accept
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|media| media.split(';').next().map(str::trim) == Some("text/html"))
}

/// The document with the server's address as the caller knows it.
fn document(base: &str) -> Result<Value, ApiError> {
    let mut document: Value = serde_json::from_str(DOCUMENT)
        .map_err(|error| ApiError::internal(format!("the OpenAPI document: {error}")))?;
    if let Some(document) = document.as_object_mut() {
        document.insert("servers".to_owned(), json!([{"url": base}]));
    }
    Ok(document)
}

fn viewer() -> Response {
    let mut response = http::text(200, "text/javascript; charset=UTF-8", "");
    *response.body_mut() = VIEWER.to_vec().into();
    http::with_header(response, "content-encoding", "gzip")
}
