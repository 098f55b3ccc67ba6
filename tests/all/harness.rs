//! The test harness: a running service, and callers that send it requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local::options::Options;
use local::server::Server;
use serde_json::{Value, json};
use shared::domain::actor::{Actor, Origin};
use shared::domain::id::ProjectId;
use shared::domain::time::Clock;

/// The demo projects and their tokens.
pub const OWNER: &str = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01";
pub const MEMBER: &str = "edc89b490d7d4392898e19b2deb34797";
pub const MEMBER2: &str = "7d4a3b1f0c9e4f8d8a6b5c4d3e2f1a02";
pub const ADMIN: &str = "a0b1c2d3e4f5460718293a4b5c6d7e8f";
/// A project that no image is shared with.
pub const THIRD: &str = "33333333333333333333333333333333";

/// The caller of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    Owner,
    OwnerReader,
    OwnerNoRole,
    Member,
    MemberReader,
    Member2,
    Third,
    Admin,
    NoToken,
    BadToken,
}

impl Who {
    pub fn token(self) -> Option<&'static str> {
        match self {
            Self::Owner => Some("owner-token-0123456789abcdef"),
            Self::OwnerReader => Some("owner-reader-token-0123456789"),
            Self::OwnerNoRole => Some("owner-norole-token-0123456789"),
            Self::Member => Some("member-token-0123456789abcdef"),
            Self::MemberReader => Some("member-reader-token-0123456789"),
            Self::Member2 => Some("member2-token-0123456789abcdef"),
            Self::Third => Some("third-token-0123456789abcdef"),
            Self::Admin => Some("admin-token-0123456789abcdef"),
            Self::NoToken => None,
            Self::BadToken => Some("a-token-that-nobody-gave"),
        }
    }

    /// The project that the caller acts for.
    pub fn project(self) -> &'static str {
        match self {
            Self::Owner | Self::OwnerReader | Self::OwnerNoRole => OWNER,
            Self::Member | Self::MemberReader => MEMBER,
            Self::Member2 => MEMBER2,
            Self::Third => THIRD,
            Self::Admin => ADMIN,
            Self::NoToken | Self::BadToken => panic!("{self:?} acts for no project"),
        }
    }
}

/// Where the changes come from that a test makes without a request.
pub fn origin() -> Origin {
    let project = ProjectId::parse(OWNER).unwrap();
    Origin::new(Actor::new("u-owner", project), "req-test".to_owned())
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: String,
}

impl HttpResponse {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("{} is not JSON: {}", self.status, self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the response if it has this status; otherwise the test fails.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    pub fn text(&self, pointer: &str) -> String {
        let value = self.json();
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer} in {value}"))
            .to_owned()
    }
}

/// An HTTP client for any server.
#[derive(Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

impl Default for Http {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl Http {
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> HttpResponse {
        let sent = self.try_send(method, url, headers, body);
        sent.await.expect("a server that answers")
    }

    /// `None` if the server does not answer.
    pub async fn try_send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Option<HttpResponse> {
        let mut request = hyper::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).unwrap();
        let response = self.0.request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(HttpResponse {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    }
}

/// A service in memory on a free port.
pub struct Harness {
    pub server: Server,
    http: Http,
}

/// The demo identities, and more callers.
pub fn options() -> Options {
    let mut options = Options {
        // The tests count requests, so nothing may make any in the background.
        sweep_every: None,
        // Some name a host that is not this machine.
        remote_identity: true,
        ..Options::in_memory().unwrap()
    };
    let more = [
        (Who::OwnerReader, OWNER, vec!["reader"]),
        (Who::OwnerNoRole, OWNER, vec!["auditor"]),
        (Who::MemberReader, MEMBER, vec!["reader"]),
        (Who::Third, THIRD, vec!["member", "reader"]),
    ];
    for (who, project, roles) in more {
        let token = json!({"id": who.token(), "user": "u", "project": project, "roles": roles});
        options
            .identity
            .token
            .push(serde_json::from_value(token).unwrap());
    }
    options
}

impl Harness {
    pub async fn new() -> Self {
        Self::with(options()).await
    }

    pub async fn with(options: Options) -> Self {
        let server = Server::start(options).await.unwrap();
        let http = Http::default();
        Self { server, http }
    }

