//! An HTTP client of the measured servers: one kept connection, one request at a time.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::server::Server;

/// The caller of a request, by a token of the demo identities.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// Owns the images.
    Owner,
    /// Is the member that the images are shared with.
    Member,
}

impl Who {
    fn token(self) -> &'static str {
        match self {
            Self::Owner => "owner-token-0123456789abcdef",
            Self::Member => "member-token-0123456789abcdef",
        }
    }
}

/// A kept connection.
pub struct Client {
    address: String,
    retries: bool,
    connection: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects.
    pub async fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).await.expect("connect");
        stream.set_nodelay(true).expect("no delay");
        let (connection, driver) = handshake(TokioIo::new(stream)).await.expect("handshake");
        tokio::spawn(driver);
        Self {
            address: server.address.clone(),
            retries: server.is_glance,
            connection,
        }
    }

    /// Sends a request and returns the response's body. The status must be below 300.
    ///
    /// A 500 of Glance is retried: on SQLite it rejects a write when another one was faster.
    pub async fn send(&mut self, who: Who, method: &str, path: &str, body: String) -> Bytes {
        loop {
            let (status, answer) = self.once(who, method, path, body.clone()).await;
            if self.retries && status == 500 {
                continue;
            }
            let text = String::from_utf8_lossy(&answer);
            assert!(status < 300, "{method} {path}: {status} {text}");
            return answer;
        }
    }

    async fn once(&mut self, who: Who, method: &str, path: &str, body: String) -> (u16, Bytes) {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("x-auth-token", who.token())
            .body(Full::from(body))
            .expect("a request");
        self.connection.ready().await.expect("connection");
        let response = self.connection.send_request(request).await.expect("answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("body");
        (status, body.to_bytes())
    }

    /// Like `send`, for a response in JSON.
    pub async fn json(&mut self, who: Who, method: &str, path: &str, body: String) -> Value {
        serde_json::from_slice(&self.send(who, method, path, body).await).expect("JSON")
    }
}
