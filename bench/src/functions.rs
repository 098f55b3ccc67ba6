//! Runs the functions' binaries under the Lambda Runtime API, with their store behind TLS, and
//! measures how long they take to start and how much CPU time a request takes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use hyper::Request;
use local::engine::Engine;
use local::table::{self, Upgrade};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use shared::domain::id::{OperationId, ProjectId};
use shared::domain::image::Image;
use shared::domain::policy::{Caller, Role};
use shared::domain::time::Timestamp;
use shared::runtime::clients::Clients;
use tempfile::TempDir;
use tests::{Reply, TABLE};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::process::Process;

/// An event that lists the members of an image.
const EVENT: &str = "events/read-members/list-by-owner.json";

/// Runs function binaries against a store behind TLS, and sends them one event again and again.
pub struct FunctionRunner {
    event: Value,
    store: SocketAddr,
    certificate: TempDir,
}

/// A running function that has answered once.
pub struct RunningFunction {
    /// From the start of its process until it asks for its first event.
    pub init: Duration,
    /// From the start of its process until its first answer.
    pub first: Duration,
    process: Process,
    event: Value,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<String>,
}

impl RunningFunction {
    /// CPU time of a request: the mean of so many.
    pub async fn cpu(&mut self, requests: u32) -> Duration {
        let before = self.process.cpu();
        for _ in 0..requests {
            self.ask().await;
        }
        (self.process.cpu() - before) / requests
    }

    /// The most memory that was resident, in MB.
    pub fn memory(&self) -> f64 {
        self.process.memory().1
    }

    async fn ask(&mut self) {
        let sent = self.events.send(self.event.clone()).await;
        sent.expect("a runtime");
        let answer = self.answers.recv().await.expect("an answer");
        assert!(answer.contains("\"statusCode\":200"), "{answer}");
    }
}

impl FunctionRunner {
    /// Creates a store with the records that the event needs.
    pub async fn new() -> Self {
        let event = std::fs::read_to_string(EVENT).expect("to be run in the project's directory");
        let event: Value = serde_json::from_str(&event).expect("JSON");
        let text = |at: &str| event.pointer(at).and_then(Value::as_str).expect("a field");
        let owner = text("/requestContext/authorizer/project_id");
        let owner = Caller {
            user: "u".to_owned(),
            project: ProjectId::parse(owner).expect("a project"),
            role: Role::Member,
        };
        let engine = Engine::in_memory().expect("an engine");
        let client = Clients::dynamodb_in_process(engine.clone());
        table::make(&client, TABLE, Upgrade::Refuse)
            .await
            .expect("a table");
        let store =
            shared::store::Store::new(client, TABLE.to_owned(), shared::store::Indexes::Immediate);
        let image = json!({"id": text("/pathParameters/image_id")});
        let image = Image::from_request(
            image,
            shared::domain::policy::Policy::default(),
            &owner,
            OperationId::now(),
            Timestamp::from_micros(0),
        );
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

    /// Starts the binary and waits for its first response.
    pub async fn start(&self, binary: &Path) -> RunningFunction {
        let (events, taken) = mpsc::channel(1);
        let (answer, mut answers) = mpsc::channel::<String>(1);
        let runtime = tests::runtime(taken, answer).await;
        let event = self.event.clone();
        events.send(event.clone()).await.expect("a runtime");
        let began = Instant::now();
        let process = self.process(binary, runtime);
        drop(events.reserve().await);
        let init = began.elapsed();
        let answer = answers.recv().await.expect("an answer");
        let first = began.elapsed();
        assert!(answer.contains("\"statusCode\":200"), "{answer}");
        RunningFunction {
            init,
            first,
            process,
            event,
            events,
            answers,
        }
    }

    /// How long the binary takes to ask for its first event.
    pub async fn init(&self, binary: &Path) -> Duration {
        let (event, events) = mpsc::channel(1);
        let (answer, _answers) = mpsc::channel(1);
        let runtime = tests::runtime(events, answer).await;
        event.send(Value::Null).await.expect("a runtime");
        let began = Instant::now();
        let _process = self.process(binary, runtime);
        drop(event.reserve().await);
        began.elapsed()
    }

    fn process(&self, binary: &Path, runtime: SocketAddr) -> Process {
        let store = format!("https://{}", self.store);
        let mut command = tests::function(binary, runtime, &store);
        Process::start(command.env("SSL_CERT_FILE", self.certificate.path().join("cert.pem")))
    }
}

/// Makes a certificate for 127.0.0.1 and its key, with the `openssl` command.
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
    let over_tls = move |stream: TcpStream| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(stream).await.ok() }
    };
    tests::serve_over(over_tls, answers(engine)).await
}

/// Answers DynamoDB's requests over HTTP by the engine.
pub fn answers(
    engine: Engine,
) -> impl Fn(Request<Bytes>) -> BoxFuture<'static, Reply> + Clone + Send + 'static {
    move |request| {
        let engine = engine.clone();
        Box::pin(async move {
            let target = request.headers().get("x-amz-target");
            let target = target.and_then(|target| target.to_str().ok());
            let operation = target.and_then(|target| target.split_once('.'));
            let body = String::from_utf8_lossy(request.body());
            let answer = engine.perform(operation.unwrap_or_default().1, &body);
            let (status, body) = answer.await;
            tests::reply(status, body)
        })
    }
}
