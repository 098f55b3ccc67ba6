//! The refusals of both families of clients, and the headers, as components.

use serde_json::{Value, json};
use shared::http::error_form::{GlanceError, ImsError};
use shared::http::routes::Family;
use utoipa::ToSchema;
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::describe::{HTML, JSON, PLAIN, component, empty, free, reference};

/// What every operation refuses with that needs a token.
pub const COMMON: [u16; 7] = [400, 401, 408, 413, 429, 500, 503];
/// What an operation may refuse with besides.
const OTHERS: [u16; 6] = [403, 404, 409, 412, 415, 422];

/// The component of a refusal.
pub fn name(family: Family, status: u16) -> String {
    let name = match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        // Its body is not read, so it is the same for all.
        408 => return "RequestTimeout".to_owned(),
        409 => "Conflict",
        412 => "PreconditionFailed",
        413 => "TooLarge",
        415 => "UnsupportedMediaType",
        422 => "Unprocessable",
        429 => "TooManyRequests",
        500 => "Failure",
        503 => "Unavailable",
        other => panic!("{other} is no status that the document describes"),
    };
    match family {
        Family::Glance => name.to_owned(),
        Family::Ims => format!("Ims{name}"),
    }
}

/// Every refusal that an operation may have, by the name of its component.
pub fn all() -> Vec<(String, Response)> {
    let mut all = vec![(
        name(Family::Glance, 408),
        empty("The body did not arrive in time. Only the local server waits for one.")
            .content(PLAIN, free())
            .build(),
    )];
    for status in COMMON.into_iter().chain(OTHERS) {
        if !matches!(status, 408 | 412 | 422) {
            let (description, example) = glance(status);
            let response = refusal::<GlanceError>(status, description, example)
                .content(HTML, free())
                .content(PLAIN, free());
            all.push((name(Family::Glance, status), response.build()));
        }
        if !matches!(status, 408 | 409 | 415) {
            let (description, example) = ims(status);
            let response = refusal::<ImsError>(status, description, example);
            all.push((name(Family::Ims, status), response.build()));
        }
    }
    all
}

fn refusal<T: ToSchema>(status: u16, description: &str, example: Option<Value>) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(reference::<T>()))
        .example(example);
    let response = empty(description).content(JSON, content.build());
    let (name, header) = match status {
        401 => ("WWW-Authenticate", "WwwAuthenticate"),
        415 => ("Accept-Patch", "AcceptPatch"),
        429 | 503 => ("Retry-After", "RetryAfter"),
        _ => return response,
    };
    response.header_ref(name, component("headers", header))
}

const NO_TOKEN: &str = "There is no token, or it is unknown or has expired.";
const TOO_MANY: &str = "Too many requests: of all callers together, or with this access key and \
                        another signature from the caller's address.";
const FAILURE: &str = "The service has failed. The body says nothing about the cause.";
const UNAVAILABLE: &str = "The service, or Keystone behind it, does not answer at the moment. The \
                           same request may succeed a little later.";

/// What a refusal means to clients of Glance, and an example of it.
fn glance(status: u16) -> (&'static str, Option<Value>) {
    let like = |message: &str, title: &'static str| {
        Some(json!(GlanceError {
            message: message.to_owned(),
            code: format!("{status} {title}"),
            title,
        }))
    };
    match status {
        400 => (
            "The request is malformed; the message says how.",
            like("Member can't be empty", "Bad Request"),
        ),
        401 => (NO_TOKEN, None),
        403 => (
            "The caller can see the image but may not do this, or not with an image of this \
             visibility.",
            like(
                "You are not authorized to complete add_member action.",
                "Forbidden",
            ),
        ),
        404 => (
            "It does not exist, or the caller may not learn that it does.",
            like(
                "Image 11111111-1111-4111-8111-111111111111 not found.",
                "Not Found",
            ),
        ),
        409 => (
            "It exists already, or does not exist and so cannot be changed.",
            like(
                "Member edc89b490d7d4392898e19b2deb34797 is duplicated for image \
                 11111111-1111-4111-8111-111111111111",
                "Conflict",
            ),
        ),
        413 => (
            "The body is larger than 1 MiB, the image would have more members, properties or tags than it \
             may have, or the project more images.",
            None,
        ),
        415 => ("The media type is not one of a patch.", None),
        429 => (TOO_MANY, None),
        500 => (FAILURE, None),
        503 => (UNAVAILABLE, None),
        other => panic!("{other} is no status of the Image API"),
    }
}

/// What a refusal means to clients of IMS, and an example of it.
fn ims(status: u16) -> (&'static str, Option<Value>) {
    let like =
        |code: &str, message: &str| Some(json!({"error": {"code": code, "message": message}}));
    match status {
        400 => (
            "The request is itself wrong; the message says how.",
            like("IMG.0001", "images is missing."),
        ),
        401 => (NO_TOKEN, None),
        403 => (
            "The role of the token does not suffice.",
            like("IMG.0026", "The role of the token is not enough."),
        ),
        404 => (
            "It does not exist, or not for this project.",
            like("IMG.0023", "The job does not exist."),
        ),
        412 => ("What is there is not what `If-Match` names.", None),
        413 => ("The body is larger than 1 MiB.", None),
        422 => ("The Idempotency-Key was used for another request.", None),
        429 => (
            "Too many requests: of all callers together, or with this access key and another signature from \
             the caller's address. Or, for a batch: the project's jobs that have not ended are as many, or \
             have as many entries, as they may; the same request succeeds when some of them have ended.",
            like(
                "IMG.0060",
                "The project has 1000 jobs that have not ended, and may have no more. Try again later.",
            ),
        ),
        500 => (FAILURE, None),
        503 => (UNAVAILABLE, None),
        other => panic!("{other} is no status of the batch API"),
    }
}

/// Every header of an answer, by the name of its component.
pub fn headers() -> [(&'static str, Header); 6] {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let header = |description, schema: ObjectBuilder| {
        HeaderBuilder::new()
            .description(Some(description))
            .schema(Some(schema))
    };
    let request_id = header(
        "The id of the request: the one that was sent, or a new one.",
        text().min_length(Some(1)).max_length(Some(64)),
    );
    let location = text().pattern(Some(
        "^https?://.+/v2/images/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    ));
    let keystone = text().pattern(Some("^Keystone uri=\".+\"$"));
    let seconds = ObjectBuilder::new().schema_type(Type::Integer);
    [
        (
            "RequestId",
            request_id
                .example(Some(json!("req-6b1f3a52-1c1e-4c5e-9a39-0f1de5d1a001")))
                .build(),
        ),
        (
            "ETag",
            header(
                "Stands for the present state; see `If-Match`.",
                text().pattern(Some("^\"[!#-~]+\"$")),
            )
            .build(),
        ),
        (
            "Location",
            header("The URL of the new record.", location).build(),
        ),
        (
            "WwwAuthenticate",
            header("Where tokens are issued.", keystone).build(),
        ),
        (
            "AcceptPatch",
            header("The media types of a patch.", text()).build(),
        ),
        (
            "RetryAfter",
            header(
                "The seconds to wait before the request is repeated.",
                seconds,
            )
            .build(),
        ),
    ]
}
