//! The operations about the API as a whole, and the paths that need no token.

use serde_json::json;
use shared::http::discovery::{Health, ImportMethods, Stores, Tasks, Usage, Versions};
use shared::http::error_form::GlanceError;
use shared::http::health::HealthDetails;
use shared::http::routes::Discover;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Array, Content, ContentBuilder, Schema};

use super::describe::{
    Described, HTML, JSON, PLAIN, component, empty, free, json, json_like, reference,
};

/// What is answered where there is nothing to list.
const NO_DATA: &str = "Always empty: this service keeps no data of images.";

fn new(summary: &'static str) -> Described {
    Described::new("Discovery", summary)
}

pub fn describe(operation: Discover) -> Described {
    match operation {
        Discover::ShowSchema => new("Show the JSON schema of an answer")
            .description(
                "Clients validate the answers that they get against it. The documents are those of \
                 Glance.",
            )
            .done(
                200,
                empty("The schema.").content(JSON, Content::new(Some(schema_document()))),
            )
            .refuses(&[404]),
        Discover::ShowImportMethods => new("Show the ways to import an image's data").done(
            200,
            json_like::<ImportMethods>(NO_DATA, json!(ImportMethods::NONE)),
        ),
        Discover::ListStores => new("List the stores of images' data")
            .done(200, json_like::<Stores>(NO_DATA, json!(Stores::default()))),
        Discover::ListStoresInDetail => new("List the stores of images' data, for an admin")
            .done(200, json_like::<Stores>(NO_DATA, json!(Stores::default())))
            .refuses(&[403]),
        Discover::ShowUsage => new("Show the use of limits that Keystone keeps").done(
            200,
            json_like::<Usage>(
                "Always empty; `GET /v1/cloudimages/quota` shows the quotas of a project.",
                json!(Usage::default()),
            ),
        ),
        Discover::ListTasks => new("List tasks, for an admin")
            .done(
                200,
                json_like::<Tasks>(
                    NO_DATA,
                    json!({"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"}),
                ),
            )
            .refuses(&[403]),
        Discover::ShowTask => new("Show a task, for an admin")
            .description("There are no tasks: always 404.")
            .refuses(&[403, 404]),
    }
}

/// The form of a JSON schema as Glance serves it.
fn schema_document() -> Schema {
    let object = || ObjectBuilder::new().schema_type(Type::Object);
    let schema = object()
        .property("name", ObjectBuilder::new().schema_type(Type::String))
        .property("properties", object())
        .property("links", Array::new(object()));
    schema.required("name").required("properties").into()
}

/// The paths without a route, which need no token: where clients begin.
pub fn open() -> [(&'static str, OperationBuilder); 4] {
    let (newest_first, all) = ("The versions, newest first.", json::<Versions>);
    let versions = new("List the versions of the API")
        .description("Where clients begin. A path outside of the API answers the same.");
    let choices = all(newest_first).description(
        "The versions, newest first. The local server sends a browser a page with links instead.",
    );
    let plain = new("List the versions of the API, with the status 200");
    let health = new("Show whether the service is up")
        .description(
            "With `detailed`, which needs the token of an admin, the local server says how the store, \
             the queue, the disk and the sweep do.",
        )
        .parameters(&["Detailed"]);
    [
        (
            "/",
            versions
                .operation("listVersions")
                .response("300", choices.content(HTML, free())),
        ),
        (
            "/versions",
            plain
                .operation("listVersionsPlainly")
                .response("200", all(newest_first)),
        ),
        ("/healthcheck", check_health(&health)),
        ("/metrics", show_metrics()),
    ]
}

fn show_metrics() -> OperationBuilder {
    new("Show the metrics of the local server")
        .description(
            "In Prometheus's text format. Only the local server has them; on AWS they are in \
             CloudWatch. A program on the server's machine needs no token, others that of an admin.",
        )
        .operation("showMetrics")
        .response("200", empty("The metrics.").content(PLAIN, free()))
        .response("400", component("responses", "BadRequest"))
        .response("401", component("responses", "Unauthorized"))
        .response("403", component("responses", "Forbidden"))
        .response("503", component("responses", "Unavailable"))
}

fn check_health(described: &Described) -> OperationBuilder {
    let up = ContentBuilder::new()
        .schema(Some(
            AnyOfBuilder::new()
                .item(reference::<Health>())
                .item(reference::<HealthDetails>()),
        ))
        .example(Some(json!(Health::OK)));
    let down = AnyOfBuilder::new()
        .item(reference::<Health>())
        .item(reference::<HealthDetails>())
        .item(reference::<GlanceError>());
    let ok = ContentBuilder::new().example(Some(json!("OK")));
    described
        .operation("checkHealth")
        .response("400", component("responses", "BadRequest"))
        .response("401", component("responses", "Unauthorized"))
        .response("403", component("responses", "Forbidden"))
        .response(
            "200",
            empty("It is up.")
                .content(PLAIN, ok.build())
                .content(HTML, free())
                .content(JSON, up.build()),
        )
        .response(
            "503",
            empty("Records cannot be written, or there are too many requests at once.")
                .content(JSON, Content::new(Some(down)))
                .content(PLAIN, free())
                .content(HTML, free()),
        )
}
