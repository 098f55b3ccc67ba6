//! The gateway on this machine: HTTP in, the function of the route, HTTP out.
//!
//! It hands a function what a REST API would: the path as it was sent, the query, the authorizer's
//! context. Identity headers sent by the client are ignored. Who needs a token and has none is refused
//! before any of its body is read.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use serde_json::json;
use shared::domain::error::ApiError;
use shared::http::routes::{self, Function, Path};
use shared::http::{self, Handled, Request, Response};
use shared::runtime::api::{answer, answer_within};
use shared::runtime::app::App;

use crate::authority::{self, Authority, Context};
use crate::body::{Bodies, Sender, Unread, ignore};
use crate::connection::Limits;
use crate::docs::Docs;
use crate::engine::Engine;
use crate::identity::service::IdentityService;

/// Answers requests.
#[derive(Clone, Debug)]
pub struct Front {
    app: App,
    authority: Authority,
    /// The embedded engine, if records are kept in it: its health is the server's.
    engine: Option<Engine>,
    bodies: Bodies,
    /// How long a function may work on a request.
    work: Duration,
}

impl Front {
    /// A gateway before this app.
    pub fn new(app: App, authority: Authority, engine: Option<Engine>, limits: Limits) -> Self {
        Self {
            app,
            authority,
            engine,
            bodies: Bodies::new(limits.body),
            work: limits.work,
        }
    }

    /// Answers one request; never fails.
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
        let (who, sender) = match self.identify(&parts).await {
            Ok(known) => known,
            Err(error) => {
                // A client that waits for "100 Continue" has sent no body that could be in the way.
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
        // The permit is given back when the request is answered.
        let (bytes, _permit) = (whole.bytes, whole.permit);
        let body = match bytes.is_empty() {
            true => Body::Empty,
            false => Body::Binary(bytes),
        };
        self.answered(Request::from_parts(parts, body), who).await
    }

    /// Who sends a request, by its token. Of a signed request it cannot be said before its body is
    /// read.
    ///
    /// # Errors
    /// 401 for who needs a token and has none; 503 if nobody can say.
    async fn identify(&self, parts: &Parts) -> Result<(Context, Sender), ApiError> {
        let path = parts.uri.path();
        let identity =
            matches!(self.authority, Authority::File(..)) && IdentityService::serves(path);
        // A path that is not UTF-8 is refused before anybody looks at the token.
        let open = target(parts).is_ok_and(|path| !path.is_open(parts.method.as_str()));
        if identity || Docs::find(parts).is_some() || !open {
            return Ok((Context::new(), Sender::Unknown));
        }
        let who = match authority::token(&parts.headers) {
            Some(token) => self.authority.context(token, self.app.now()).await?,
            None => Context::new(),
        };
        if !who.is_empty() {
            Ok((who, Sender::Known))
        } else if parts.headers.contains_key("authorization") {
            Ok((who, Sender::Unknown))
        } else {
            Err(ApiError::Unauthorized)
        }
    }

    async fn answered(self, request: Request, who: Context) -> Response {
        let request = addressed(request);
        if let Authority::File(service, _) = &self.authority
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
        self.run(request, who).await
    }

    /// Runs the function of the request's route.
    async fn run(self, request: Request, who: Context) -> Response {
        let method = request.method().as_str();
        let target = http::target(&request);
        let function = target.map_or(Function::Discovery, |path| path.resolve(method).function());
        let mut context = ApiGatewayProxyRequestContext::default();
        context.authorizer.fields.extend(who);
        let request = request.with_request_context(RequestContext::ApiGatewayV1(context));
        let (app, work) = (self.app, self.work);
        match function {
            Function::AddMember => answer_within(app, request, work, add_member::handle).await,
            Function::UpdateMember => {
                answer_within(app, request, work, update_member::handle).await
            }
            Function::RemoveMember => {
                answer_within(app, request, work, remove_member::handle).await
            }
            Function::ReadMembers => answer_within(app, request, work, read_members::handle).await,
            Function::BatchUpdate => answer_within(app, request, work, batch_update::handle).await,
            Function::GetJob => answer_within(app, request, work, get_job::handle).await,
            Function::Images => answer_within(app, request, work, images::handle).await,
            Function::Discovery => answer_within(app, request, work, discovery::handle).await,
        }
    }

    /// Whether writes failed and still would.
    async fn is_broken(&self) -> bool {
        let Some(engine) = self.engine.clone() else {
            return false;
        };
        let checked = tokio::task::spawn_blocking(move || engine.fault());
        checked.await.is_ok_and(|fault| fault.is_some())
    }
}

/// The request with its path and query as the client sent them.
fn addressed(mut request: Request) -> Request {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    request.extensions_mut().insert(http::SentQuery(query));
    request.with_raw_http_path(path)
}

/// The answer to a request whose body was not read.
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

/// The path of a request, before it is handed to a function.
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

/// The health check's answer while records cannot be written.
fn broken(request: &Request) -> Response {
    let reason = "Records cannot be written.";
    let accept = request.headers().get("accept");
    let json = accept.is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    match json {
        true => http::json(503, &json!({"detailed": false, "reasons": [reason]})),
        false => http::text(503, "text/plain; charset=UTF-8", reason),
    }
}
