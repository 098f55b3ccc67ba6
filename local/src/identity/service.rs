//! HTTP under `/identity`: the part of Keystone's API that clients of this server need.
//!
//! For development only: passwords are in a file, and guessing them is not slowed down. Unlike in
//! Keystone, everybody with a token may look up projects, so that `openstack image add project`
//! takes a name.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::domain::time::Timestamp;
use shared::http::cross_origin::CrossOrigin;
use shared::http::{self, Request, Response};
use shared::runtime::app::App;

use super::login::Login;
use super::tokens::{Token, Tokens};
use super::{IdentityFile, view};

/// All methods of the service, for CORS preflights.
const METHODS: &str = "GET, HEAD, POST, DELETE";

/// The identities and their tokens.
#[derive(Debug)]
pub struct IdentityService {
    identity: IdentityFile,
    tokens: Tokens,
}

/// Why a request fails.
#[derive(Debug, PartialEq, Eq)]
enum IdentityError {
    /// It is malformed.
    BadRequest(String),
    /// The credentials are wrong or missing. The response never says which, so as not to help
    /// guessing.
    Unauthorized,
    /// The caller is authenticated but may not do this.
    Forbidden(&'static str),
    /// What is named here does not exist.
    NotFound(&'static str),
    /// The path has these methods only.
    MethodNotAllowed(&'static str),
    /// The body is too large.
    TooLarge,
}

impl IdentityService {
    /// Creates the service for these identities.
    pub fn new(identity: IdentityFile) -> Self {
        let tokens = Tokens::fixed(&identity);
        Self { identity, tokens }
    }

    /// Looks a token up; `None` if it is not valid.
    pub fn token(&self, id: &str, now: Timestamp) -> Option<Arc<Token>> {
        self.tokens.find(id, now)
    }

    /// Whether a path belongs to this service.
    pub fn serves(path: &str) -> bool {
        segments(path).first() == Some(&"identity")
    }

    /// Answers a request for one of the service's paths.
    pub fn answer(&self, app: &App, request: &Request) -> Response {
        let base = app.base_url(request);
        let outcome = match request.method().as_str() {
            // A CORS preflight.
            "OPTIONS" => Ok(http::empty(200)),
            _ => self.handle(app, request, &base),
        };
        let response = outcome.unwrap_or_else(|error| error.response(&base));
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

    /// Dispatches a request by its path.
    fn handle(&self, app: &App, request: &Request, base: &str) -> Result<Response, IdentityError> {
        let now = app.now();
        let method = request.method().as_str();
        let segments = segments(request.uri().path());
        let path = segments.get(1..).unwrap_or_default();
        if let ["v3", "auth", "tokens"] = path {
            return match method {
                "POST" => self.log_in(request, base, now),
                "GET" | "HEAD" => self.show_token(request, base, now),
                "DELETE" => self.revoke_token(request, now),
                _ => Err(IdentityError::MethodNotAllowed("GET, HEAD, POST, DELETE")),
            };
        }
        match path {
            [] => reads(method).map(|()| versions(base)),
            ["v3"] => {
                reads(method).map(|()| http::json(200, &json!({"version": view::version(base)})))
            }
            ["v3", "auth", "catalog"] => {
                reads(method)?;
                self.catalog(&*self.caller(request, now)?, base)
            }
            ["v3", "auth", "projects"] => {
                reads(method)?;
                Ok(self.own_projects(&*self.caller(request, now)?, base))
            }
            ["v3", "projects"] => {
                reads(method)?;
                self.caller(request, now)?;
                Ok(self.list_projects(request, base))
            }
            ["v3", "projects", id] => {
                reads(method)?;
                self.caller(request, now)?;
                self.show_project(id, base)
            }
            _ => Err(IdentityError::NotFound("resource")),
        }
    }

    /// `GET /v3/auth/catalog`: the services that the caller's project may use.
    fn catalog(&self, caller: &Token, base: &str) -> Result<Response, IdentityError> {
        if caller.scope.is_none() {
            let why = "A project-scoped token is required to produce a service catalog.";
            return Err(IdentityError::Forbidden(why));
        }
        let links = json!({"self": format!("{base}/identity/v3/auth/catalog")});
        let catalog = json!({"catalog": view::catalog(base), "links": links});
        Ok(http::json(200, &catalog))
    }

    /// `GET /v3/auth/projects`: the projects in which the caller has a role.
    fn own_projects(&self, caller: &Token, base: &str) -> Response {
        let user = self.identity.user(&caller.user);
        let projects = self.projects(base, |project| {
            user.is_some_and(|user| !user.roles_in(&project.id).is_empty())
        });
        let list = view::list(base, "v3/auth/projects", "projects", &projects);
        http::json(200, &list)
    }

    /// `GET /v3/projects`: all projects, filtered by name and domain.
    fn list_projects(&self, request: &Request, base: &str) -> Response {
        let query = http::query(request);
        let projects = self.projects(base, |project| {
            query.iter().all(|(name, value)| match name.as_str() {
                "name" => project.name == *value,
                "domain_id" => value == view::DOMAIN_ID,
                _ => true,
            })
        });
        let list = view::list(base, "v3/projects", "projects", &projects);
        http::json(200, &list)
    }

    /// `GET /v3/projects/{id}`.
    fn show_project(&self, id: &str, base: &str) -> Result<Response, IdentityError> {
        let id = shared::http::routes::decoded(id).ok_or(IdentityError::NotFound("project"))?;
        let projects = self.projects(base, |project| project.id == id);
        let project = projects.first().ok_or(IdentityError::NotFound("project"))?;
        Ok(http::json(200, &json!({"project": project})))
    }

    /// `POST /v3/auth/tokens`: authenticates a login and issues a token.
    fn log_in(
        &self,
        request: &Request,
        base: &str,
        now: Timestamp,
    ) -> Result<Response, IdentityError> {
        let body = http::body_bytes(request).map_err(|_| IdentityError::TooLarge)?;
        let login = Login::parse(body).map_err(IdentityError::BadRequest)?;
        let token = login.token(&self.identity, &self.tokens, now);
        let token = token.ok_or(IdentityError::Unauthorized)?;
        let said = view::token(&self.identity, &token, catalog_of(request, base));
        let id = self.tokens.issue(token, now);
        let response = http::json(201, &said);
        Ok(http::with_header(response, "x-subject-token", id.reveal()))
    }

    /// `GET` and `HEAD /v3/auth/tokens`: describes a token.
    fn show_token(
        &self,
        request: &Request,
        base: &str,
        now: Timestamp,
    ) -> Result<Response, IdentityError> {
        let (id, token) = self.subject(request, now)?;
        let said = view::token(&self.identity, &token, catalog_of(request, base));
        Ok(http::with_header(
            http::json(200, &said),
            "x-subject-token",
            id,
        ))
    }

    /// `DELETE /v3/auth/tokens`: revokes a token.
    fn revoke_token(&self, request: &Request, now: Timestamp) -> Result<Response, IdentityError> {
        let (id, _) = self.subject(request, now)?;
        self.tokens.revoke(id);
        Ok(http::empty(204))
    }

    /// The token that the request is sent with.
    fn caller(&self, request: &Request, now: Timestamp) -> Result<Arc<Token>, IdentityError> {
        let id = header(request, "x-auth-token").ok_or(IdentityError::Unauthorized)?;
        self.tokens.find(id, now).ok_or(IdentityError::Unauthorized)
    }

    /// The token that the request is about. Callers may name only their own, an admin or a service
    /// any: services validate their users' tokens.
    fn subject<'a>(
        &self,
        request: &'a Request,
        now: Timestamp,
    ) -> Result<(&'a str, Arc<Token>), IdentityError> {
        let caller = self.caller(request, now)?;
        let id = header(request, "x-subject-token").ok_or(IdentityError::NotFound("token"))?;
        let token = self
            .tokens
            .find(id, now)
            .ok_or(IdentityError::NotFound("token"))?;
        let trusted = caller.scope.as_ref().is_some_and(|scope| {
            let mut roles = scope.roles.iter();
            roles.any(|role| {
                role.eq_ignore_ascii_case("admin") || role.eq_ignore_ascii_case("service")
            })
        });
        if trusted || caller.user == token.user {
            Ok((id, token))
        } else {
            Err(IdentityError::Forbidden(
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

impl IdentityError {
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

/// `GET /identity`: the API's versions, with Keystone's status and location.
fn versions(base: &str) -> Response {
    let versions = json!({"versions": {"values": [view::version(base)]}});
    let response = http::json(300, &versions);
    http::with_header(response, "location", &format!("{base}/identity/v3/"))
}

/// The segments of a path, without the empty ones of doubled or trailing slashes.
fn segments(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .collect()
}

/// Checks that the method is GET or HEAD.
fn reads(method: &str) -> Result<(), IdentityError> {
    match method {
        // The server drops the body of a response to HEAD.
        "GET" | "HEAD" => Ok(()),
        _ => Err(IdentityError::MethodNotAllowed("GET, HEAD")),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The base URL of the response's catalog; `None` if the request asks for no catalog.
fn catalog_of<'a>(request: &Request, base: &'a str) -> Option<&'a str> {
    let query = http::query(request);
    (!query.iter().any(|(name, _)| name == "nocatalog")).then_some(base)
}
