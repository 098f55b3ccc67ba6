//! Limits on clients: connections, memory and time, before and after they have sent a token.

use std::time::{Duration, Instant};

use local::connection::Limits;
use local::options::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Harness, Who, options};

/// How long to wait for a response or the end of a connection.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

async fn harness(limits: Limits) -> Harness {
    Harness::with(Options {
        limits,
        ..options()
    })
    .await
}

async fn connect(harness: &Harness) -> TcpStream {
    TcpStream::connect(harness.address()).await.unwrap()
}

/// A request whose body is never sent completely.
fn unfinished(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1048575\r\n{headers}\r\n{{")
}

/// Reads until the server ends the connection.
async fn until_the_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset ends it too.
    let _ = read.expect("the server ends the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first bytes of the response.
async fn first(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut bytes)).await;
    let length = read.expect("an answer").unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn who_needs_a_token_and_has_none_is_refused_before_the_body_comes() {
    // The response does not wait for the body, which may take its time.
    let harness = harness(Limits {
        body: Duration::from_secs(600),
        ..Limits::default()
    })
    .await;
    let began = Instant::now();
    for headers in ["", "X-Auth-Token: a-token-that-nobody-gave\r\n"] {
        for (method, path) in [
            ("POST", "/v2/images"),
            ("PUT", "/v1/cloudimages/members"),
            ("GET", "/v2/nothing"),
            ("PATCH", "/v2/images/x"),
        ] {
            let mut stream = connect(&harness).await;
            let request = unfinished(method, path, headers);
            stream.write_all(request.as_bytes()).await.unwrap();
            let answer = first(&mut stream).await;
            assert!(
                answer.starts_with("HTTP/1.1 401"),
                "{method} {path}: {answer}"
            );
            assert!(
                answer.contains("www-authenticate: "),
                "{method} {path}: {answer}"
            );
        }
    }
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// The sender of a complete body can read the refusal, on a connection that is kept.
#[tokio::test]
async fn a_refusal_is_not_lost_behind_a_large_body() {
    let harness = harness(Limits::default()).await;
    for size in [1000, 1024 * 1024, 3 * 1024 * 1024] {
        for _ in 0..3 {
            let body = Some(vec![b'x'; size]);
            let answer = harness
                .send_with(Who::NoToken, "POST", "/v2/images", &[], body)
                .await;
            answer.expect(401);
        }
    }
    let body = Some(vec![b'x'; 3 * 1024 * 1024]);
    let answer = harness
        .send_with(Who::Owner, "POST", "/v2/images", &[], body)
        .await;
    answer.expect(413);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let harness = harness(Limits {
        body: SHORT,
        ..Limits::default()
    })
    .await;
    let token = format!("X-Auth-Token: {}\r\n", Who::Owner.token().unwrap());
    for (path, headers) in [
        ("/v2/images", &*token),
        (
            "/v2/images",
            "Authorization: SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=0\r\n",
        ),
        ("/identity/v3/auth/tokens", ""),
    ] {
        let mut stream = connect(&harness).await;
        let request = unfinished("POST", path, headers);
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = until_the_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
    }
}

/// Who announces large bodies and does not send them keeps no login waiting, and no write.
#[tokio::test]
async fn a_small_body_waits_for_no_large_one() {
    let harness = harness(Limits {
        body: Duration::from_secs(600),
        ..Limits::default()
    })
    .await;
    let token = format!("X-Auth-Token: {}\r\n", Who::Member.token().unwrap());
    let mut held = Vec::new();
    for _ in 0..70 {
        for (path, headers) in [("/identity/v3/auth/tokens", ""), ("/v2/images", &*token)] {
            let mut stream = connect(&harness).await;
            let request = unfinished("POST", path, headers);
            stream.write_all(request.as_bytes()).await.unwrap();
            held.push(stream);
        }
    }
    let login = serde_json::json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "owner", "domain": {"id": "default"}, "password": "secret"}}}}});
    let login = harness.post(Who::NoToken, "/identity/v3/auth/tokens", login);
    let login = timeout(PATIENCE, login).await.expect("a place");
    login.expect(201);
    let create = harness.post(Who::Owner, "/v2/images", serde_json::json!({}));
    let create = timeout(PATIENCE, create).await.expect("a place");
    create.expect(201);
}

/// Bodies of callers without a token share 16 MiB and take nothing from the others.
#[tokio::test]
async fn unknown_callers_bodies_leave_room_for_known_ones() {
    let harness = harness(Limits {
        body: Duration::from_secs(600),
        ..Limits::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = connect(&harness).await;
        let request = unfinished("POST", "/identity/v3/auth/tokens", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        held.push(stream);
    }
    harness
        .image(serde_json::json!({"name": "still works"}))
        .await;
    harness.get(Who::NoToken, "/versions").await.expect(200);
}

#[tokio::test]
async fn a_slow_head_and_an_idle_connection_are_ended() {
    let harness = harness(Limits {
        head: SHORT,
        ..Limits::default()
    })
    .await;
    for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nX-A: "] {
        let mut stream = connect(&harness).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = until_the_end(&mut stream).await;
        assert!(!answer.contains("versions"), "{sent:?}: {answer}");
    }
    // After a response too.
    let mut stream = connect(&harness).await;
    stream
        .write_all(b"GET /versions HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let answer = until_the_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let harness = harness(Limits {
        answer: SHORT,
        connections: 1,
        ..Limits::default()
    })
    .await;
    {
        let mut stream = connect(&harness).await;
        // More responses than the buffers in between can hold.
        let request = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400);
        let _ = timeout(PATIENCE, stream.write_all(request.as_bytes())).await;
        // The only connection is free again, though this client keeps its own open.
        let next = timeout(PATIENCE, harness.get(Who::NoToken, "/versions")).await;
        next.expect("the place of who does not read").expect(200);
        drop(stream);
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_a_place() {
    let harness = harness(Limits {
        connections: 3,
        head: Duration::from_secs(600),
        ..Limits::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(connect(&harness).await);
    }
    let waiting = harness.get(Who::NoToken, "/versions");
    tokio::pin!(waiting);
    assert!(timeout(SHORT, waiting.as_mut()).await.is_err());
    held.pop();
    timeout(PATIENCE, waiting)
        .await
        .expect("a place")
        .expect(200);
}

/// Answers that nobody reads take a bounded part of the memory, and nothing from small ones.
#[tokio::test]
async fn large_answers_that_nobody_reads_are_few() {
    let harness = harness(Limits {
        answers: 5 * 1024,
        ..Limits::default()
    })
    .await;
    for _ in 0..8 {
        harness
            .image(serde_json::json!({"text": "x".repeat(250_000)}))
            .await;
    }
    let list = "/v2/images?limit=1000";
    harness.get(Who::Owner, list).await.expect(200);
    // Several on each connection, which are more than the buffers in between can hold.
    let token = Who::Owner.token().unwrap();
    let request = format!("GET {list} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&harness).await;
        let requests = request.repeat(10);
        stream.write_all(requests.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let refused = async {
        loop {
            let answer = harness.get(Who::Owner, list).await;
            if answer.status == 503 {
                return answer;
            }
        }
    };
    let refused = timeout(PATIENCE, refused).await.expect("a refusal");
    assert_eq!(refused.header("retry-after"), Some("1"));
    harness
        .get(Who::Owner, "/v1/cloudimages/quota")
        .await
        .expect(200);
    drop(held);
    let again = async { while harness.get(Who::Owner, list).await.status != 200 {} };
    timeout(PATIENCE, again).await.expect("the memory");
}
