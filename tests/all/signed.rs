//! Signed requests over real HTTP: who signs with an access key is its project, and nothing of
//! what was signed can be changed.

use hyper::HeaderMap;
use serde_json::json;
use shared::secret::Secret;
use shared::signature::{Signable, sign};

use crate::world::{Answer, ManualClock, OWNER, Who, World, options};

const OWNER_KEY: (&str, &str) = (
    "OWNERAKOWNERAKOWNERA",
    "owner-secret-key-0123456789abcdef0123456",
);
const MEMBER_KEY: (&str, &str) = (
    "MEMBERAKMEMBERAKMEMB",
    "member-secret-key-0123456789abcdef012345",
);
/// When the manual clock begins.
const NOW: &str = "20251009T085320Z";

/// A request, and what a client signs of it.
#[derive(Clone)]
struct Request {
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Request {
    fn new(world: &World, method: &'static str, path: &str, body: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: Vec::new(),
            headers: vec![
                ("host", world.address().to_string()),
                ("x-sdk-date", NOW.to_owned()),
            ],
            body: body.to_owned(),
        }
    }

    fn signed_by(mut self, (access, secret): (&str, &str)) -> Self {
        let headers: HeaderMap = self
            .headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let request = Signable {
            method: self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body: self.body.as_bytes(),
        };
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let secret = Secret::new(secret.to_owned());
        let authorization = sign(request, &names, access, &secret).unwrap();
        self.headers.push(("authorization", authorization));
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    async fn send(&self, world: &World) -> Answer {
        let query: Vec<String> = self.query.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let path = match query.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, query.join("&")),
        };
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let body = self.body.clone().into_bytes();
        world
            .send_with(Who::NoToken, self.method, &path, &headers, Some(body))
            .await
    }
}

async fn world() -> (World, ManualClock) {
    World::with_clock().await
}

