//! CORS, and the addresses of links, whatever a request's headers claim.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Harness, HttpResponse, Who, options};
use local::options::Options;

const CONSOLE: &str = "https://console.example.com";
const OTHER: &str = "https://evil.example.com";

async fn harness() -> Harness {
    let origins = format!("{CONSOLE},http://localhost:8080");
    Harness::with(Options {
        cors_origins: origins.parse().unwrap(),
        ..options()
    })
    .await
}

async fn from(
    harness: &Harness,
    origin: &str,
    method: &str,
    path: &str,
    body: &str,
) -> HttpResponse {
    let headers = [("origin", origin)];
    let who = Who::Owner;
    let body = Some(body.as_bytes().to_vec());
    harness.send_with(who, method, path, &headers, body).await
}

/// A path of every kind: both APIs, errors, discovery, docs, the identity service.
const PATHS: [(&str, &str, u16); 12] = [
    ("GET", "/v2/images", 200),
    (
        "GET",
        "/v2/images/00000000-0000-4000-8000-000000000000",
        404,
    ),
    ("PUT", "/v2/images", 405),
    ("GET", "/v2/schemas/image", 200),
    ("GET", "/v1/cloudimages/quota", 200),
    ("POST", "/v1/cloudimages/members", 400),
    ("GET", "/", 300),
    ("GET", "/healthcheck", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/identity/v3", 200),
    ("GET", "/identity/v3/auth/tokens", 404),
    ("GET", "/identity/v3/auth/projects", 200),
];

#[tokio::test]
async fn a_configured_origin_reads_every_answer_and_no_other_does() {
    let harness = harness().await;
    for (method, path, status) in PATHS {
        let answer = from(&harness, CONSOLE, method, path, "")
            .await
            .expect(status);
        let header = |name| answer.header(name);
        assert_eq!(
            header("access-control-allow-origin"),
            Some(CONSOLE),
            "{path}"
        );
        let read = header("access-control-expose-headers")
            .unwrap()
            .to_lowercase();
        for name in ["x-openstack-request-id", "location", "etag", "retry-after"] {
            assert!(read.contains(name), "{path}: {read}");
        }
        assert_eq!(header("access-control-allow-credentials"), None, "{path}");
        assert_eq!(header("vary"), Some("Origin"), "{path}");

        for origin in [OTHER, "null", "https://console.example.com.evil.example"] {
            let answer = from(&harness, origin, method, path, "")
                .await
                .expect(status);
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
            assert_eq!(
                answer.header("access-control-expose-headers"),
                None,
                "{path}"
            );
            assert_eq!(answer.header("vary"), Some("Origin"), "{path}");
        }
    }
    // Also on a response that is sent before the body is read.
    let headers = [("origin", CONSOLE)];
    let refused = harness
        .send_with(Who::NoToken, "POST", "/v2/images", &headers, None)
        .await;
    assert_eq!(
        refused.expect(401).header("access-control-allow-origin"),
        Some(CONSOLE)
    );
}

#[tokio::test]
async fn a_preflight_says_what_the_answer_will_say() {
    let harness = harness().await;
    for (_, path, _) in PATHS {
        let answer = from(&harness, CONSOLE, "OPTIONS", path, "").await;
        if path == "/healthcheck" {
            continue;
        }
        let answer = answer.expect(200);
        let header = |name| answer.header(name).unwrap_or_default().to_lowercase();
        assert_eq!(header("access-control-allow-origin"), CONSOLE, "{path}");
        assert!(
            header("access-control-allow-headers").contains("x-auth-token"),
            "{path}"
        );
        assert!(!header("access-control-allow-methods").is_empty(), "{path}");
        let answer = from(&harness, OTHER, "OPTIONS", path, "").await.expect(200);
        let cors = answer
            .headers
            .keys()
            .filter(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors.count(), 0, "{path}");
    }
}

#[tokio::test]
async fn without_an_origin_configured_nothing_is_said_of_origins() {
    let harness = Harness::new().await;
    for (method, path, _) in PATHS {
        for method in [method, "OPTIONS"] {
            let answer = from(&harness, CONSOLE, method, path, "").await;
            let cors = |name: &&hyper::header::HeaderName| {
                name.as_str().starts_with("access-control") || name.as_str() == "vary"
            };
            assert_eq!(
                answer.headers.keys().filter(cors).count(),
                0,
                "{method} {path}"
            );
        }
    }
}

/// Sends a raw request and returns the raw response.
async fn raw(harness: &Harness, request: &str) -> String {
    let mut stream = TcpStream::connect(harness.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_host_that_is_none_is_not_repeated() {
    let harness = Harness::new().await;
    let own = harness.address().to_string();
    for host in [
        "a\"b",
        "a, b",
        "evil\" other=\"x",
        "a<script>",
        "a/b",
        "a@b",
        "x y",
        "a:99999",
    ] {
        for path in [
            "/v2/images",
            "/",
            "/identity/v3",
            "/identity/v3/auth/projects",
            "/openapi.json",
        ] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = raw(&harness, &request).await;
            // Or the server rejects such a request.
            if answer.starts_with("HTTP/1.1 400") {
                continue;
            }
            assert!(!answer.contains(host), "{path}: {answer}");
            assert!(answer.contains(&own), "{path}: {answer}");
        }
    }
    let request = "GET /v2/images HTTP/1.1\r\nHost: images.example:81\r\nConnection: close\r\n\r\n";
    let answer = raw(&harness, request).await;
    assert!(
        answer.contains("Keystone uri=\"http://images.example:81/identity/v3\""),
        "{answer}"
    );
}

#[tokio::test]
async fn links_follow_neither_a_forwarded_scheme_nor_a_host_where_an_endpoint_is_set() {
    let harness = Harness::new().await;
    let forwarded = [("x-forwarded-proto", "https")];
    let answer = harness
        .send_with(Who::Owner, "GET", "/", &forwarded, None)
        .await;
    let href = answer.expect(300).text("/versions/0/links/0/href");
    assert_eq!(href, format!("http://{}/v2/", harness.address()));

    let harness = Harness::with(Options {
        public_endpoint: Some("https://images.example.com/".parse().unwrap()),
        ..options()
    })
    .await;
    let headers = [("host", "evil.example"), ("x-forwarded-proto", "http")];
    let get = async |path| {
        harness
            .send_with(Who::Owner, "GET", path, &headers, None)
            .await
    };
    let base = "https://images.example.com";
    let href = get("/").await.text("/versions/0/links/0/href");
    assert_eq!(href, format!("{base}/v2/"));
    assert_eq!(
        get("/v2").await.header("location"),
        Some(&*format!("{base}/v2/"))
    );
    let catalog = get("/identity/v3/auth/catalog").await.json();
    assert_eq!(catalog["catalog"][1]["endpoints"][0]["url"], json!(base));
    assert!(!catalog.to_string().contains("evil"), "{catalog}");
    let document = get("/openapi.json").await.json();
    assert_eq!(document["servers"][0]["url"], json!(base));
}
