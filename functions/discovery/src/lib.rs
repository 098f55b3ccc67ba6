//! Versions, schemas, what the service does for images' data (nothing), and every path or method that
//! is nobody else's.

mod tasks;

use serde_json::{Value, json};
use shared::app::App;
use shared::auth::Caller;
use shared::error::ApiError;
use shared::http::{self, Handled, Request, Response};
use shared::routes::{Function, Path, V2_MINORS};
use shared::schema;

/// The paths of images' data, which is kept elsewhere.
const DATA: [&str; 5] = ["file", "stage", "import", "locations", "data"];

/// Answers for the API as a whole.
pub async fn handle(app: App, request: Request) -> Handled {
    let path = http::target(&request)?;
    let method = request.method().as_str();
    match path.segments()[..] {
        ["versions", ..] => return Ok(versions(&app, &request, 200)),
        ["healthcheck", ..] => return Ok(health(&request)),
        _ => {}
    }
    if method == "OPTIONS" {
        // A browser's preflight: its headers are written with those of every answer.
        return Ok(http::empty(200));
    }
    if http::destination(&request)?.function != Function::Discovery {
        return Ok(moved(&app, &request, &path));
    }
    if path.is_open(method) {
        return Ok(versions(&app, &request, 300));
    }
    let caller = http::caller(&app, &request).await?;
    match path.allowed() {
        Some(allow) if allow.split(", ").any(|allowed| allowed == method) => {
            http::no_body(&request)?;
            known(&caller, &path, &request)
        }
        Some(allow) => Err(not_allowed(&path, method, allow)),
        None => unknown(&app, &request, &path),
    }
}

/// The answer to a route of this function.
fn known(caller: &Caller, path: &Path, request: &Request) -> Handled {
    let admin_only = |policy: &str| match caller.is_admin() {
        true => Ok(()),
        false => Err(ApiError::not_authorized(policy)),
    };
    let answer = match path.segments()[..] {
        ["v2", "schemas", name] => schema::document(name).ok_or_else(ApiError::no_such_resource)?,
        // There is no way to bring an image's data in, and nowhere to keep it.
        ["v2", "info", "import"] => json!({"import-methods": {
            "description": "Import methods available.", "type": "array", "value": [],
        }}),
        ["v2", "info", "stores"] => json!({"stores": []}),
        ["v2", "info", "stores", "detail"] => {
            admin_only("stores_info_detail")?;
            json!({"stores": []})
        }
        // No limits are kept in Keystone, so Glance's list of them is empty.
        ["v2", "info", "usage"] => json!({"usage": {}}),
        ["v2", "tasks"] => {
            admin_only("tasks_api_access")?;
            tasks::list(&http::utf8_query(request)?)?
        }
        ["v2", "tasks", id] => {
            admin_only("tasks_api_access")?;
            return Err(ApiError::not_found(format!("Could not find task {id}")));
        }
        _ => return Err(ApiError::no_such_resource()),
    };
    Ok(http::json(200, &answer))
}

/// The refusal of a method that a path does not have: 405, but 404 where Glance has it.
fn not_allowed(path: &Path, method: &str, allow: String) -> ApiError {
    let hidden = match path.segments()[..] {
        ["v2", "schemas", name] => schema::document(name).is_none(),
        ["v2", "info", "usage"] | ["v2", "images", _, "tasks"] => true,
        _ => false,
    };
    if hidden {
        return ApiError::no_such_resource();
    }
    ApiError::MethodNotAllowed {
        method: method.to_owned(),
        allow,
    }
}

/// The answer to a path that is nobody's.
fn unknown(app: &App, request: &Request, path: &Path) -> Handled {
    match path.segments()[..] {
        ["v2"] => {
            let location = format!("{}/v2/", http::base_url(app, request));
            let response = http::text(302, "text/plain; charset=utf8", "");
            Ok(http::with_header(response, "location", &location))
        }
        ["v2", "images", _, data, ..] if DATA.contains(&data) => Err(data_elsewhere()),
        ["v2", "stores", _, _] => Err(data_elsewhere()),
        ["v2", "metadefs", ..] | ["v2", "schemas", "metadefs", ..] => Err(ApiError::not_served(
            "Metadata definitions are not kept by this service.",
        )),
        ["v2", "cache", ..] => Err(ApiError::not_served(
            "The data of images is not kept by this service, so there is no cache of it.",
        )),
        _ => Err(ApiError::no_such_resource()),
    }
}

fn data_elsewhere() -> ApiError {
    ApiError::not_served("The data of images is not kept by this service, only who may see them.")
}

/// The redirect from another spelling of a path, such as `/v2.9/images` or `/v2//images`, to the one
/// that the gateway knows. The local server takes every spelling and needs none.
fn moved(app: &App, request: &Request, path: &Path) -> Response {
    let query = request.uri().query().filter(|query| !query.is_empty());
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}{path}{query}", http::base_url(app, request));
    http::with_header(http::empty(308), "location", &location)
}

/// Whether the service is up, in the form that `Accept` asks for.
fn health(request: &Request) -> Response {
    if request.method() == "HEAD" {
        return http::empty(204);
    }
    match http::accept(request).best(&["text/plain", "text/html", "application/json"]) {
        Some("application/json") => http::json(200, &json!({"detailed": false, "reasons": ["OK"]})),
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
    let href = format!("{}/v2/", http::base_url(app, request));
    let newest = *V2_MINORS.end();
    let versions: Vec<Value> = V2_MINORS
        .rev()
        .map(|minor| {
            json!({
                "id": format!("v2.{minor}"),
                "status": if minor == newest { "CURRENT" } else { "SUPPORTED" },
                "links": [{"rel": "self", "href": href}],
            })
        })
        .collect();
    http::json(status, &json!({"versions": versions}))
}
