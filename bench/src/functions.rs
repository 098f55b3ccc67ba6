//! The functions' binaries under the Lambda Runtime API, with their store behind TLS: how long one
//! takes from the start of its process, and how much processor time a request takes it then.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use local::engine::{self, Engine};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use shared::app::Clients;
use shared::auth::{Caller, Role};
use shared::id::{OperationId, ProjectId};
use shared::image::Image;
use shared::time::Timestamp;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::process;

/// What a function that lists the members of an image is sent.
const EVENT: &str = "events/read-members/list-by-owner.json";
const TABLE: &str = "imshare";

/// A store behind TLS, and a Runtime API that hands out one event again and again.
pub struct Stage {
    event: Value,
    store: SocketAddr,
    certificate: TempDir,
}

/// What was measured of a binary.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From the start of the process until it asks for its first event.
    pub init: Duration,
    /// From the start of the process until its first answer.
    pub first: Duration,
    /// Processor time of one request more.
    pub cpu: Duration,
    /// Most memory that was resident, in MB.
    pub memory: f64,
}

impl Stage {
    /// A store that has what the event asks for.
    pub async fn new() -> Self {
        let event = std::fs::read_to_string(EVENT).expect("to be run in the project's directory");
        let event: Value = serde_json::from_str(&event).expect("JSON");
        let text = |at: &str| event.pointer(at).and_then(Value::as_str).expect("a field");
        let owner = text("/requestContext/authorizer/project_id");
        let owner = Caller {
            project: ProjectId::parse(owner).expect("a project"),
            role: Role::Member,
        };
        let engine = Engine::in_memory().expect("an engine");
        let client = Clients::local().dynamodb_over(engine.clone(), None);
        engine::create_table(&client, TABLE).await.expect("a table");
        let store = shared::store::Store::new(client, TABLE.to_owned());
        let image = json!({"id": text("/pathParameters/image_id")});
        let image =
            Image::from_request(image, &owner, OperationId::now(), Timestamp::from_micros(0));
        let created = store.create_image(&image.expect("an image")).await;
        assert!(created.expect("the store answers"));
        let certificate = certificate();
        let store = serve_tls(engine, certificate.path()).await;
        Self {
            event,
            store,
            certificate,
        }
    }

    /// Starts the binary, has it answer once, and then some times more.
    pub async fn measure(&self, binary: &Path, more: u32) -> Measured {
        let (asked, mut asks) = mpsc::channel(1);
        let (answered, mut answers) = mpsc::channel(1);
        let runtime = runtime(self.event.to_string(), asked, answered).await;
        let began = Instant::now();
        let child = self.start(binary, runtime);
        asks.recv().await.expect("it asks for an event");
        let init = began.elapsed();
        let answer: String = answers.recv().await.expect("an answer");
        let first = began.elapsed();
        assert!(
            answer.contains("\"statusCode\":200"),
            "{}: {answer}",
            binary.display()
        );
        let cpu = process::cpu(child.0.id());
        for _ in 0..more {
            asks.recv().await.expect("it asks for an event");
            answers.recv().await.expect("an answer");
        }
        Measured {
            init,
            first,
            cpu: (process::cpu(child.0.id()) - cpu) / more.max(1),
            memory: process::memory(child.0.id()).1,
        }
    }

    /// How long the binary takes until it asks for its first event.
    pub async fn init(&self, binary: &Path) -> Duration {
        let (asked, mut asks) = mpsc::channel(1);
        let (answered, _answers) = mpsc::channel(1);
        let runtime = runtime("{}".to_owned(), asked, answered).await;
        let began = Instant::now();
        let _child = self.start(binary, runtime);
        asks.recv().await.expect("it asks for an event");
        began.elapsed()
    }

    fn start(&self, binary: &Path, runtime: SocketAddr) -> Started {
        let child = Command::new(binary)
            .env_clear()
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
                ("KEYSTONE_URL", "http://127.0.0.1:1/v3"),
                ("KEYSTONE_USERNAME", "imshare"),
                ("KEYSTONE_PASSWORD", "secret"),
            ])
            .env("AWS_LAMBDA_RUNTIME_API", runtime.to_string())
            .env("AWS_ENDPOINT_URL", format!("https://{}", self.store))
            .env("SSL_CERT_FILE", self.certificate.path().join("cert.pem"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", binary.display()));
        Started(child)
    }
}

/// A function that runs; stopped when dropped.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate for 127.0.0.1 and its key, by the `openssl` command.
fn certificate() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-subj",
            "/CN=store",
            "-days",
            "2",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("the openssl command").success());
    directory
}

/// Serves the engine as DynamoDB over TLS.
async fn serve_tls(engine: Engine, directory: &Path) -> SocketAddr {
    let chain = CertificateDer::from_pem_file(directory.join("cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, engine) = (acceptor.clone(), engine.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(move |request: Request<Incoming>| {
                    let engine = engine.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let target = head.headers.get("x-amz-target");
                        let target = target.and_then(|target| target.to_str().ok());
                        let operation = target.and_then(|target| target.split_once('.'));
                        let body = String::from_utf8_lossy(&body);
                        let (status, body) = engine.perform(operation.unwrap_or_default().1, &body);
                        Ok::<_, hyper::Error>(reply(status, body))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// A Runtime API that hands out an event for as long as somebody takes the answers.
async fn runtime(
    event: String,
    asked: mpsc::Sender<()>,
    answered: mpsc::Sender<String>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let waiting = Arc::new(Mutex::new(()));
    tokio::spawn(async move {
        // The client of the runtime keeps its connection; there may be a second for answers.
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let (event, waiting) = (event.clone(), waiting.clone());
            let (asked, answered) = (asked.clone(), answered.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (event, waiting) = (event.clone(), waiting.clone());
                let (asked, answered) = (asked.clone(), answered.clone());
                async move {
                    let is_next = request.uri().path().ends_with("/invocation/next");
                    let body = request.into_body().collect().await?.to_bytes();
                    if is_next {
                        let _turn = waiting.lock().await;
                        if asked.send(()).await.is_err() {
                            return std::future::pending().await;
                        }
                        return Ok::<_, hyper::Error>(next(event));
                    }
                    let body = String::from_utf8_lossy(&body).into_owned();
                    let _ = answered.send(body).await;
                    Ok(reply(202, String::new()))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn reply(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status.try_into().expect("a status");
    response
}

/// The answer that has an event, as the runtime's client reads it.
fn next(event: String) -> Response<Full<Bytes>> {
    let deadline = std::time::SystemTime::now() + Duration::from_secs(60);
    let deadline = deadline
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time after 1970")
        .as_millis()
        .to_string();
    let mut response = reply(200, event);
    for (name, value) in [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ),
        ("lambda-runtime-deadline-ms", deadline.as_str()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:1:function:f",
        ),
    ] {
        let value = value.parse().expect("a header's value");
        response.headers_mut().insert(name, value);
    }
    response
}
