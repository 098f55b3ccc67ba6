//! Fuzzing: random requests at every route. Each gets a response that is not a 5xx and whose body
//! has the declared type. `IMSHARE_FUZZ_REQUESTS` and `IMSHARE_FUZZ_SEED` set the number of
//! requests and repeat those of a failure.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use shared::http::routes::ROUTES;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Harness, MEMBER, OWNER, Who};

const REQUESTS: usize = 2_000;

fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

#[tokio::test]
async fn every_request_has_an_answer_that_is_no_outage() {
    let seed = setting("IMSHARE_FUZZ_SEED", 1);
    let harness = Harness::new().await;
    let image = harness.image(json!({"name": "n", "tags": ["t"]})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let mut statuses = std::collections::BTreeMap::new();
    for number in 0..setting("IMSHARE_FUZZ_REQUESTS", REQUESTS) {
        let mut rng = Rng::with_seed((seed * 1_000_003 + number) as u64);
        let request = request(&mut rng, &image);
        let answer = send(&harness, &request).await;
        let told = || {
            let shown: Vec<u8> = request.iter().take(2_000).copied().collect();
            let shown = String::from_utf8_lossy(&shown).into_owned();
            format!("IMSHARE_FUZZ_SEED={seed}, request {number}:\n{shown}\n--\n{answer}")
        };
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| {
            panic!("no answer to {}", told());
        });
        let status: u16 = head.get(9..12).unwrap().parse().unwrap();
        assert!(status < 500, "{}", told());
        let head = head.to_ascii_lowercase();
        if head.contains("content-type: application/json") && !request.starts_with(b"HEAD") {
            let parsed: Result<Value, _> = serde_json::from_str(body);
            assert!(parsed.is_ok(), "{}", told());
        }
        *statuses.entry(status).or_insert(0) += 1;
    }
    println!("seed {seed}: {statuses:?}");
    // The generator produces more than refused requests.
    assert!(statuses.keys().any(|status| *status < 300), "{statuses:?}");
    // Other clients' requests are not affected.
    harness.get(Who::Owner, "/v2/images").await.expect(200);
}

/// Bytes that are not HTTP get a response too, instead of a closed connection.
#[tokio::test]
async fn bytes_that_are_not_http_are_a_400() {
    let harness = Harness::new().await;
    for request in [
        "GET /v2/images HTTP/1.1\r\nHost: localhost\r\nAccept: \u{7f}\r\n\r\n",
        "GET /v2/images HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "GET /v2/ima ges HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let answer = send(&harness, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}{answer}");
    }
}

