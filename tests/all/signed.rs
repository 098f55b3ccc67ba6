//! Signed requests over real HTTP: an access key authenticates its project, and no signed part can
//! be changed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::domain::policy::Role;
use shared::domain::roles::RoleNames;

use crate::harness::{Harness, HttpResponse, ManualClock, OWNER, Who, options};

const OWNER_KEY: (&str, &str) = (
    "OWNERAKOWNERAKOWNERA",
    "owner-secret-key-0123456789abcdef0123456",
);
const MEMBER_KEY: (&str, &str) = (
    "MEMBERAKMEMBERAKMEMB",
    "member-secret-key-0123456789abcdef012345",
);
/// The start of the manual clock.
const NOW: &str = "20251009T085320Z";

/// A request before it is sent.
#[derive(Clone)]
struct Request {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Request {
    fn new(harness: &Harness, method: &'static str, path: &str, body: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![
                ("host", harness.address().to_string()),
                ("x-sdk-date", NOW.to_owned()),
            ],
            body: body.to_owned(),
        }
    }

    fn signed_by(mut self, key: (&str, &str)) -> Self {
        let authorization = self.authorization(key);
        self.headers.push(("authorization", authorization));
        self
    }

    /// Signs as the vendors' own clients do, without code of the service.
    fn authorization(&self, (access, secret): (&str, &str)) -> String {
        let mut headers: Vec<_> = self.headers.iter().collect();
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}:{}\n", value.trim()))
            .collect();
        let digest = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
        let canonical = [
            self.method,
            &self.canonical_path(),
            &self.canonical_query(),
            &lines.concat(),
            &names.join(";"),
            &digest(self.body.as_bytes()),
        ];
        let date = headers.iter().find(|(name, _)| *name == "x-sdk-date");
        let date = &date.unwrap().1;
        let canonical = digest(canonical.join("\n").as_bytes());
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("SDK-HMAC-SHA256\n{date}\n{canonical}").as_bytes());
        format!(
            "SDK-HMAC-SHA256 Access={access}, SignedHeaders={}, Signature={}",
            names.join(";"),
            hex::encode(mac.finalize().into_bytes())
        )
    }

    /// The decoded path, split at slashes, each segment encoded, with a trailing slash.
    fn canonical_path(&self) -> String {
        let decoded: Vec<u8> = percent_decode_str(&self.path).collect();
        let segments: Vec<String> = decoded.split(|byte| *byte == b'/').map(encoded).collect();
        let path = segments.join("/");
        if path.ends_with('/') {
            path
        } else {
            path + "/"
        }
    }

    /// The query parameters, decoded, sorted by name and value, and encoded.
    fn canonical_query(&self) -> String {
        let decoded =
            |text: &str| -> Vec<u8> { percent_decode_str(&text.replace('+', " ")).collect() };
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let mut pairs: Vec<_> = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        pairs.sort();
        let pairs = pairs
            .iter()
            .map(|(n, v)| format!("{}={}", encoded(n), encoded(v)));
        pairs.collect::<Vec<_>>().join("&")
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    async fn send(&self, harness: &Harness) -> HttpResponse {
        let path = match self.query.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, self.query),
        };
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let body = self.body.clone().into_bytes();
        harness
            .send_with(Who::NoToken, self.method, &path, &headers, Some(body))
            .await
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encoded(bytes: impl AsRef<[u8]>) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    percent_encode(bytes.as_ref(), KEPT).to_string()
}

async fn harness() -> (Harness, ManualClock) {
    Harness::with_clock().await
}

