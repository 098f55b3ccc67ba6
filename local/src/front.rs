//! The gateway on this machine: HTTP in, the function of the route, HTTP out.
//!
//! It hands a function what a REST API would: the path as it was sent, the query, the authorizer's
//! context. Headers of the request that speak of identity count for nothing.

use std::collections::HashMap;
use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use shared::app::App;
use shared::http::{BODY_MAX, Request, Response, answer};
use shared::routes::{self, Function, Path};

use crate::authority::{self, Authority};
use crate::docs::Docs;
use crate::identity::service::IdentityService;

/// Most bytes that are read (and thrown away) of a body that is too large, so that its sender
/// gets to see the answer.
const DRAINED_MAX: usize = 64 * 1024 * 1024;

/// Answers requests.
#[derive(Clone, Debug)]
pub struct Front {
    app: App,
    authority: Authority,
}

impl Front {
    /// A gateway before this app.
    pub fn new(app: App, authority: Authority) -> Self {
        Self { app, authority }
    }

    /// Answers one request; never fails.
    pub async fn serve(
        self,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = read(body).await else {
            // The sender went away in the middle of its body.
            let mut gone = hyper::Response::new(Full::default());
            *gone.status_mut() = hyper::StatusCode::BAD_REQUEST;
            return Ok(gone);
        };
        let response = self.dispatch(parts, body).await;
        let (parts, body) = response.into_parts();
        let bytes = match body {
            Body::Text(text) => Bytes::from(text),
            Body::Binary(bytes) => Bytes::from(bytes),
            _ => Bytes::new(),
        };
        Ok(hyper::Response::from_parts(parts, Full::new(bytes)))
    }

    async fn dispatch(self, parts: hyper::http::request::Parts, body: Vec<u8>) -> Response {
        let query = query(parts.uri.query().unwrap_or_default());
        let body = if body.is_empty() {
            Body::Empty
        } else {
            Body::Binary(body)
        };
        if let Authority::File(service, _) = &self.authority
            && IdentityService::serves(parts.uri.path())
        {
            let request = Request::from_parts(parts, body).with_query_string_parameters(query);
            return service.answer(&self.app, &request);
        }
        if let Some(docs) = Docs::find(parts.method.as_str(), parts.uri.path()) {
            let request = Request::from_parts(parts, body).with_query_string_parameters(query);
            let handler =
                |app: App, request: Request| std::future::ready(docs.answer(&app, &request));
            return answer(self.app, request, handler).await;
        }
        let method = parts.method.as_str();
        let accept = parts.headers.get("accept").and_then(|v| v.to_str().ok());
        // A path that is not UTF-8 is refused before anybody looks at the token.
        let target = Path::parse(parts.uri.path()).map(|path| path.with_version_of(accept));
        let (open, function) = match &target {
            Ok(target) => (target.is_open(method), target.resolve(method).function),
            Err(_) => (true, Function::Discovery),
        };
        let mut context = ApiGatewayProxyRequestContext::default();
        let mut outage = None;
        if !open && let Some(token) = authority::token(&parts.headers) {
            match self.authority.context(token, self.app.now()).await {
                Ok(who) => context.authorizer.fields.extend(who),
                Err(error) => outage = Some(error),
            }
        }
        let path = parts.uri.path().to_owned();
        let request = Request::from_parts(parts, body)
            .with_raw_http_path(path)
            .with_query_string_parameters(query)
            .with_request_context(RequestContext::ApiGatewayV1(context));
        let app = self.app;
        if let Some(error) = outage {
            return answer(app, request, |_, _| std::future::ready(Err(error))).await;
        }
        match function {
            Function::AddMember => answer(app, request, add_member::handle).await,
            Function::UpdateMember => answer(app, request, update_member::handle).await,
            Function::RemoveMember => answer(app, request, remove_member::handle).await,
            Function::ReadMembers => answer(app, request, read_members::handle).await,
            Function::BatchUpdate => answer(app, request, batch_update::handle).await,
            Function::GetJob => answer(app, request, get_job::handle).await,
            Function::Images => answer(app, request, images::handle).await,
            Function::Discovery => answer(app, request, discovery::handle).await,
        }
    }
}

/// Reads a body. Of one that is too large just enough is kept for the function to see that.
async fn read(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let expected = usize::try_from(body.size_hint().lower())
        .unwrap_or(0)
        .min(BODY_MAX);
    let mut bytes = Vec::with_capacity(expected);
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        seen += data.len();
        if bytes.len() <= BODY_MAX {
            bytes.extend_from_slice(&data);
        }
        if seen > DRAINED_MAX {
            break;
        }
    }
    Ok(bytes)
}

/// The arguments of a query, decoded, with a plus for a space.
fn query(text: &str) -> HashMap<String, Vec<String>> {
    let mut arguments: HashMap<String, Vec<String>> = HashMap::new();
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        routes::decoded(&text).unwrap_or(text)
    };
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        arguments
            .entry(decode(name))
            .or_default()
            .push(decode(value));
    }
    arguments
}