/// Sends bytes on a new connection and reads the whole response.
async fn send(harness: &Harness, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(harness.address()).await.unwrap();
    // A server that has answered early may have closed its end; only the response matters.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let outcome = tokio::time::timeout(Duration::from_secs(120), read).await;
    // A connection that was reset after the response has still delivered it.
    assert!(outcome.is_ok(), "no answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(rng: &mut Rng, image: &str) -> Vec<u8> {
    let (method, path) = match rng.usize(..10) {
        0 => (method(rng), segment(rng, image)),
        _ => {
            let route = &ROUTES[rng.usize(..ROUTES.len())];
            let method = match rng.usize(..8) {
                0 => method(rng),
                _ => route.method,
            };
            let path = route
                .path
                .split('/')
                .map(|part| match part {
                    "{schema}" => rng.choice(["image", "members", "x"]).unwrap().to_owned(),
                    part if part.starts_with('{') => segment(rng, image),
                    part => part.to_owned(),
                })
                .collect::<Vec<_>>()
                .join(
                    rng.choice(["/", "/", "/", "/", "//", "%2F", "/./"])
                        .unwrap(),
                );
            (method, path)
        }
    };
    let path = path.trim_start_matches('/');
    let mut head = format!("{method} /{path}{} HTTP/1.1\r\n", query(rng));
    head.push_str("Host: localhost\r\nConnection: close\r\n");
    if let Some(token) = rng
        .choice([Who::Owner, Who::Member, Who::Admin])
        .unwrap()
        .token()
        && rng.usize(..100) >= 5
    {
        head.push_str(&format!("X-Auth-Token: {token}\r\n"));
    }
    for _ in 0..rng.usize(..3) {
        head.push_str(&header(rng));
    }
    let body = if matches!(method, "GET" | "HEAD") && rng.usize(..100) >= 10 {
        Vec::new()
    } else {
        body(rng, image)
    };
    if rng.usize(..100) < 10 {
        head.push_str("Transfer-Encoding: chunked\r\n\r\n");
        let mut bytes = head.into_bytes();
        for part in body.chunks(1 + rng.usize(..50_000)) {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        return bytes;
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

fn method(rng: &mut Rng) -> &'static str {
    rng.choice([
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO",
    ])
    .unwrap()
}

/// A segment of a path: valid, invalid, or encoded in some way.
fn segment(rng: &mut Rng, image: &str) -> String {
    match rng.usize(..12) {
        0..5 => image.to_owned(),
        5 => image.to_ascii_uppercase(),
        6 => image.replace('-', ""),
        7 => MEMBER.to_owned(),
        8 => OWNER.to_owned(),
        9 => "x".repeat(rng.usize(..2_000)),
        10 => (0..1 + rng.usize(..6))
            .map(|_| format!("%{:02X}", rng.u8(..)))
            .collect(),
        _ => rng
            .choice([
                "%2F",
                "%23",
                "%00",
                "%FF",
                "%",
                "%zz",
                "%F0%9F%98%80",
                "..",
                "%2e%2e",
                "a%2Fb",
                "",
                "~",
                "a;b",
                "a+b",
                "%C3%A9",
                "%ED%A0%80",
                "v2",
                "%0d%0a",
                ".",
                "%2e",
                "%6Dembers",
                "tags",
            ])
            .unwrap()
            .to_owned(),
    }
}

fn query(rng: &mut Rng) -> String {
    let mut query = String::new();
    for place in 0..rng.usize(..4) {
        let name = rng
            .choice([
                "limit",
                "marker",
                "sort_key",
                "sort_dir",
                "sort",
                "name",
                "owner",
                "status",
                "visibility",
                "member_status",
                "tag",
                "os_hidden",
                "created_at",
                "image_id",
                "type",
                "__imagetype",
                "%FF",
                "",
                "size_min",
                "min_disk",
                "deleted",
            ])
            .unwrap();
        let value = rng
            .choice([
                "0",
                "1",
                "-1",
                "1000",
                "1001",
                "99999999999999999999",
                "all",
                "shared",
                "public",
                "accepted",
                "Accepted",
                "%00",
                "%FF",
                "%F0%9F%98%80",
                "in:a,b",
                "in:",
                "name:asc",
                "name:asc,size:desc",
                "asc",
                "desc",
                "",
                "gt:2020-01-01T00:00:00Z",
                "true",
                "a%26b",
                "AAAA",
                "SUCCESS",
                "in:%22a,b%22,c",
                "in:%22",
                "eq:a",
                "foo:a",
                "2020-101",
                "lt:0001-01-01T00:00:00%2B01",
                "+1_0",
                "1e400",
            ])
            .unwrap();
        query.push(if place == 0 { '?' } else { '&' });
        query.push_str(name);
        if rng.usize(..100) >= 5 {
            query.push('=');
            query.push_str(value);
        }
    }
    query
}

fn header(rng: &mut Rng) -> String {
    let name = rng
        .choice([
            "Accept",
            "Content-Type",
            "X-Openstack-Request-Id",
            "Idempotency-Key",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Project-Id",
            "X-Roles",
            "Origin",
            "Cookie",
            "Authorization",
        ])
        .unwrap();
    let value = match rng.usize(..10) {
        0 => "v".repeat(40_000),
        1 => "é\u{1f600}".to_owned(),
        _ => rng
            .choice([
                "",
                "*/*",
                "application/json",
                "text/html",
                "text/plain;q=0.1, */*;q=nonsense",
                "application/openstack-images-v2.1-json-patch",
                "https",
                "a b",
                "\u{7f}",
                "application/openstack-images-v2.0-json-patch",
                "%00",
                "SDK-HMAC-SHA256 Access=",
                "key-1",
                "admin",
            ])
            .unwrap()
            .to_owned(),
    };
    format!("{name}: {value}\r\n")
}

fn body(rng: &mut Rng, image: &str) -> Vec<u8> {
    match rng.usize(..12) {
        0 => Vec::new(),
        1 => (0..rng.usize(..64)).map(|_| rng.u8(..)).collect(),
        2 => "[".repeat(1 + rng.usize(..3_000)).into_bytes(),
        3 => "{\"a\":".repeat(1 + rng.usize(..3_000)).into_bytes(),
        4 => br#"{"member": "a", "member": "b", "status": "pending", "status": "x"}"#.to_vec(),
        5 => br#"{"member": "\ud800"}"#.to_vec(),
        6 if rng.usize(..100) < 20 => vec![b' '; 1024 * 1024 + rng.usize(..3)],
        _ => {
            let value = known(rng, image);
            let mut bytes = value.to_string().into_bytes();
            if rng.usize(..100) < 10 {
                bytes.truncate(rng.usize(..bytes.len() + 1));
            }
            bytes
        }
    }
}

/// A body with names that the API knows and values of every type.
fn known(rng: &mut Rng, image: &str) -> Value {
    let any = |rng: &mut Rng| -> Value {
        match rng.usize(..16) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(1.5e300),
            4 => json!([]),
            5 => json!({}),
            6 => json!(""),
            7 => json!(image),
            8 => json!(MEMBER),
            9 => json!("accepted"),
            10 => json!("public"),
            11 => json!([image, MEMBER]),
            12 => json!("\u{0}\u{1f600}"),
            13 => json!("x".repeat(300)),
            14 => json!({"a": [null]}),
            _ => json!(u64::MAX),
        }
    };
    if rng.usize(..100) < 30 {
        let step = |rng: &mut Rng| {
            let path = rng
                .choice([
                    "/name",
                    "/visibility",
                    "/tags",
                    "/tags/-",
                    "/tags/0",
                    "/min_ram",
                    "/min_disk",
                    "/protected",
                    "/os_hidden",
                    "/custom",
                    "/a~1b",
                    "/a~0b",
                    "/~2",
                    "",
                    "/id",
                    "/owner",
                    "/status",
                    "/size",
                    "/a/b",
                    "name",
                    "/locations",
                ])
                .unwrap();
            let op = rng
                .choice(["add", "replace", "remove", "move", "test", "x"])
                .unwrap();
            json!({"op": op, "path": path, "value": any(rng)})
        };
        return (0..rng.usize(..4)).map(|_| step(rng)).collect();
    }
    let mut object = serde_json::Map::new();
    for _ in 0..rng.usize(..5) {
        let name = rng
            .choice([
                "member",
                "status",
                "images",
                "projects",
                "project_id",
                "vault_id",
                "name",
                "id",
                "visibility",
                "tags",
                "min_ram",
                "min_disk",
                "protected",
                "owner",
                "size",
                "container_format",
                "disk_format",
                "custom",
                "os_hidden",
                "created_at",
                "checksum",
            ])
            .unwrap();
        object.insert(name.to_owned(), any(rng));
    }
    Value::Object(object)
}
