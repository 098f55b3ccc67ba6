//! The gateway of the local server: reads HTTP, calls the function of the route, writes HTTP.
//!
//! It hands a function what a REST API would: the path as it was sent, the query, the authorizer's
//! context. Identity headers sent by the client are ignored. A request that needs a token and has
//! none is refused before its body is read.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use shared::domain::error::ApiError;
use shared::http::discovery::Health;
use shared::http::routes::{self, Function, Path};
use shared::http::{self, Handled, Request, Response};
use shared::runtime::api::{answer, answer_within};
use shared::runtime::app::App;

use crate::authenticator::{self, Authenticator, Context};
use crate::body::{Bodies, Sender, Unread, ignore};
use crate::connection::Limits;
use crate::docs::Docs;
use crate::engine::Engine;
use crate::identity::service::IdentityService;

/// Calls the function of each request's route; cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    app: App,
    authenticator: Authenticator,
    /// The embedded engine, if records are kept in it: the health check reports its faults.
    engine: Option<Engine>,
    bodies: Bodies,
    /// Most time that a function may take for one request.
    work: Duration,
}

impl Gateway {
    /// Creates a gateway whose functions share `app`.
    pub fn new(
        app: App,
        authenticator: Authenticator,
        engine: Option<Engine>,
        limits: Limits,
    ) -> Self {
        Self {
            app,
            authenticator,
            engine,
            bodies: Bodies::new(limits.body),
            work: limits.work,
        }
    }

    /// Answers one request. Every error becomes a response.
    pub async fn serve(self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let response = self.dispatch(parts, body).await;
        let (parts, body) = response.into_parts();
        let bytes = match body {
            Body::Text(text) => Bytes::from(text),
            Body::Binary(bytes) => Bytes::from(bytes),
            _ => Bytes::new(),
        };
        hyper::Response::from_parts(parts, Full::new(bytes))
    }

    async fn dispatch(self, parts: Parts, body: Incoming) -> Response {
        let (context, sender) = match self.identify(&parts).await {
            Ok(known) => known,
            Err(error) => {
                // After `Expect: 100-continue` the client has sent no body yet, so there is none to
                // discard.
                if !parts.headers.contains_key("expect") {
                    ignore(body);
                }
                let request = Request::from_parts(parts, Body::Empty);
                return answer(self.app, addressed(request), |_, _| ready(Err(error))).await;
            }
        };
        let whole = match self.bodies.read(body, sender).await {
            Ok(whole) => whole,
            Err(unread) => {
                let request = addressed(Request::from_parts(parts, Body::Empty));
                return answer(self.app, request, |_, _| ready(not_read(unread))).await;
            }
        };
        // Held until the request is answered: it bounds the memory of all bodies together.
        let (bytes, _permit) = (whole.bytes, whole.permit);
        let body = match bytes.is_empty() {
            true => Body::Empty,
            false => Body::Binary(bytes),
        };
        self.answered(Request::from_parts(parts, body), context)
            .await
    }

    /// Authenticates a request by its token. The function authenticates a signed request instead,
    /// because its signature covers the body.
    ///
    /// # Errors
    /// 401 if the route needs a token and the request has no valid one; 503 if Keystone cannot be
    /// asked.
    async fn identify(&self, parts: &Parts) -> Result<(Context, Sender), ApiError> {
        let path = parts.uri.path();
        let identity =
            matches!(self.authenticator, Authenticator::File(..)) && IdentityService::serves(path);
        // A path that is not UTF-8 gets its 400 whether or not the token is valid.
        let needs_token = target(parts).is_ok_and(|path| !path.is_open(parts.method.as_str()));
        if identity || Docs::find(parts).is_some() || !needs_token {
            return Ok((Context::new(), Sender::Unknown));
        }
        let context = match authenticator::token(&parts.headers) {
            Some(token) => self.authenticator.context(token, self.app.now()).await?,
            None => None,
        };
        match context {
            Some(context) => Ok((context, Sender::Known)),
            None if parts.headers.contains_key("authorization") => {
                Ok((Context::new(), Sender::Unknown))
            }
            None => Err(ApiError::Unauthorized),
        }
    }

