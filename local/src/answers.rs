//! The memory of answers. A list may have megabytes, and a client may read them slowly, on hundreds of
//! connections at once.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, ETAG, LOCATION};
use lambda_http::Body;
use serde_json::json;
use shared::http::error_form::UNAVAILABLE;
use shared::http::{self, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of an answer that take no part of the memory: each connection has this much.
const SMALL: usize = 64 * 1024;

/// The memory of the answers that are not small; cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers(Arc<Semaphore>);

/// An answer's bytes, and their part of the memory.
struct Held {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Answers {
    /// This many KiB for all answers together.
    pub fn new(kib: usize) -> Self {
        Self(Arc::new(Semaphore::new(kib)))
    }

    /// An answer whose bytes take their part of the memory until they are sent, or 503 if too little is left. It does
    /// not wait for memory, since it is in memory already.
    pub fn hold(&self, response: Response) -> hyper::Response<Bytes> {
        let size = response.body().size_hint().exact().unwrap_or_default();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size <= SMALL {
            return response.map(|body| bytes_of(body).into());
        }
        let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
        match self.0.clone().try_acquire_many_owned(kib) {
            Ok(permit) => response.map(|body| {
                let bytes = bytes_of(body);
                let _permit = permit;
                Bytes::from_owner(Held { bytes, _permit })
            }),
            Err(_) => busy(response).map(|body| bytes_of(body).into()),
        }
    }
}

fn bytes_of(body: Body) -> Vec<u8> {
    match body {
        Body::Text(text) => text.into_bytes(),
        Body::Binary(bytes) => bytes,
        _ => Vec::new(),
    }
}

/// What is said instead, with the fields of both APIs, as the deployed gateway does.
fn busy(mut response: Response) -> Response {
    tracing::warn!("too many large answers at once: one was left out");
    let body = json!({
        "message": UNAVAILABLE,
        "code": "503 Service Unavailable",
        "title": "Service Unavailable",
        "error": {"code": "ServiceUnavailable", "message": UNAVAILABLE},
    });
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    *response.body_mut() = body.to_string().into();
    for of_another in [ETAG, LOCATION, CONTENT_ENCODING, CACHE_CONTROL] {
        response.headers_mut().remove(of_another);
    }
    let response = http::with_header(response, "content-type", "application/json");
    http::with_header(response, "retry-after", "1")
}