    /// A service whose clock only moves when the test moves it.
    pub async fn with_clock() -> (Self, ManualClock) {
        let clock = ManualClock::default();
        let harness = Self::with(Options {
            clock: clock.clock(),
            ..options()
        })
        .await;
        (harness, clock)
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub async fn send(
        &self,
        who: Who,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> HttpResponse {
        self.send_with(who, method, path, &[], body.map(|b| b.as_bytes().to_vec()))
            .await
    }

    pub async fn send_with(
        &self,
        who: Who,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> HttpResponse {
        let token = who.token().map(|token| ("x-auth-token", token));
        let headers: Vec<_> = token.into_iter().chain(headers.iter().copied()).collect();
        let url = format!("{}{path}", self.server.url());
        self.http
            .send(method, &url, &headers, body.unwrap_or_default())
            .await
    }

    pub async fn get(&self, who: Who, path: &str) -> HttpResponse {
        self.send(who, "GET", path, None).await
    }

    pub async fn delete(&self, who: Who, path: &str) -> HttpResponse {
        self.send(who, "DELETE", path, None).await
    }

    pub async fn post(&self, who: Who, path: &str, body: Value) -> HttpResponse {
        self.send(who, "POST", path, Some(&body.to_string())).await
    }

    pub async fn put(&self, who: Who, path: &str, body: Value) -> HttpResponse {
        self.send(who, "PUT", path, Some(&body.to_string())).await
    }

    pub async fn patch(&self, who: Who, path: &str, body: Value) -> HttpResponse {
        let media = [(
            "content-type",
            "application/openstack-images-v2.1-json-patch",
        )];
        self.send_with(
            who,
            "PATCH",
            path,
            &media,
            Some(body.to_string().into_bytes()),
        )
        .await
    }

    /// Creates an image of the owner and returns its id.
    pub async fn image(&self, body: Value) -> String {
        self.post(Who::Owner, "/v2/images", body)
            .await
            .expect(201)
            .text("/id")
    }

    /// The member count in the image's record.
    pub async fn member_count(&self, image: &str) -> u64 {
        let id = shared::domain::id::ImageId::canonical(image).unwrap();
        let found = self.server.app.store().image(id).await.unwrap();
        found.unwrap().member_count
    }

    pub async fn set_visibility(&self, who: Who, image: &str, visibility: &str) {
        let change = json!([{"op": "replace", "path": "/visibility", "value": visibility}]);
        self.patch(who, &format!("/v2/images/{image}"), change)
            .await
            .expect(200);
    }

    pub async fn share(&self, image: &str, member: &str) -> HttpResponse {
        self.post(
            Who::Owner,
            &format!("/v2/images/{image}/members"),
            json!({"member": member}),
        )
        .await
    }

    /// Shares an image of the owner's with the caller's project, which accepts it.
    pub async fn share_accepted(&self, image: &str, who: Who) {
        let member = who.project();
        self.share(image, member).await.expect(200);
        self.answer(who, image, member, "accepted")
            .await
            .expect(200);
    }

    pub async fn answer(&self, who: Who, image: &str, member: &str, status: &str) -> HttpResponse {
        self.put(
            who,
            &format!("/v2/images/{image}/members/{member}"),
            json!({"status": status}),
        )
        .await
    }

    /// The ids in a list of images.
    pub async fn listed(&self, who: Who, query: &str) -> Vec<String> {
        let answer = self
            .get(who, &format!("/v2/images{query}"))
            .await
            .expect(200)
            .json();
        answer["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until a job has ended and returns it.
    pub async fn ended(&self, who: Who, job: &str) -> Value {
        for _ in 0..4800 {
            let answer = self
                .get(who, &format!("/v1/cloudimages/job/{job}"))
                .await
                .expect(200)
                .json();
            if matches!(answer["status"].as_str(), Some("SUCCESS" | "FAIL")) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("job {job} did not end in 2 min");
    }

    /// Requests to the store so far, by operation.
    pub fn store_requests(&self) -> std::collections::BTreeMap<String, u64> {
        self.server.engine.as_ref().unwrap().requests()
    }
}

/// A clock that only moves when a test moves it.
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(1_760_000_000_000_000)))
    }
}

impl ManualClock {
    pub fn at(now: shared::domain::time::Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.micros())))
    }

    pub fn clock(&self) -> Clock {
        Clock::Manual(self.0.clone())
    }

    pub fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}