#[tokio::test]
async fn who_signs_is_the_keys_project() {
    let (world, _) = world().await;
    let create = Request::new(&world, "POST", "/v2/images", r#"{"name": "debian"}"#);
    let image = create.clone().signed_by(OWNER_KEY).send(&world).await;
    let image = image.expect(201);
    assert_eq!(image.text("/owner"), OWNER);
    let path = format!("/v2/images/{}", image.text("/id"));
    let show = Request::new(&world, "GET", &path, "");
    show.clone()
        .signed_by(OWNER_KEY)
        .send(&world)
        .await
        .expect(200);
    show.clone()
        .signed_by(MEMBER_KEY)
        .send(&world)
        .await
        .expect(404);
    // A poller sends the very same request again.
    let again = show.signed_by(OWNER_KEY);
    for _ in 0..3 {
        again.send(&world).await.expect(200);
    }
}

#[tokio::test]
async fn every_function_takes_signed_requests() {
    let (world, _) = world().await;
    let image = world.image(json!({})).await;
    let members = format!("/v2/images/{image}/members");
    let row = format!("{members}/p");
    for (method, path, body, status) in [
        ("POST", members.as_str(), r#"{"member": "p"}"#, 200),
        ("GET", &members, "", 200),
        ("GET", &row, "", 200),
        ("PUT", &row, r#"{"status": "accepted"}"#, 403),
        ("DELETE", &row, "", 204),
        ("GET", "/v2/images", "", 200),
        ("GET", "/v2/schemas/member", "", 200),
        ("PUT", "/v2/images", "", 405),
        ("POST", "/v1/cloudimages/members", "{}", 400),
        (
            "GET",
            "/v1/cloudimages/job/0199c6a1b2c37def8123456789abcdef",
            "",
            404,
        ),
    ] {
        let request = Request::new(&world, method, path, body).signed_by(OWNER_KEY);
        request.send(&world).await.expect(status);
    }
}

#[tokio::test]
async fn what_was_signed_cannot_be_changed() {
    let (world, _) = world().await;
    let mut request = Request::new(&world, "GET", "/v2/images", "");
    request.query = vec![
        ("limit".to_owned(), "2".to_owned()),
        ("name".to_owned(), "a%20b".to_owned()),
    ];
    // What is signed is the decoded query.
    let mut decoded = request.clone();
    decoded.query[1].1 = "a b".to_owned();
    request.headers = decoded
        .with("accept", "application/json")
        .signed_by(OWNER_KEY)
        .headers;
    request.send(&world).await.expect(200);

    let mut query = request.clone();
    query.query[0].1 = "3".to_owned();
    let mut more = request.clone();
    more.query.push(("owner".to_owned(), "x".to_owned()));
    let mut body = request.clone();
    body.body = "x".to_owned();
    let mut method = request.clone();
    method.method = "DELETE";
    let mut path = request.clone();
    path.path = "/v2/schemas/image".to_owned();
    let authorization = request
        .headers
        .iter()
        .find(|(name, _)| *name == "authorization");
    let authorization = authorization.unwrap().1.clone();
    let other_id = authorization.replace(OWNER_KEY.0, MEMBER_KEY.0);
    let nobodys_id = authorization.replace(OWNER_KEY.0, "NOBODY");
    let fewer_headers = authorization.replace("accept;", "");
    for (what, changed) in [
        ("query", query),
        ("one argument more", more),
        ("body", body),
        ("method", method),
        ("path", path),
        (
            "signed header",
            request.clone().with("accept", "application/json ;q=0.5"),
        ),
        (
            "date",
            request.clone().with("x-sdk-date", "20251009T085321Z"),
        ),
        (
            "digest of the body",
            request
                .clone()
                .with("x-sdk-content-sha256", &"0".repeat(64)),
        ),
        (
            "another's id",
            request.clone().with("authorization", &other_id),
        ),
        (
            "nobody's id",
            request.clone().with("authorization", &nobodys_id),
        ),
        (
            "list of headers",
            request.clone().with("authorization", &fewer_headers),
        ),
        (
            "nonsense",
            request
                .clone()
                .with("authorization", "SDK-HMAC-SHA256 nonsense"),
        ),
    ] {
        let refused = changed.send(&world).await;
        assert_eq!(refused.status, 401, "{what}: {}", refused.body);
        // All of them read the same: nothing helps to guess.
        assert!(
            refused.body.contains("not signed by a valid access key"),
            "{}",
            refused.body
        );
        assert!(refused.header("www-authenticate").is_some());
    }
}

#[tokio::test]
async fn a_signature_is_good_for_a_quarter_of_an_hour() {
    let (world, clock) = world().await;
    let request = Request::new(&world, "GET", "/v2/images", "").signed_by(OWNER_KEY);
    request.send(&world).await.expect(200);
    clock.forward(900);
    request.send(&world).await.expect(200);
    clock.forward(1);
    let late = request.send(&world).await.expect(401);
    assert!(late.body.contains("15 minutes"), "{}", late.body);
    let job = Request::new(&world, "GET", "/v1/cloudimages/job/x", "").signed_by(OWNER_KEY);
    let late = job.send(&world).await.expect(401);
    assert!(late.text("/error/message").contains("15 minutes"));
}

#[tokio::test]
async fn a_token_goes_before_a_signature_and_forged_headers_say_nothing() {
    let (world, _) = world().await;
    let request = Request::new(&world, "GET", "/v2/images", "");
    let wrong = request.clone().signed_by((OWNER_KEY.0, "not the key"));
    wrong.send(&world).await.expect(401);
    let owner = Who::Owner.token().unwrap();
    wrong
        .with("x-auth-token", owner)
        .send(&world)
        .await
        .expect(200);
    let forged = request.with("x-project-id", OWNER).with("x-roles", "admin");
    forged.send(&world).await.expect(401);
}

#[tokio::test]
async fn without_access_keys_nobody_can_sign() {
    let mut options = options();
    options.identity.access_key.clear();
    let clock = ManualClock::default();
    options.clock = clock.clock();
    let world = World::with(options).await;
    let request = Request::new(&world, "GET", "/v2/images", "").signed_by(OWNER_KEY);
    request.send(&world).await.expect(401);
}
