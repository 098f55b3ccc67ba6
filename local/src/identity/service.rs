//! HTTP under `/identity`: as much of Keystone's API as clients of this server need.
//!
//! It is for development: passwords stand in a file, and nothing slows down who guesses them. Also,
//! everybody with a token may look projects up, which Keystone grants to an admin alone: so
//! `openstack image add project` takes a name.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::domain::time::Timestamp;
use shared::http::cross_origin::CrossOrigin;
use shared::http::{self, Request, Response};
use shared::runtime::app::App;

use super::login::Login;
use super::tokens::{Token, Tokens};
use super::{Identity, view};

/// The methods that some path of the service has, for a browser's preflight.
const METHODS: &str = "GET, HEAD, POST, DELETE";

/// The identities and the tokens that stand for them.
#[derive(Debug)]
pub struct IdentityService {
    identity: Identity,
    tokens: Tokens,
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// It cannot be understood.
    BadRequest(String),
    /// Wrong credentials, or none. It never says which of them is wrong.
    Unauthorized,
    /// The caller is known, and may not do this.
    Forbidden(&'static str),
    /// There is no such thing; what is named here.
    NotFound(&'static str),
    /// The path has other methods.
    MethodNotAllowed(&'static str),
    /// The body is too large.
    TooLarge,
}

impl IdentityService {
    /// The service of these identities.
    pub fn new(identity: Identity) -> Self {
        let tokens = Tokens::fixed(&identity);
        Self { identity, tokens }
    }

    /// What a token says; `None` if it is not good.
    pub fn token(&self, id: &str, now: Timestamp) -> Option<Arc<Token>> {
        self.tokens.find(id, now)
    }

    /// Whether a path is this service's.
    pub fn serves(path: &str) -> bool {
        segments(path).first() == Some(&"identity")
    }

    /// Answers a request for one of its paths.
    pub fn answer(&self, app: &App, request: &Request) -> Response {
        let base = app.base_url(request);
        let outcome = match request.method().as_str() {
            // A browser's preflight.
            "OPTIONS" => Ok(http::empty(200)),
            _ => self.handle(app, request, &base),
        };
        let response = outcome.unwrap_or_else(|refusal| refusal.response(&base));
        let response = match CrossOrigin::of(&app.config().site.cors_origins, request) {
            Some(cross_origin) => cross_origin.write(|| METHODS.to_owned(), response),
            None => response,
        };
        let id = http::request_id(request);
        tracing::info!(
            request.id = %id,
            http.method = %request.method(),
            http.status = response.status().as_u16(),
            "answered for the identity service"
        );
        http::with_header(response, "x-openstack-request-id", &id)
    }

    fn handle(&self, app: &App, request: &Request, base: &str) -> Result<Response, Refusal> {
        let now = app.now();
        let method = request.method().as_str();
        let segments = segments(request.uri().path());
        match segments.get(1..).unwrap_or_default() {
            [] => {
                reads(method)?;
                let versions = json!({"versions": {"values": [view::version(base)]}});
                let response = http::json(300, &versions);
                Ok(http::with_header(
                    response,
                    "location",
                    &format!("{base}/identity/v3/"),
                ))
            }
            ["v3"] => {
                reads(method)?;
                Ok(http::json(200, &json!({"version": view::version(base)})))
            }
            ["v3", "auth", "tokens"] => match method {
                "POST" => self.log_in(request, base, now),
                "GET" | "HEAD" => self.show_token(request, base, now),
                "DELETE" => self.revoke_token(request, now),
                _ => Err(Refusal::MethodNotAllowed("GET, HEAD, POST, DELETE")),
            },
            ["v3", "auth", "catalog"] => {
                reads(method)?;
                if self.caller(request, now)?.scope.is_none() {
                    let why = "A project-scoped token is required to produce a service catalog.";
                    return Err(Refusal::Forbidden(why));
                }
                let links = json!({"self": format!("{base}/identity/v3/auth/catalog")});
                let catalog = json!({"catalog": view::catalog(base), "links": links});
                Ok(http::json(200, &catalog))
            }
            ["v3", "auth", "projects"] => {
                reads(method)?;
                let caller = self.caller(request, now)?;
                let granted = |id: &str| {
                    let user = self.identity.user(&caller.user);
                    user.is_some_and(|user| !user.roles_in(id).is_empty())
                };
                let projects = self.projects(base, |project| granted(&project.id));
                Ok(http::json(
                    200,
                    &view::list(base, "v3/auth/projects", "projects", &projects),
                ))
            }
            ["v3", "projects"] => {
                reads(method)?;
                self.caller(request, now)?;
                let query = http::query(request);
                let projects = self.projects(base, |project| {
                    query.iter().all(|(name, value)| match name.as_str() {
                        "name" => project.name == *value,
                        "domain_id" => value == view::DOMAIN_ID,
                        _ => true,
                    })
                });
                Ok(http::json(
                    200,
                    &view::list(base, "v3/projects", "projects", &projects),
                ))
            }
            ["v3", "projects", id] => {
                reads(method)?;
                self.caller(request, now)?;
                let id = shared::http::routes::decoded(id).ok_or(Refusal::NotFound("project"))?;
                let projects = self.projects(base, |project| project.id == id);
                let project = projects.first().ok_or(Refusal::NotFound("project"))?;
                Ok(http::json(200, &json!({"project": project})))
            }
            _ => Err(Refusal::NotFound("resource")),
        }
    }

    /// `POST /v3/auth/tokens`: a token for who can prove who it is.
    fn log_in(&self, request: &Request, base: &str, now: Timestamp) -> Result<Response, Refusal> {
        let body = http::body_bytes(request).map_err(|_| Refusal::TooLarge)?;
        let login = Login::parse(body).map_err(Refusal::BadRequest)?;
        let token = login.token(&self.identity, &self.tokens, now);
        let token = token.ok_or(Refusal::Unauthorized)?;
        let said = view::token(&self.identity, &token, catalog_of(request, base));
        let id = self.tokens.issue(token, now);
        let response = http::json(201, &said);
        Ok(http::with_header(response, "x-subject-token", id.reveal()))
    }

    /// `GET` and `HEAD /v3/auth/tokens`: what a token says.
    fn show_token(
        &self,
        request: &Request,
        base: &str,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        let (id, token) = self.subject(request, now)?;
        let said = view::token(&self.identity, &token, catalog_of(request, base));
        Ok(http::with_header(
            http::json(200, &said),
            "x-subject-token",
            id,
        ))
    }

    /// `DELETE /v3/auth/tokens`: ends a token.
    fn revoke_token(&self, request: &Request, now: Timestamp) -> Result<Response, Refusal> {
        let (id, _) = self.subject(request, now)?;
        self.tokens.revoke(id);
        Ok(http::empty(204))
    }

    /// Whose token the request is sent with.
    fn caller(&self, request: &Request, now: Timestamp) -> Result<Arc<Token>, Refusal> {
        let id = header(request, "x-auth-token").ok_or(Refusal::Unauthorized)?;
        self.tokens.find(id, now).ok_or(Refusal::Unauthorized)
    }

    /// The token that the request is about: one of the caller's own, or anybody's for an admin
    /// and for services, which check their users' tokens.
    fn subject<'a>(
        &self,
        request: &'a Request,
        now: Timestamp,
    ) -> Result<(&'a str, Arc<Token>), Refusal> {
        let caller = self.caller(request, now)?;
        let id = header(request, "x-subject-token").ok_or(Refusal::NotFound("token"))?;
        let token = self
            .tokens
            .find(id, now)
            .ok_or(Refusal::NotFound("token"))?;
        let trusted = caller.scope.as_ref().is_some_and(|scope| {
            let mut roles = scope.roles.iter();
            roles.any(|role| {
                role.eq_ignore_ascii_case("admin") || role.eq_ignore_ascii_case("service")
            })
        });
        if trusted || caller.user == token.user {
            Ok((id, token))
        } else {
            Err(Refusal::Forbidden(
                "You are not authorized to look at this token.",
            ))
        }
    }

    fn projects(&self, base: &str, wanted: impl Fn(&super::Project) -> bool) -> Vec<Value> {
        let projects = self.identity.project.iter();
        projects
            .filter(|project| wanted(project))
            .map(|project| view::project(base, project))
            .collect()
    }
}

impl Refusal {
    fn response(&self, base: &str) -> Response {
        let (status, title, message) = match self {
            Self::BadRequest(sentence) => (400, "Bad Request", sentence.clone()),
            Self::Unauthorized => (
                401,
                "Unauthorized",
                "The request you have made requires authentication.".to_owned(),
            ),
            Self::Forbidden(sentence) => (403, "Forbidden", (*sentence).to_owned()),
            Self::NotFound(what) => (404, "Not Found", format!("Could not find this {what}.")),
            Self::MethodNotAllowed(_) => (
                405,
                "Method Not Allowed",
                "The method is not allowed for the requested URL.".to_owned(),
            ),
            Self::TooLarge => (
                413,
                "Request Entity Too Large",
                format!("The request body has more than {} bytes.", http::BODY_MAX),
            ),
        };
        let error = json!({"error": {"code": status, "message": message, "title": title}});
        let response = http::json(status, &error);
        match self {
            Self::Unauthorized => {
                let asks = format!("Keystone uri=\"{base}/identity/v3\"");
                http::with_header(response, "www-authenticate", &asks)
            }
            Self::MethodNotAllowed(allow) => http::with_header(response, "allow", allow),
            Self::BadRequest(_) | Self::Forbidden(_) | Self::NotFound(_) | Self::TooLarge => {
                response
            }
        }
    }
}

/// The segments of a path; slashes at its end or doubled do not count.
fn segments(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .collect()
}

/// Checks that the method of a path that is only read is GET or HEAD.
fn reads(method: &str) -> Result<(), Refusal> {
    match method {
        // The server leaves the body of an answer to HEAD away.
        "GET" | "HEAD" => Ok(()),
        _ => Err(Refusal::MethodNotAllowed("GET, HEAD")),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// Where the catalog of an answer starts, unless the caller wants none.
fn catalog_of<'a>(request: &Request, base: &'a str) -> Option<&'a str> {
    let query = http::query(request);
    (!query.iter().any(|(name, _)| name == "nocatalog")).then_some(base)
}
