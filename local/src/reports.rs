//! What an operator asks a server for: `/healthcheck?detailed` and `/metrics`.
//!
//! Deployed there is neither: CloudWatch has the metrics, and the function that answers
//! `/healthcheck` may read nothing. It ignores the argument, as Glance does.

use hyper::http::request::Parts;
use shared::domain::error::ApiError;
use shared::domain::policy::{Action, ApiAction};
use shared::http::health::HealthStatus;
use shared::http::routes::Path;
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;

use crate::connection::Peer;
use crate::host::names_this_machine;
use crate::monitor::Monitor;
use crate::options::MetricsFor;
use crate::prometheus::CONTENT_TYPE;

/// Headers by which a proxy says that it passes a request on.
const OF_PROXIES: [&str; 5] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

/// A report on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// `/healthcheck?detailed`
    Health,
    /// `/metrics`
    Metrics {
        /// Whether the request may read them without a token.
        open: bool,
    },
}

impl Report {
    /// Finds the report that a request is for.
    pub fn find(request: &Parts, path: &Path, metrics: MetricsFor) -> Option<Self> {
        match path.segments()[..] {
            ["healthcheck"] | ["healthcheck", ""] => {
                let asks = matches!(request.method.as_str(), "GET" | "HEAD");
                (asks && is_detailed(request.uri.query()?)).then_some(Self::Health)
            }
            ["metrics"] if request.method != "OPTIONS" => match metrics {
                MetricsFor::Loopback => Some(Self::Metrics {
                    open: is_from_here(request),
                }),
                MetricsFor::Admin => Some(Self::Metrics { open: false }),
                MetricsFor::Nobody => None,
            },
            _ => None,
        }
    }

    /// Whether a request for it needs a token.
    pub const fn needs_token(self) -> bool {
        match self {
            Self::Health => true,
            Self::Metrics { open } => !open,
        }
    }

    /// Answers a request for it.
    ///
    /// # Errors
    /// 401 or 403 if it needs the token of an admin, 405 for another method than GET.
    pub async fn answer(self, monitor: Monitor, app: App, request: Request) -> Handled {
        if self.needs_token() {
            let caller = app.caller(&request).await?;
            let action = Action::Api(ApiAction::ReadServerState);
            let decided = app.policy().decide(&caller, action);
            decided.map_err(|denied| denied.glance())?;
        }
        if !matches!(request.method().as_str(), "GET" | "HEAD") {
            return Err(ApiError::MethodNotAllowed {
                method: request.method().to_string(),
                allow: "GET".to_owned(),
            });
        }
        http::no_body(&request)?;
        match self {
            Self::Health => {
                let details = monitor.details().await;
                let status = match details.status {
                    HealthStatus::Ok | HealthStatus::Degraded => 200,
                    HealthStatus::Failing => 503,
                };
                Ok(http::json(status, &details))
            }
            Self::Metrics { .. } => {
                let text = monitor.metrics().await;
                let text = text.ok_or_else(ApiError::no_such_resource)?;
                Ok(http::text(200, CONTENT_TYPE, &text))
            }
        }
    }
}

fn is_detailed(query: &str) -> bool {
    let mut arguments = query.split('&');
    arguments.any(|it| {
        matches!(
            it,
            "detailed" | "detailed=" | "detailed=true" | "detailed=True"
        )
    })
}

/// Whether a request comes from this machine itself, and not through a proxy on it or from a page of a
/// browser on it that a foreign name has been made to lead here.
fn is_from_here(request: &Parts) -> bool {
    let peer = request.extensions.get::<Peer>();
    let from_loopback = peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback());
    let proxied = OF_PROXIES
        .iter()
        .any(|name| request.headers.contains_key(*name));
    from_loopback && !proxied && names_this_machine(&request.headers)
}
