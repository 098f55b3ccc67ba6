//! What the document says of an operation beside its route.

use serde_json::Value;
use shared::http::routes::Operation;
use utoipa::ToSchema;
use utoipa::openapi::example::Example;
use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Required, Schema, link::Link};

use super::{batches, discovery, images, members};

pub const JSON: &str = "application/json";
pub const HTML: &str = "text/html";
pub const PLAIN: &str = "text/plain";

/// What the document says of an operation.
pub struct Described {
    pub tag: &'static str,
    pub summary: &'static str,
    pub description: Option<String>,
    /// The components that are its parameters beside those of the path.
    pub parameters: Vec<&'static str>,
    pub body: Option<RequestBody>,
    /// What it answers if it is done.
    pub done: Option<(u16, ResponseBuilder)>,
    /// The statuses that it refuses with beside those of every operation.
    pub refusals: &'static [u16],
}

/// Describes an operation: a new one is no operation of the document until it has an arm here.
pub fn describe(operation: Operation) -> Described {
    match operation {
        Operation::AddMember => members::add(),
        Operation::UpdateMember => members::update(),
        Operation::RemoveMember => members::remove(),
        Operation::Members(operation) => members::read(operation),
        Operation::Batch(operation) => batches::start(operation),
        Operation::Jobs(operation) => batches::read_jobs(operation),
        Operation::Images(operation) => images::describe(operation),
        Operation::TrustedOwners(operation) => members::trusted_owners(operation),
        Operation::Discovery(operation) => discovery::describe(operation),
    }
}

impl Described {
    pub fn new(tag: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            summary,
            description: None,
            parameters: Vec::new(),
            body: None,
            done: None,
            refusals: &[],
        }
    }

    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    pub fn parameters(mut self, components: &[&'static str]) -> Self {
        self.parameters.extend(components);
        self
    }

    /// A JSON body of this type.
    pub fn body<T: ToSchema>(self, example: Value) -> Self {
        self.body_of::<T>(JSON, example)
    }

    /// A body of this type in one more media type.
    pub fn body_of<T: ToSchema>(mut self, media: &'static str, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(reference::<T>()));
        let body = self.body.take().unwrap_or_default();
        let body = RequestBodyBuilder::from(body)
            .required(Some(Required::True))
            .content(media, content.example(Some(example)).build());
        self.body = Some(body.build());
        self
    }

    pub fn done(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.done = Some((status, response));
        self
    }

    pub fn refuses(mut self, statuses: &'static [u16]) -> Self {
        self.refusals = statuses;
        self
    }

    /// The operation of that id, without its responses.
    pub fn operation(&self, id: &str) -> OperationBuilder {
        let operation = OperationBuilder::new()
            .operation_id(Some(id))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(self.description.clone())
            .request_body(self.body.clone());
        self.parameters.iter().fold(operation, |operation, name| {
            operation.parameter_ref(component("parameters", name))
        })
    }
}

/// A reference to a component.
pub fn component(kind: &str, name: &str) -> Ref {
    Ref::new(format!("#/components/{kind}/{name}"))
}

/// A reference to the schema of a type.
pub fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// A body whose form is not described.
pub fn free() -> Content {
    Content::new(None::<RefOr<Schema>>)
}

/// A response without a body.
pub fn empty(description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .header_ref("X-Openstack-Request-Id", component("headers", "RequestId"))
}

/// A response without a body that names a media type all the same, as in Glance.
pub fn empty_html(description: &str) -> ResponseBuilder {
    empty(description).content(HTML, free())
}

/// A response with a JSON body of this type.
pub fn json<T: ToSchema>(description: &str) -> ResponseBuilder {
    empty(description).content(JSON, Content::new(Some(reference::<T>())))
}

/// A response with a JSON body of this type, and an example of it.
pub fn json_like<T: ToSchema>(description: &str, example: Value) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(reference::<T>()));
    empty(description).content(JSON, content.example(Some(example)).build())
}

/// A response with a JSON body of this type, and an example that is a component.
pub fn json_such<T: ToSchema>(description: &str, example: &str) -> ResponseBuilder {
    let examples = [(
        "example",
        RefOr::<Example>::Ref(component("examples", example)),
    )];
    let content = ContentBuilder::new().schema(Some(reference::<T>()));
    empty(description).content(JSON, content.examples_from_iter(examples).build())
}

/// A link to an operation whose parameters are fields of the answer.
pub fn link(operation: Operation, parameters: &[(&str, &str)]) -> Link {
    let link = Link::builder().operation_id(operation.id());
    let fields = parameters.iter();
    fields
        .fold(link, |link, (name, field)| {
            link.parameter(*name, format!("$response.body#/{field}"))
        })
        .build()
}

/// The method of a route.
pub fn method(name: &str) -> HttpMethod {
    match name {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        other => panic!("{other} is no method of a route"),
    }
}