#[tokio::test]
async fn who_signs_is_the_keys_project() {
    let (harness, _) = harness().await;
    let create = Request::new(&harness, "POST", "/v2/images", r#"{"name": "debian"}"#);
    let image = create.clone().signed_by(OWNER_KEY).send(&harness).await;
    let image = image.expect(201);
    assert_eq!(image.text("/owner"), OWNER);
    let path = format!("/v2/images/{}", image.text("/id"));
    let show = Request::new(&harness, "GET", &path, "");
    show.clone()
        .signed_by(OWNER_KEY)
        .send(&harness)
        .await
        .expect(200);
    show.clone()
        .signed_by(MEMBER_KEY)
        .send(&harness)
        .await
        .expect(404);
    // A polling client sends the same request again.
    let again = show.signed_by(OWNER_KEY);
    for _ in 0..3 {
        again.send(&harness).await.expect(200);
    }
}

#[tokio::test]
async fn every_function_takes_signed_requests() {
    let (harness, _) = harness().await;
    let image = harness.image(json!({})).await;
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
        let request = Request::new(&harness, method, path, body).signed_by(OWNER_KEY);
        request.send(&harness).await.expect(status);
    }
}

#[tokio::test]
async fn what_was_signed_cannot_be_changed() {
    let (harness, _) = harness().await;
    let request = Request::new(&harness, "GET", "/v2/images?limit=2&name=a%20b", "")
        .with("accept", "application/json")
        .signed_by(OWNER_KEY);
    request.send(&harness).await.expect(200);

    let mut query = request.clone();
    query.query = "limit=3&name=a%20b".to_owned();
    let mut more = request.clone();
    more.query += "&owner=x";
    let mut plus = request.clone();
    plus.query = "limit=2&name=a%2Bb".to_owned();
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
        ("a plus for a space", plus),
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
        let refused = changed.send(&harness).await;
        assert_eq!(refused.status, 401, "{what}: {}", refused.body);
        // All refusals read the same, so that none helps to guess.
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
    let (harness, clock) = harness().await;
    let request = Request::new(&harness, "GET", "/v2/images", "").signed_by(OWNER_KEY);
    request.send(&harness).await.expect(200);
    clock.forward(900);
    request.send(&harness).await.expect(200);
    clock.forward(1);
    let late = request.send(&harness).await.expect(401);
    assert!(late.body.contains("15 minutes"), "{}", late.body);
    let job = Request::new(&harness, "GET", "/v1/cloudimages/job/x", "").signed_by(OWNER_KEY);
    let late = job.send(&harness).await.expect(401);
    assert!(late.text("/error/message").contains("15 minutes"));
}

#[tokio::test]
async fn a_token_goes_before_a_signature_and_forged_headers_say_nothing() {
    let (harness, _) = harness().await;
    let request = Request::new(&harness, "GET", "/v2/images", "");
    let wrong = request.clone().signed_by((OWNER_KEY.0, "not the key"));
    wrong.send(&harness).await.expect(401);
    let owner = Who::Owner.token().unwrap();
    wrong
        .with("x-auth-token", owner)
        .send(&harness)
        .await
        .expect(200);
    let forged = request.with("x-project-id", OWNER).with("x-roles", "admin");
    forged.send(&harness).await.expect(401);
}

#[tokio::test]
async fn without_access_keys_nobody_can_sign() {
    let mut options = options();
    options.identity.access_key.clear();
    let clock = ManualClock::default();
    options.clock = clock.clock();
    let harness = Harness::with(options).await;
    let request = Request::new(&harness, "GET", "/v2/images", "").signed_by(OWNER_KEY);
    request.send(&harness).await.expect(401);
}

