//! The OpenAPI document: the route table, what is said of each operation, and the types of bodies and
//! answers.

use std::collections::BTreeMap;

use shared::domain::bodies::{
    BatchAnswers, BatchMembers, DeclaredMembers, MemberAnswer, NewMember,
};
use shared::domain::image::bodies::{NewImage, OldPatch, Patch};
use shared::http::answers::{
    CloudImages, CloudMembers, Images, Invitations, JobAccepted, JobWithResults, Jobs, Members,
    Quotas, Shares, TrustRules,
};
use shared::http::discovery::{Health, ImageTasks, ImportMethods, Stores, Tasks, Usage, Versions};
use shared::http::error_form::{GlanceError, ImsError};
use shared::http::health::HealthDetails;
use shared::http::routes::{Family, Path, ROUTES, Route};
use utoipa::ToSchema;
use utoipa::openapi::example::Example;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem, Paths, PathsBuilder};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, License, ObjectBuilder, OpenApi, OpenApiBuilder,
    RefOr, Schema, ServerBuilder,
};

use super::describe::{component, describe, method};
use super::{discovery, examples, parameters, responses};

const DESCRIPTION: &str = "\
Image sharing between the projects of a cloud. A project that owns a machine image shares it with other \
projects; each of them accepts or rejects it, one image at a time or thousands in a batch that runs as \
a job. Clients of two families work unchanged: those of OpenStack Image v2 (\"Glance\") under `/v2`, and \
those of Image Management Service (\"IMS\") under `/v1` and `/v2/cloudimages`. They differ in the form \
of an error.

An image that is not shared with a project does not exist for it: 404. The media type of a body only \
matters in a PATCH. Unknown keys of a body and unknown parameters of a query are ignored unless said \
otherwise. A body where none belongs is 400, one of more than 1 MiB is 413. Another method on a path of \
this document is 405 with `Allow`; `OPTIONS` is 200. A minor version in a path (`/v2.9/images`) is \
ignored.";

const TOKEN: &str = "\
A token of Keystone for a project. A token of an application credential with access rules only makes \
requests that its rules for the service type `image` name; any other is 401. The demo identities of the \
local server have fixed tokens: `owner-token-0123456789abcdef`, `member-token-0123456789abcdef`.";

const SIGNATURE: &str = "\
A request that is signed with an access key instead: `SDK-HMAC-SHA256 Access=…, SignedHeaders=…, \
Signature=…`, with an `X-Sdk-Date` that is at most 15 minutes off. Only where access keys are \
configured.";

/// The document.
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("imshare")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(
            License::builder()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ));
    let server = ServerBuilder::new()
        .url("http://127.0.0.1:9292")
        .description(Some("The local server with its default options."));
    let schemes = ["Token", "Signature"].map(|name| SecurityRequirement::new(name, [""; 0]));
    let tags = [
        ("Images", "Records of images: metadata only."),
        ("Members", "Who an image is shared with."),
        ("Batches", "Many members of many images at once."),
        ("Jobs", "The outcome of a batch."),
        ("Discovery", "Versions and schemas."),
    ];
    let tags = tags.map(|(name, about)| {
        let tag = TagBuilder::new().name(name);
        tag.description(Some(about)).build()
    });
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([server.build()]))
        .security(Some(schemes))
        .tags(Some(tags))
        .paths(paths())
        .components(Some(components()))
        .build()
}

/// The paths without a route, and every route.
fn paths() -> Paths {
    let mut items: Vec<(&str, PathItem)> = Vec::new();
    for (path, operation) in discovery::open() {
        let operation = operation
            .response(
                "408",
                component("responses", &responses::name(Family::Glance, 408)),
            )
            .securities(Some([]));
        items.push((path, item(path, HttpMethod::Get, operation.build())));
    }
    for route in ROUTES {
        let operation = operation(route);
        match items.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, known)) => {
                known.merge_operations(PathItem::new(method(route.method), operation))
            }
            None => items.push((
                route.path,
                item(route.path, method(route.method), operation),
            )),
        }
    }
    let paths = PathsBuilder::new();
    let paths = items
        .into_iter()
        .fold(paths, |paths, (path, item)| paths.path(path, item));
    paths.build()
}

