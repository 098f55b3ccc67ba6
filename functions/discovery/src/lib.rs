//! Versions, schemas, and every path or method that is nobody else's.

use serde_json::{Value, json};
use shared::app::App;
use shared::error::ApiError;
use shared::http::{self, Handled, Request, Response};
use shared::routes::{self, V2_MINORS};
use shared::schema;

/// The paths of images' data, which is kept elsewhere.
const DATA: [&str; 6] = ["file", "stage", "import", "locations", "tasks", "data"];

/// Answers for the API as a whole.
pub async fn handle(app: App, request: Request) -> Handled {
    let raw = http::raw_path(&request);
    let path = routes::normalized(raw);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let method = request.method().as_str();
    match segments.as_slice() {
        ["versions", ..] => return Ok(versions(&app, &request, 200)),
        ["healthcheck"] => return Ok(http::text(200, "text/plain; charset=UTF-8", "OK")),
        _ => {}
    }
    if method == "OPTIONS" {
        // A browser's preflight: its headers are written with those of every answer.
        return Ok(http::empty(200));
    }
    if routes::is_open(method, &path) {
        return Ok(versions(&app, &request, 300));
    }
    http::caller(&app, &request).await?;
    if let Some(allow) = routes::allowed(&path) {
        if !allow.split(", ").any(|allowed| allowed == method) {
            return Err(ApiError::MethodNotAllowed {
                method: method.to_owned(),
                allow,
            });
        }
        if let ["v2", "schemas", name] = segments.as_slice() {
            http::no_body(&request)?;
            let document = schema::document(name).ok_or_else(ApiError::no_such_resource)?;
            return Ok(http::json(200, &document));
        }
    }
    match segments.as_slice() {
        ["v2"] => {
            let location = format!("{}/v2/", http::base_url(&app, &request));
            let response = http::text(302, "text/plain; charset=utf8", "");
            Ok(http::with_header(response, "location", &location))
        }
        // An empty segment is a name that no image has.
        ["v2", "images", "", rest @ ..] if !rest.is_empty() && rest.len() == 1 => Err(
            ApiError::not_found(format!("No image found with ID {}", rest.concat())),
        ),
        ["v2", "images", _, data, ..] if DATA.contains(data) => Err(ApiError::not_found(
            "The data of images is not kept by this service, only who may see them.",
        )),
        _ => Err(ApiError::no_such_resource()),
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