/// The signature covers what the client sent, whatever the service makes of the request.
#[tokio::test]
async fn the_request_that_was_sent_is_the_one_that_is_checked() {
    let (harness, _) = harness().await;
    let image = harness.image(json!({})).await;
    let members = format!("/v2/images/{image}/members");
    let mut wrong = Vec::new();
    for (path, status) in [
        // Parameters in any order, some with names that are prefixes of others.
        ("/v2/images?name=x&a=1&a-b=2&a.b=3&A=4&limit=2", 200),
        // Repeated names with values in any order.
        ("/v2/images?tag=b&tag=a&tag=a%2Fb&tag=a-b&tag=%C3%A9", 200),
        ("/v2/images?name=&x&y=", 200),
        ("/v2/images?&name=x&&limit=2&", 200),
        ("/v2/images?name=a+b%2Bc%20d%3D%26", 200),
        ("/v2/images?name=a=b=c", 200),
        ("/v2/%69mages/x", 404),
        ("/v2//images/x", 404),
        ("/v2/images//", 404),
        ("/v2/images/", 404),
        ("/v2.9/images", 200),
        (&format!("{members}/a%2Fb"), 404),
        (&format!("{members}/%C3%A9%20%2B+"), 404),
        ("/v2/images/../images", 200),
    ] {
        let answer = Request::new(&harness, "GET", path, "").signed_by(OWNER_KEY);
        let found = answer.send(&harness).await.status;
        if found != status && !(found != 401 && status != 200) {
            wrong.push((path.to_owned(), found));
        }
    }
    // The signature does not decide between a 400, a 404 and a list.
    for path in ["/v2/images?name=%FF", "/v2/images/%FF/x"] {
        let answer = Request::new(&harness, "GET", path, "").signed_by(OWNER_KEY);
        let found = answer.send(&harness).await.status;
        if found == 401 {
            wrong.push((path.to_owned(), found));
        }
    }
    for (name, value) in [
        ("x-openstack-request-id", "r".repeat(65)),
        ("x-openstack-request-id", "  req-1  ".to_owned()),
        ("x-openstack-request-id", "é".repeat(40)),
        ("x-openstack-request-id", String::new()),
        ("accept", " application/json ,  text/html ".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-project-id", OWNER.to_owned()),
    ] {
        let request = Request::new(&harness, "GET", "/v2/images", "").with(name, &value);
        let found = request.signed_by(OWNER_KEY).send(&harness).await.status;
        if found != 200 {
            wrong.push((format!("{name}: {value}"), found));
        }
    }
    assert_eq!(wrong, []);
}

#[tokio::test]
async fn a_header_that_is_signed_is_there_once() {
    let (harness, _) = harness().await;
    for (name, value) in [
        ("x-sdk-date", NOW),
        ("host", "elsewhere"),
        ("accept", "text/html"),
    ] {
        let mut request = Request::new(&harness, "GET", "/v2/images", "")
            .with("accept", "application/json")
            .signed_by(OWNER_KEY);
        request.headers.push((name, value.to_owned()));
        request.send(&harness).await.expect(401);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_made_good_by_a_signature() {
    let (harness, _) = harness().await;
    for token in [Who::BadToken.token().unwrap(), ""] {
        let request = Request::new(&harness, "GET", "/v2/images", "").signed_by(OWNER_KEY);
        let request = request.with("x-auth-token", token);
        request.send(&harness).await.expect(401);
    }
}

/// The roles of access keys have the same names as Keystone's.
#[tokio::test]
async fn the_roles_of_a_key_have_the_names_of_the_deployment() {
    let plain = RoleNames::default;
    let no_admin = || RoleNames::of([("", Role::Admin), ("creator", Role::Member)]);
    for (names, roles, shows, creates) in [
        (plain(), vec!["Member"], 200, 201),
        (plain(), vec!["READER"], 200, 403),
        (plain(), vec!["creator"], 403, 403),
        (plain(), vec!["member,x", " member"], 403, 403),
        (no_admin(), vec!["creator"], 200, 201),
        (no_admin(), vec!["admin", "member"], 403, 403),
        (plain(), vec![], 403, 403),
    ] {
        let mut options = options();
        options.clock = ManualClock::default().clock();
        options.roles = names;
        for key in &mut options.identity.access_key {
            key.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        }
        let harness = Harness::with(options).await;
        for (method, body, status) in [("GET", "", shows), ("POST", "{}", creates)] {
            let request = Request::new(&harness, method, "/v2/images", body).signed_by(OWNER_KEY);
            let found = request.send(&harness).await;
            assert_eq!(found.status, status, "{roles:?} {method}: {}", found.body);
        }
    }
}
