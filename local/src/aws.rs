//! Serves the embedded engine and queue on ports of this machine, for functions that run as
//! processes of their own (`cargo lambda watch`) and for the AWS command line. Signatures are not
//! checked.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::connection::{self, Limits};
use crate::engine::Engine;
use crate::host::names_this_machine;
use crate::queue::Queue;
use crate::transport::{self, JsonResponse};

/// DynamoDB's own limit on a request's body.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// Serves the engine on a port.
///
/// # Errors
/// One sentence for the operator.
pub async fn dynamodb(
    address: SocketAddr,
    engine: Engine,
    stop: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), String> {
    let perform = move |operation: String, body: String| {
        let engine = engine.clone();
        async move { engine.perform(&operation, &body).await }
    };
    listen("--dynamodb-listen", address, stop, perform).await
}

/// Serves the queue on a port.
///
/// # Errors
/// One sentence for the operator.
pub async fn sqs(
    address: SocketAddr,
    queue: Queue,
    stop: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), String> {
    let stopped = stop.clone();
    let perform = move |operation: String, body: String| {
        let (queue, mut stopped) = (queue.clone(), stopped.clone());
        async move {
            let performed = queue.perform(&operation, &body);
            // A receive that waits for messages must not delay a stop.
            let stopped = async {
                match operation.as_str() {
                    "ReceiveMessage" => drop(stopped.changed().await),
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                answer = performed => answer,
                () = stopped => (200, json!({"Messages": []}).to_string()),
            }
        }
    };
    listen("--sqs-listen", address, stop, perform).await
}

async fn listen<P, F>(
    option: &str,
    address: SocketAddr,
    stop: watch::Receiver<bool>,
    perform: P,
) -> Result<(SocketAddr, JoinHandle<()>), String>
where
    P: Fn(String, String) -> F + Clone + Send + 'static,
    F: Future<Output = JsonResponse> + Send + 'static,
{
    let why = |error: std::io::Error| format!("cannot listen on {address} ({option}): {error}");
    let listener = TcpListener::bind(address).await.map_err(why)?;
    let address = listener.local_addr().map_err(why)?;
    let limits = Limits::default();
    let service = move |request: hyper::Request<Incoming>| {
        let perform = perform.clone();
        async move {
            // Nothing here asks who calls, so a page from elsewhere must not reach it by a browser.
            if !names_this_machine(request.headers()) {
                return respond(transport::unreadable());
            }
            let target = request.headers().get("x-amz-target").cloned();
            let body = Limited::new(request.into_body(), BODY_MAX).collect();
            let body = timeout(limits.body, body).await.ok().and_then(Result::ok);
            let body = body.and_then(|body| String::from_utf8(body.to_bytes().to_vec()).ok());
            let operation = target.as_ref().and_then(|target| target.to_str().ok());
            let operation = operation.and_then(|target| target.rsplit('.').next());
            respond(match (operation, body) {
                (Some(operation), Some(body)) => perform(operation.to_owned(), body).await,
                _ => transport::unreadable(),
            })
        }
    };
    let task = tokio::spawn(connection::serve(listener, limits, stop, service));
    Ok((address, task))
}

fn respond((status, body): JsonResponse) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let media = hyper::header::HeaderValue::from_static("application/x-amz-json-1.0");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, media);
    response
}
