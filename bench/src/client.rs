//! An HTTP client of the measured servers: one kept connection, one request at a time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::server::Server;

/// How often a job is asked whether it has ended.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// After how long a connection that was not used is replaced.
const IDLE: Duration = Duration::from_secs(5);

/// The caller of a request, by a token of the demo identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Owns the images.
    Owner,
    /// Is the member that the images are shared with.
    Member,
    /// Has no image, and none is shared with it.
    Stranger,
    /// Creates the public images.
    Admin,
}

impl Who {
    fn token(self) -> &'static str {
        match self {
            Self::Owner => "owner-token-0123456789abcdef",
            Self::Member => "member-token-0123456789abcdef",
            Self::Stranger => "member2-token-0123456789abcdef",
            Self::Admin => "admin-token-0123456789abcdef",
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    who: Who,
    method: &'static str,
    path: String,
    body: Bytes,
}

impl Request {
    /// A request with a body.
    pub fn new(who: Who, method: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self {
            who,
            method,
            path: path.into(),
            body: body.to_string().into(),
        }
    }

    /// A GET.
    pub fn get(who: Who, path: impl Into<String>) -> Self {
        Self {
            who,
            method: "GET",
            path: path.into(),
            body: Bytes::new(),
        }
    }

    /// A DELETE without a body.
    pub fn delete(who: Who, path: impl Into<String>) -> Self {
        Self {
            method: "DELETE",
            ..Self::get(who, path)
        }
    }
}

/// A kept connection.
pub struct Client {
    address: String,
    is_glance: bool,
    connection: SendRequest<Full<Bytes>>,
    used: Instant,
}

impl Client {
    /// Connects.
    pub async fn new(server: &Server) -> Self {
        Self {
            address: server.address.clone(),
            is_glance: server.is_glance,
            connection: connect(&server.address).await,
            used: Instant::now(),
        }
    }

    /// Whether the server is Glance.
    pub fn is_glance(&self) -> bool {
        self.is_glance
    }

    /// Sends a request and returns the response's body. The status must be below 300.
    ///
    /// A 500 of Glance is retried: on SQLite it rejects a write when another one was faster. Part of
    /// the write may have been applied by then, so that the second one is refused.
    pub async fn ask(&mut self, request: Request) -> Bytes {
        let mut again = false;
        loop {
            let (status, answer) = self.once(&request).await;
            if self.is_glance && status == 500 {
                again = true;
                continue;
            }
            if again && matches!(status, 400 | 404 | 409) {
                return answer;
            }
            let text = String::from_utf8_lossy(&answer);
            let Request { method, path, .. } = &request;
            assert!(status < 300, "{method} {path}: {status} {text}");
            return answer;
        }
    }

    /// Sends a request and returns the response's status and body.
    pub async fn once(&mut self, request: &Request) -> (u16, Bytes) {
        let mut builder = hyper::Request::builder()
            .method(request.method)
            .uri(&request.path)
            .header("host", &self.address)
            .header("x-auth-token", request.who.token());
        if request.method == "PATCH" {
            let media = "application/openstack-images-v2.1-json-patch";
            builder = builder.header("content-type", media);
        }
        let request = builder.body(Full::from(request.body.clone()));
        // Servers close connections that are idle.
        if self.used.elapsed() > IDLE || self.connection.is_closed() {
            self.connection = connect(&self.address).await;
        }
        self.connection.ready().await.expect("connection");
        let sent = self.connection.send_request(request.expect("a request"));
        let response = sent.await.expect("answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("body");
        self.used = Instant::now();
        (status, body.to_bytes())
    }

    /// Like `ask`, for a response in JSON.
    pub async fn json(&mut self, request: Request) -> Value {
        serde_json::from_slice(&self.ask(request).await).expect("JSON")
    }

    /// Starts a batch, waits until its job has ended, and returns the job's id.
    pub async fn batch(&mut self, request: Request) -> String {
        let who = request.who;
        let job = self.json(request).await;
        let job = job["job_id"].as_str().expect("a job").to_owned();
        loop {
            let path = format!("/v1/cloudimages/job/{job}?limit=1");
            let state = self.json(Request::get(who, path)).await;
            match state["status"].as_str() {
                Some("SUCCESS") => return job,
                Some("FAIL") => panic!("the job failed: {state}"),
                _ => tokio::time::sleep(POLL_EVERY).await,
            }
        }
    }
}

async fn connect(address: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("connect");
    stream.set_nodelay(true).expect("no delay");
    let (connection, driver) = handshake(TokioIo::new(stream)).await.expect("handshake");
    tokio::spawn(driver);
    connection
}
