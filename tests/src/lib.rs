//! A harness for the functions' binaries: the Runtime API that hands them events, the environment
//! that Lambda sets, and HTTP servers for the services that they call. The tests and the benchmark
//! share it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

/// The response of a stub server.
pub type Reply = Response<Full<Bytes>>;

/// The table's name in the functions' environment.
pub const TABLE: &str = "imshare";

/// The trace header of every event. Functions must pass it on to the services that they call.
pub const TRACE: &str =
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// How long a function has for an event, unless a test gives it less.
const DEADLINE: Duration = Duration::from_secs(120);

/// Builds a response.
pub fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status.try_into().expect("a status");
    reply
}

/// Serves HTTP on a free port for as long as the runtime lives.
pub async fn serve<F, R>(handler: F) -> SocketAddr
where
    F: Fn(Request<Bytes>) -> R + Clone + Send + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    serve_over(|stream| async { Some(stream) }, handler).await
}

/// Like `serve`, over the stream that `wrap` makes of each connection (TLS, for example).
/// Connections without one are dropped.
pub async fn serve_over<C, CF, S, F, R>(wrap: C, handler: F) -> SocketAddr
where
    C: Fn(TcpStream) -> CF + Clone + Send + 'static,
    CF: Future<Output = Option<S>> + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Bytes>) -> R + Clone + Send + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let (wrap, handler) = (wrap.clone(), handler.clone());
            tokio::spawn(async move {
                let Some(stream) = wrap(stream).await else {
                    return;
                };
                let service = service_fn(move |request: Request<Incoming>| {
                    let handler = handler.clone();
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        Ok::<_, hyper::Error>(handler(Request::from_parts(parts, body)).await)
                    }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// Serves the Runtime API: hands out the events that are sent to it, and sends back the responses.
///
/// When the channel has room for an event again, the function has asked for its next one.
pub async fn runtime(events: mpsc::Receiver<Value>, answers: mpsc::Sender<String>) -> SocketAddr {
    runtime_with(DEADLINE, events, answers).await
}

/// Like [`runtime`], with so much time for an event.
pub async fn runtime_with(
    time: Duration,
    events: mpsc::Receiver<Value>,
    answers: mpsc::Sender<String>,
) -> SocketAddr {
    let events = Arc::new(Mutex::new(events));
    serve(move |request: Request<Bytes>| {
        let (events, answers) = (events.clone(), answers.clone());
        async move {
            let path = request.uri().path().to_owned();
            if path.ends_with("/invocation/next") {
                return match events.lock().await.recv().await {
                    Some(event) => next(&event, time),
                    None => std::future::pending().await,
                };
            }
            let body = String::from_utf8_lossy(request.body()).into_owned();
            // The body of a failure has its own form, which no expected response matches.
            assert!(
                path.ends_with("/response") || path.ends_with("/error"),
                "{path}: {body}"
            );
            // The test may have ended already.
            let _ = answers.send(body).await;
            reply(202, "")
        }
    })
    .await
}

/// The response that hands out an event, with the Runtime API's headers.
fn next(event: &Value, time: Duration) -> Reply {
    let deadline = (SystemTime::now() + time)
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970")
        .as_millis()
        .to_string();
    let mut next = reply(200, event.to_string());
    for (name, value) in [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ),
        ("lambda-runtime-deadline-ms", &deadline),
        ("lambda-runtime-trace-id", TRACE),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:1:function:f",
        ),
    ] {
        let value = value.parse().expect("a header's value");
        next.headers_mut().insert(name, value);
    }
    next
}

/// Builds the command that runs a function's binary with the environment that Lambda and the
/// template set. All of AWS is at one address; Keystone is unreachable unless the caller sets its
/// variables.
///
/// # Panics
/// If there is no such binary.
pub fn function(binary: &Path, runtime: SocketAddr, aws: &str) -> Command {
    assert!(
        binary.exists(),
        "{} is not built: cargo build --workspace --bins",
        binary.display()
    );
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime.to_string())
        .env("AWS_ENDPOINT_URL", aws)
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("TABLE_NAME", TABLE),
            ("QUEUE_URL", local::queue::BATCHES),
            ("DEAD_LETTERS_URL", local::queue::DEAD_LETTERS),
            ("KEYSTONE_URL", "http://127.0.0.1:1/v3"),
            ("KEYSTONE_USERNAME", "imshare"),
            ("KEYSTONE_PASSWORD", "secret"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
