//! The gateway of the local server: reads HTTP, calls the function of the route, writes HTTP.
//!
//! It hands a function the request as the client sent it, and the principal of its token as an
//! extension: nothing becomes an event of a gateway and back. Identity headers sent by the client are
//! ignored. A request that needs a token and has none is refused before its body is read.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use lambda_http::Body;
use shared::auth::principal::Principal;
use shared::domain::error::ApiError;
use shared::http::discovery::Health;
use shared::http::routes::{Function, NotUtf8, Path};
use shared::http::{self, Handled, Request, Response};
use shared::runtime::api::{answer, answer_within};
use shared::runtime::app::App;

use crate::answers::Answers;
use crate::authenticator::{self, Authenticator};
use crate::body::{Bodies, Sender, Unread, ignore};
use crate::connection::Limits;
use crate::docs::Docs;
use crate::engine::Engine;
use crate::identity::service::IdentityService;
use crate::monitor::Monitor;
use crate::options::MetricsFor;
use crate::reports::Report;

/// Calls the function of each request's route; cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    app: App,
    authenticator: Authenticator,
    /// The embedded engine, if records are kept in it: the health check reports its faults.
    engine: Option<Engine>,
    monitor: Monitor,
    metrics: MetricsFor,
    bodies: Bodies,
    answers: Answers,
    /// Most time that a function may take for one request.
    work: Duration,
}

impl Gateway {
    /// Creates a gateway whose functions share the monitor's app.
    pub fn new(
        authenticator: Authenticator,
        engine: Option<Engine>,
        monitor: Monitor,
        metrics: MetricsFor,
        limits: Limits,
    ) -> Self {
        Self {
            app: monitor.app().clone(),
            authenticator,
            engine,
            monitor,
            metrics,
            bodies: Bodies::new(limits.body),
            answers: Answers::new(limits.answers),
            work: limits.work,
        }
    }

    /// Answers one request. Every error becomes a response.
    pub async fn serve(self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let answers = self.answers.clone();
        let response = self.dispatch(parts, body).await;
        answers.hold(response).map(Full::new)
    }

    async fn dispatch(self, parts: Parts, body: Incoming) -> Response {
        let target = target(&parts);
        let report = |path| Report::find(&parts, path, self.metrics);
        let report = target.as_ref().ok().and_then(report);
        let identified = self.identify(&parts, target.as_ref(), report).await;
        let (principal, sender) = match identified {
            Ok(known) => known,
            Err(error) => {
                // After `Expect: 100-continue` the client has sent no body yet, so there is none to
                // discard.
                if !parts.headers.contains_key("expect") {
                    ignore(body);
                }
                let request = Request::from_parts(parts, Body::Empty);
                return answer(self.app, request, |_, _| ready(Err(error))).await;
            }
        };
        let whole = match self.bodies.read(body, sender).await {
            Ok(whole) => whole,
            Err(unread) => {
                let request = Request::from_parts(parts, Body::Empty);
                return answer(self.app, request, |_, _| ready(not_read(unread))).await;
            }
        };
        // Held until the request is answered: it bounds the memory of all bodies together.
        let (bytes, _permit) = (whole.bytes, whole.permit);
        let body = match bytes.is_empty() {
            true => Body::Empty,
            false => Body::Binary(bytes),
        };
        let mut request = Request::from_parts(parts, body);
        if let Some(principal) = principal {
            request.extensions_mut().insert(principal);
        }
        if let Some(report) = report {
            let monitor = self.monitor;
            let handler = |app, request| report.answer(monitor, app, request);
            return answer_within(self.app, request, self.work, handler).await;
        }
        self.answered(request, target.ok()).await
    }

    /// Authenticates a request by its token. The function authenticates a signed request instead,
    /// because its signature covers the body.
    ///
    /// # Errors
    /// 401 if the route needs a token and the request has no valid one; 503 if Keystone cannot be
    /// asked.
    async fn identify(
        &self,
        parts: &Parts,
        target: Result<&Path, &NotUtf8>,
        report: Option<Report>,
    ) -> Result<(Option<Principal>, Sender), ApiError> {
        let path = parts.uri.path();
        let identity = matches!(self.authenticator, Authenticator::File { .. })
            && IdentityService::serves(path);
        // A path that is not UTF-8 gets its 400 whether or not the token is valid.
        let needs_token = match report {
            Some(report) => report.needs_token(),
            None => target.is_ok_and(|path| !path.is_open(parts.method.as_str())),
        };
        if identity {
            self.authenticator.check_host(&parts.headers)?;
        }
        if identity || Docs::find(parts).is_some() || !needs_token {
            return Ok((None, Sender::Unknown));
        }
        let principal = match authenticator::token(&parts.headers) {
            Some(token) => self.authenticator.principal(token, self.app.now()).await?,
            None => None,
        };
        if principal.is_some() || parts.headers.contains_key("authorization") {
            self.authenticator.check_host(&parts.headers)?;
        }
        match principal {
            Some(principal) => Ok((Some(principal), Sender::Known)),
            None if parts.headers.contains_key("authorization") => Ok((None, Sender::Unknown)),
            None => Err(ApiError::Unauthorized),
        }
    }

    /// Answers a request that is read and authenticated; `target` is its path, if it is UTF-8.
    async fn answered(self, request: Request, target: Option<Path>) -> Response {
        if let Authenticator::File { service, .. } = &self.authenticator
            && IdentityService::serves(request.uri().path())
        {
            return service.answer(&self.app, &request);
        }
        if console::serves(request.uri().path()) {
            return answer(self.app, request, console::handle_compressed).await;
        }
        let (parts, body) = request.into_parts();
        let docs = Docs::find(&parts);
        let request = Request::from_parts(parts, body);
        if let Some(docs) = docs {
            let handler = |app: App, request: Request| ready(docs.answer(&app, &request));
            return answer(self.app, request, handler).await;
        }
        if target.as_ref().is_some_and(is_health_check) && self.is_broken().await {
            return answer(self.app, request, |_, request| ready(Ok(broken(&request)))).await;
        }
        self.run(request, target).await
    }

    /// Calls the function of the request's route.
    async fn run(self, request: Request, target: Option<Path>) -> Response {
        let method = request.method().as_str();
        let function = target.map_or(Function::Discovery, |path| path.resolve(method).function());
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
fn target(parts: &Parts) -> Result<Path, NotUtf8> {
    let accept = parts
        .headers
        .get("accept")
        .and_then(|value| value.to_str().ok());
    Path::parse(parts.uri.path()).map(|path| path.with_version_of(accept))
}

fn is_health_check(path: &Path) -> bool {
    matches!(path.segments()[..], ["healthcheck"] | ["healthcheck", ""])
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
