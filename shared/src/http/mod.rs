//! Reads requests and writes answers.
//!
//! It knows paths, query strings, headers, media types and status codes. It must not know the
//! store, the queue or the application: what it needs of a deployment is [`site::Site`].
//!
//! | module | what it knows |
//! |---|---|
//! | [`routes`] | every path and method of the API, and its operation |
//! | [`mod@request`], [`mod@query`] | a request's path, parameters, body, id |
//! | [`precondition`] | the headers `ETag` and `If-Match` |
//! | [`response`], [`page`] | how an answer and a page of a list are written |
//! | [`answers`], [`discovery`], [`health`] | the bodies of answers that are not one record of the domain |
//! | [`error_form`] | an error's status, and its body for each family of clients |
//! | [`mod@accept`], [`address`], [`cross_origin`] | the `Accept` header, hosts and URLs, CORS |
//! | [`site`] | the service's own address |

pub mod accept;
pub mod address;
pub mod answers;
pub mod cross_origin;
pub mod discovery;
pub mod error_form;
pub mod health;
pub mod page;
pub mod precondition;
pub mod query;
pub mod request;
pub mod response;
pub mod routes;
pub mod site;

pub use error_form::{ErrorCode, status_of};
pub use precondition::{IfMatch, with_etag};
pub use query::{Arguments, each_once, link, query, utf8_query};
pub use request::{
    BODY_MAX, MemberInPath, Request, accept, body, body_bytes, destination, image_id, is_unmatched,
    no_body, operation, path, raw_path, request_id, target,
};
pub use response::{Handled, Response, empty, json, text, with_header};