/// A path with its parameters and its first operation.
fn item(path: &str, method: HttpMethod, operation: Operation) -> PathItem {
    let family = family(path);
    let segments = path.split('/');
    let named = segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let named = named.map(|name| parameters::in_path(name, family));
    let parameters = named.chain(["RequestId"]);
    let parameters: Vec<_> = parameters
        .map(|name| component("parameters", name))
        .collect();
    PathItem::builder()
        .parameter_refs(Some(parameters))
        .operation(method, operation)
        .build()
}

fn family(path: &str) -> Family {
    Path::parse(path).unwrap().family()
}

fn operation(route: &Route) -> Operation {
    let described = describe(route.operation);
    let mut operation = described.operation(route.operation.id());
    if let Some((status, response)) = described.done {
        operation = operation.response(status.to_string(), response);
    }
    for status in responses::COMMON.iter().chain(described.refusals) {
        let name = responses::name(family(route.path), *status);
        operation = operation.response(status.to_string(), component("responses", &name));
    }
    operation.build()
}

fn components() -> Components {
    let scheme = |name, description| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            name,
            description,
        )))
    };
    let mut components = ComponentsBuilder::new()
        .security_scheme("Token", scheme("X-Auth-Token", TOKEN))
        .security_scheme("Signature", scheme("Authorization", SIGNATURE));
    for (name, parameter) in parameters::all() {
        components = components.parameter(name, parameter);
    }
    for (name, header) in responses::headers() {
        components = components.header(name, header);
    }
    for (name, response) in responses::all() {
        components = components.response(name, response);
    }
    for (name, value) in examples::all() {
        let example = Example::builder().value(Some(value));
        components = components.example(name, example.build());
    }
    for (name, schema) in schemas() {
        components = components.schema(name, schema);
    }
    components.build()
}

/// The schemas of bodies and answers, and those that they refer to.
fn schemas() -> BTreeMap<String, RefOr<Schema>> {
    let mut all = Vec::new();
    add::<NewImage>(&mut all);
    add::<Patch>(&mut all);
    add::<OldPatch>(&mut all);
    add::<NewMember>(&mut all);
    add::<MemberAnswer>(&mut all);
    add::<BatchMembers>(&mut all);
    add::<BatchAnswers>(&mut all);
    add::<DeclaredMembers>(&mut all);
    add::<Images<'_>>(&mut all);
    add::<CloudImages<'_>>(&mut all);
    add::<Members<'_>>(&mut all);
    add::<CloudMembers<'_>>(&mut all);
    add::<Invitations<'_>>(&mut all);
    add::<Shares<'_>>(&mut all);
    add::<TrustRules<'_>>(&mut all);
    add::<JobAccepted>(&mut all);
    add::<JobWithResults<'_>>(&mut all);
    add::<Jobs>(&mut all);
    add::<Quotas>(&mut all);
    add::<Versions>(&mut all);
    add::<Health>(&mut all);
    add::<HealthDetails>(&mut all);
    add::<ImportMethods>(&mut all);
    add::<Stores>(&mut all);
    add::<Usage>(&mut all);
    add::<Tasks>(&mut all);
    add::<ImageTasks>(&mut all);
    add::<GlanceError>(&mut all);
    add::<ImsError>(&mut all);
    let mut all: BTreeMap<_, _> = all.into_iter().collect();
    // The derive says nothing of the names of custom properties.
    let Some(RefOr::T(Schema::Object(image))) = all.get_mut("NewImage") else {
        panic!("a new image is an object");
    };
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(255));
    image.property_names = Some(Box::new(name.into()));
    all
}

fn add<T: ToSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
    T::schemas(all);
    all.push((T::name().into_owned(), T::schema()));
}