    async fn answered(self, request: Request, authorized: Context) -> Response {
        let request = addressed(request);
        if let Authenticator::File(service, _) = &self.authenticator
            && IdentityService::serves(request.uri().path())
        {
            return service.answer(&self.app, &request);
        }
        let (parts, body) = request.into_parts();
        let docs = Docs::find(&parts);
        let request = Request::from_parts(parts, body);
        if let Some(docs) = docs {
            let handler = |app: App, request: Request| ready(docs.answer(&app, &request));
            return answer(self.app, request, handler).await;
        }
        if is_health_check(request.uri().path()) && self.is_broken().await {
            return answer(self.app, request, |_, request| ready(Ok(broken(&request)))).await;
        }
        self.run(request, authorized).await
    }

    /// Calls the function of the request's route.
    async fn run(self, request: Request, authorized: Context) -> Response {
        let method = request.method().as_str();
        let target = http::target(&request);
        let function = target.map_or(Function::Discovery, |path| path.resolve(method).function());
        let mut context = ApiGatewayProxyRequestContext::default();
        context.authorizer.fields.extend(authorized);
        let request = request.with_request_context(RequestContext::ApiGatewayV1(context));
        let (app, work) = (self.app, self.work);
        // On the heap: together these futures are too large for a thread's stack.
        match function {
            Function::AddMember => {
                Box::pin(answer_within(app, request, work, add_member::handle)).await
            }
            Function::UpdateMember => {
                Box::pin(answer_within(app, request, work, update_member::handle)).await
            }
            Function::RemoveMember => {
                Box::pin(answer_within(app, request, work, remove_member::handle)).await
            }
            Function::ReadMembers => {
                Box::pin(answer_within(app, request, work, read_members::handle)).await
            }
            Function::BatchUpdate => {
                Box::pin(answer_within(app, request, work, batch_update::handle)).await
            }
            Function::GetJob => Box::pin(answer_within(app, request, work, get_job::handle)).await,
            Function::Images => Box::pin(answer_within(app, request, work, images::handle)).await,
            Function::TrustedOwners => {
                Box::pin(answer_within(app, request, work, trusted_owners::handle)).await
            }
            Function::Discovery => {
                Box::pin(answer_within(app, request, work, discovery::handle)).await
            }
        }
    }

    /// Whether writes have failed and still fail.
    async fn is_broken(&self) -> bool {
        let Some(engine) = self.engine.clone() else {
            return false;
        };
        let checked = tokio::task::spawn_blocking(move || engine.fault());
        checked.await.is_ok_and(|fault| fault.is_some())
    }
}

/// Adds the path and the query as the client sent them, which is what signatures cover.
fn addressed(mut request: Request) -> Request {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    request.extensions_mut().insert(http::SentQuery(query));
    request.with_raw_http_path(path)
}

/// The response to a request whose body was not read.
fn not_read(unread: Unread) -> Handled {
    let told = |status: u16, text: &str| {
        let response = http::text(status, "text/plain; charset=UTF-8", text);
        Ok(http::with_header(response, "connection", "close"))
    };
    match unread {
        Unread::Late => told(
            408,
            "408 Request Timeout\n\nThe body did not arrive in time.\n",
        ),
        Unread::Gone => told(400, ""),
        Unread::Busy => Err(ApiError::unavailable("too many bodies at once")),
    }
}

/// Parses the path of a request that has not been handed to a function yet.
fn target(parts: &Parts) -> Result<Path, routes::NotUtf8> {
    let accept = parts
        .headers
        .get("accept")
        .and_then(|value| value.to_str().ok());
    Path::parse(parts.uri.path()).map(|path| path.with_version_of(accept))
}

fn is_health_check(path: &str) -> bool {
    Path::parse(path)
        .is_ok_and(|path| matches!(path.segments()[..], ["healthcheck"] | ["healthcheck", ""]))
}

/// The response of the health check while records cannot be written.
fn broken(request: &Request) -> Response {
    let reason = "Records cannot be written.";
    let accept = request.headers().get("accept");
    let json = accept.is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    match json {
        true => http::json(
            503,
            &Health {
                detailed: false,
                reasons: [reason],
            },
        ),
        false => http::text(503, "text/plain; charset=UTF-8", reason),
    }
}
