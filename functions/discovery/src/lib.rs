//! Versions, schemas, what the service does for images' data (nothing), and every path or method that
//! is nobody else's.

mod tasks;

use shared::domain::error::ApiError;
use shared::domain::json_schema;
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::http::discovery::{Health, ImportMethods, Stores, Usage, Versions};
use shared::http::routes::{Discover, NotServed, Operation, Path, Unrouted};
use shared::http::{self, Handled, Request, Response};
use shared::runtime::app::App;

/// Answers for the API as a whole.
pub async fn handle(app: App, request: Request) -> Handled {
    let path = http::target(&request)?;
    // A v2 path by a spelling that the gateway has not recognized, such as /v2.9/info/stores: nobody has
    // asked about the token yet.
    if http::is_unmatched(&request) && is_other_spelling(&request, &path) {
        return Ok(moved(&app, &request, &path));
    }
    let operation = match http::destination(&request)?.operation {
        Some(Operation::Discovery(operation)) => operation,
        // Another function's, by a spelling that the gateway has not recognized.
        Some(_) => return Ok(moved(&app, &request, &path)),
        None => return unrouted(&app, &request, &path).await,
    };
    let caller = app.caller(&request).await?;
    http::no_body(&request)?;
    known(&app, &caller, operation, &request)
}

/// The answer to a route of this function.
fn known(app: &App, caller: &Caller, operation: Discover, request: &Request) -> Handled {
    let may = |action: ApiAction<'_>| {
        let decided = app.policy().decide(caller, Action::Api(action));
        decided.map_err(|denied| denied.glance())
    };
    Ok(match operation {
        Discover::ShowSchema => {
            let name = http::path(request, "schema")?;
            let schema = json_schema::document(&name).ok_or_else(ApiError::no_such_resource)?;
            http::json(200, &schema)
        }
        Discover::ShowImportMethods => http::json(200, &ImportMethods::NONE),
        Discover::ListStores => http::json(200, &Stores::default()),
        Discover::ListStoresInDetail => {
            may(ApiAction::ReadStoreDetails)?;
            http::json(200, &Stores::default())
        }
        Discover::ShowUsage => http::json(200, &Usage::default()),
        Discover::ListTasks => {
            may(ApiAction::ReadTasks)?;
            http::json(200, &tasks::list(&http::utf8_query(request)?)?)
        }
        Discover::ShowTask => {
            may(ApiAction::ReadTasks)?;
            let id = http::path(request, "task_id")?;
            return Err(ApiError::not_found(format!("Could not find task {id}")));
        }
    })
}

/// The answer to a path or method that no route has.
async fn unrouted(app: &App, request: &Request, path: &Path) -> Handled {
    let method = request.method().as_str();
    let refused = match Unrouted::of(path, method) {
        Unrouted::Versions => return Ok(versions(app, request, 200)),
        Unrouted::Health => return Ok(health(request)),
        // Its headers are written with those of every answer.
        Unrouted::Preflight => return Ok(http::empty(200)),
        Unrouted::Choices => return Ok(versions(app, request, 300)),
        Unrouted::Root => {
            app.caller(request).await?;
            let location = format!("{}/v2/", app.base_url(request));
            let response = http::text(302, "text/plain; charset=utf8", "");
            return Ok(http::with_header(response, "location", &location));
        }
        Unrouted::OtherMethod(allow) => ApiError::MethodNotAllowed {
            method: method.to_owned(),
            allow,
        },
        Unrouted::NotServed(part) => ApiError::not_served(match part {
            NotServed::Data => {
                "The data of images is not kept by this service, only who may see them."
            }
            NotServed::Metadefs => "Metadata definitions are not kept by this service.",
            NotServed::Cache => {
                "The data of images is not kept by this service, so there is no cache of it."
            }
        }),
        Unrouted::Nothing => ApiError::no_such_resource(),
    };
    app.caller(request).await?;
    Err(refused)
}

/// Whether a request has a v2 path in another spelling than the gateway's. A browser follows no
/// redirect of a preflight.
fn is_other_spelling(request: &Request, path: &Path) -> bool {
    path.segments().first() == Some(&"v2")
        && path.to_string() != http::raw_path(request)
        && request.method() != "OPTIONS"
}

/// The redirect from another spelling of a path, such as `/v2.9/images` or `/v2//images`, to the one
/// that the gateway knows. The local server takes every spelling and needs none.
fn moved(app: &App, request: &Request, path: &Path) -> Response {
    let query = request.uri().query().filter(|query| !query.is_empty());
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}{path}{query}", app.base_url(request));
    http::with_header(http::empty(308), "location", &location)
}

/// Whether the service is up, in the form that `Accept` asks for.
fn health(request: &Request) -> Response {
    if request.method() == "HEAD" {
        return http::empty(204);
    }
    match http::accept(request).best(&["text/plain", "text/html", "application/json"]) {
        Some("application/json") => http::json(200, &Health::OK),
        Some("text/html") => http::text(
            200,
            "text/html; charset=UTF-8",
            "<html>\n<head><title>Healthcheck Status</title></head>\n<body>OK</body>\n</html>\n",
        ),
        _ => http::text(200, "text/plain; charset=UTF-8", "OK"),
    }
}

/// The list of the API's versions.
fn versions(app: &App, request: &Request, status: u16) -> Response {
    http::json(status, &Versions::at(&app.base_url(request)))
}
