//! Runs an API function: the loop around its handler.

use std::future::Future;
use std::time::Duration;

use lambda_http::RequestExt as _;
use lambda_http::http::HeaderValue;
use tracing::Instrument as _;

use super::app::App;
use super::invocation::time_until_left;
use super::metrics::{self, Ended, Usage};
use super::thread;
use crate::domain::error::ApiError;
use crate::domain::time::Timestamp;
use crate::http::cross_origin::CrossOrigin;
use crate::http::error_form::{ErrorForm, status_of};
use crate::http::request::{self, REQUEST_ID};
use crate::http::routes::Path;
use crate::http::{Handled, Request, Response};

/// Runs an API function under the Lambda runtime.
///
/// # Errors
/// If the runtime fails.
pub fn serve<H, F>(app: App, handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(App, Request) -> F + Copy + Send,
    F: Future<Output = Handled> + Send,
{
    let app = &app;
    thread::run(lambda_http::run(lambda_http::service_fn(
        move |request: Request| async move {
            let limit = time_left(&request);
            // Boxed: as a part of the runtime's own future its type would be too deep for the compiler.
            let answered = Box::pin(answer_within(app.clone(), request, limit, handler));
            Ok::<_, std::convert::Infallible>(answered.await)
        },
    )))
}

/// The time left of an invocation for answering when a handler is stopped.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// The time that a handler has under Lambda.
fn time_left(request: &Request) -> Duration {
    let context = request.lambda_context_ref();
    context.map_or(Duration::MAX, |context| {
        time_until_left(context.deadline(), ANSWER_TIME)
    })
}

/// Answers one request within a time limit: 503 if its handler takes longer. So a function answers
/// before Lambda stops it, however often a write is retried.
pub async fn answer_within<H, F>(
    app: App,
    request: Request,
    limit: Duration,
    handler: H,
) -> Response
where
    H: FnOnce(App, Request) -> F,
    F: Future<Output = Handled>,
{
    let handler = |app: App, request: Request| {
        // Boxed: every layer around it would move its kilobytes once more.
        let handled = tokio::time::timeout(limit, Box::pin(handler(app, request)));
        async move {
            let late = |_| Err(ApiError::unavailable(format!("no answer within {limit:?}")));
            handled.await.unwrap_or_else(late)
        }
    };
    answer(app, request, handler).await
}

/// Answers one request. This is the only place where a handler's outcome becomes HTTP and where its
/// failure is logged.
pub async fn answer<H, F>(app: App, request: Request, handler: H) -> Response
where
    H: FnOnce(App, Request) -> F,
    F: Future<Output = Handled>,
{
    let (envelope, opened) = Envelope::open(&app, request);
    let span = tracing::info_span!(
        "request",
        // As texts, which a log for people has in quotes: all three come from the caller.
        request.id = envelope.id,
        http.method = envelope.form.method,
        http.path = envelope.path
    );
    let (metrics, now) = (app.metrics().clone(), app.now());
    // A read waits for no write: it has a connection of its own.
    let writes = !matches!(envelope.form.method.as_str(), "GET" | "HEAD");
    let _short = writes.then(|| app.precedence().short());
    async {
        let work = async {
            match opened {
                Ok(request) => handler(app, request).await,
                Err(refused) => Err(refused),
            }
        };
        let (outcome, usage) = metrics::measured(work).await;
        let outcome = outcome.unwrap_or_else(|| Err(ApiError::internal("the handler panicked")));
        let (response, report) = envelope.close(outcome);
        report.write(&metrics, now, &usage);
        response
    }
    .instrument(span)
    .await
}

/// The parts of a request that its answer needs, kept because the handler consumes the request.
struct Envelope {
    id: String,
    path: String,
    form: ErrorForm,
    cross_origin: Option<CrossOrigin>,
    /// The methods of the path, as `Allow` lists them, if the answer is to name them.
    methods: Option<String>,
    /// The route's path, if the request has one.
    resource: Option<&'static str>,
}

impl Envelope {
    /// Takes the parts that the answer needs, and attaches id and destination to the request. A request
    /// that no handler may see is an error.
    fn open(app: &App, mut request: Request) -> (Self, Result<Request, ApiError>) {
        let site = &app.config().site;
        let id = request::request_id(&request);
        request::set_request_id(&mut request, &id);
        let target = request::target(&request);
        let form = ErrorForm::of(&request, &target, site);
        let cross_origin = CrossOrigin::of(&site.cors_origins, &request);
        let methods = || target.as_ref().ok().and_then(Path::allowed);
        // The gateway takes an encoded slash as part of a parameter; here it separates segments.
        let misrouted =
            target.is_ok() && request::gateway_has_parameters(&request) && methods().is_none();
        let methods = cross_origin.as_ref().and_then(|_| methods());
        let destination = target.map(|target| target.resolve(request.method().as_str()));
        let envelope = Self {
            id,
            path: request::raw_path(&request).to_owned(),
            form,
            cross_origin,
            methods,
            resource: destination.as_ref().ok().and_then(|found| found.resource),
        };
        let opened = match destination {
            Err(bad) => Err(bad.into()),
            Ok(_) if misrouted => Err(ApiError::no_such_resource()),
            Ok(destination) => {
                request.extensions_mut().insert(destination);
                Ok(request)
            }
        };
        (envelope, opened)
    }

    /// Turns a handler's outcome into the response, and logs a failure.
    fn close(self, outcome: Handled) -> (Response, Report) {
        let mut response = outcome.unwrap_or_else(|error| {
            log(&error);
            self.form.render(&error)
        });
        if let Ok(value) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if let Some(cross_origin) = self.cross_origin {
            let methods = || self.methods.unwrap_or_else(|| "GET".to_owned());
            response = cross_origin.write(methods, response);
        }
        let status = response.status();
        let report = Report {
            ended: Ended {
                how: "answered",
                status: Some(status.as_u16()),
                refused: status.is_client_error(),
                failed: status.is_server_error(),
            },
            id: self.id,
            path: self.path,
            method: self.form.method,
            resource: self.resource,
        };
        (response, report)
    }
}

/// The report of an answer for the log and the metrics.
struct Report {
    ended: Ended,
    id: String,
    path: String,
    method: String,
    resource: Option<&'static str>,
}

impl Report {
    fn write(&self, metrics: &metrics::Metrics, now: Timestamp, usage: &Usage) {
        let properties = [("RequestId", self.id.as_str()), ("Path", &self.path)];
        metrics.report(now, usage, &self.ended, &properties, || {
            match self.resource {
                Some(resource) => format!("{} {resource}", self.method),
                None => "other".to_owned(),
            }
        });
    }
}

fn log(error: &ApiError) {
    let status = status_of(error);
    match error {
        ApiError::Internal(why) | ApiError::Unavailable(why) if error.is_logged() => {
            tracing::debug!(error.status = status, error.why = why.for_log(), "failed");
        }
        ApiError::Internal(why) | ApiError::Unavailable(why) => {
            tracing::error!(error.status = status, error.why = why.for_log(), "failed");
        }
        ApiError::Glance(_)
        | ApiError::Ims { .. }
        | ApiError::TooMuchOpen(_)
        | ApiError::MethodNotAllowed { .. }
        | ApiError::Unauthorized
        | ApiError::BadSignature(_) => tracing::debug!(error.status = status, "refused"),
    }
}
