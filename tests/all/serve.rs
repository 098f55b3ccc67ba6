//! The messages of `imshare serve` about its options, the identity file and the data.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Harness, Http, MEMBER, Who};
use crate::restart::{binary, refused};

#[tokio::test]
async fn a_bad_option_is_one_clear_sentence() {
    let harness = Harness::new().await;
    let taken = harness.address().to_string();
    let said = refused(&["--in-memory", "--listen", &taken]).await;
    assert!(
        said.starts_with(&format!("imshare: {taken} is taken")),
        "{said}"
    );
    let said = refused(&["--in-memory", "--listen", "0.0.0.0:0"]).await;
    assert!(said.contains("--allow-remote"), "{said}");
    let said = refused(&["--in-memory", "--listen", "0.0.0.0:0", "--allow-remote"]).await;
    assert!(said.contains("--allow-remote-identity"), "{said}");
    // A proxy makes it reachable, too.
    let public = ["--in-memory", "--public-endpoint", "https://images.example"];
    let said = refused(&public).await;
    assert!(
        said.contains("at https://images.example: use --keystone-url"),
        "{said}"
    );
    let said = refused(&["--in-memory", "--identity", "/nonexistent"]).await;
    assert!(said.contains("cannot read /nonexistent"), "{said}");
    let said = refused(&["--member-quota", "many"]).await;
    assert!(said.contains("--member-quota"), "{said}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("identity.toml");
    std::fs::write(&file, "[[token]]\nid = \"top-secret\"\nuser = 5\n").unwrap();
    let said = refused(&["--in-memory", "--identity", file.to_str().unwrap()]).await;
    assert!(
        said.contains("line") && !said.contains("top-secret"),
        "{said}"
    );
    assert_eq!(said.trim().lines().count(), 1, "{said}");
}

/// A running server of the real binary, with all of its output.
struct RunningServer {
    child: Child,
    url: String,
    /// The output after the address.
    out: String,
}

impl RunningServer {
    async fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = async || lines.next_line().await.unwrap().unwrap();
        let first = next().await;
        let url = first.strip_prefix("listening on ").unwrap().to_owned();
        let mut out = String::new();
        // The data is the first line after it.
        while !out.contains("data ") {
            out.push_str(&next().await);
            out.push('\n');
        }
        Self { child, url, out }
    }

    /// Stops the server and returns its standard error.
    async fn stop(mut self) -> String {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.await.unwrap().success());
        let mut error = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut error).await.unwrap();
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
        error
    }
}

#[tokio::test]
async fn an_option_that_means_nothing_is_refused() {
    for (arguments, words) in [
        (&["--log", "inof"][..], "\"inof\" is not a level"),
        (&["--log", "warn,sharde"], "\"sharde\" is not a level"),
        (&["--data-dir", "/nonexistent/x"], "--in-memory"),
        (&["--cors-origins", "*"], "\"*\" is not an origin"),
        (
            &["--cors-origins", "https://a.example/"],
            "is not an origin",
        ),
        (
            &["--public-endpoint", "images.example"],
            "http or https URL",
        ),
        (
            &["--listen", "nowhere"],
            "127.0.0.1:9292, localhost:9292 or 9292",
        ),
        (
            &["--listen", "127.0.0.1"],
            "127.0.0.1:9292, localhost:9292 or 9292",
        ),
        (&["--dynamodb-listen", "0.0.0.0:8000"], "127.0.0.1:8000"),
        (&["--sqs-listen", "0.0.0.0:8001"], "127.0.0.1:8001"),
        (&["--max-connections", "0"], "--max-connections"),
    ] {
        let said = refused(&[&["--in-memory"], arguments].concat()).await;
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_port_or_localhost_will_do_to_listen() {
    for listen in ["0", ":0", "localhost:0"] {
        let (mut child, url) = crate::restart::start(&["--in-memory", "--listen", listen]).await;
        assert!(url.starts_with("http://127.0.0.1:"), "{listen}: {url}");
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn it_says_where_the_data_is_and_how_much_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let arguments = ["--data-dir", data.to_str().unwrap()];
    let place = format!(
        "data {}",
        data.canonicalize().unwrap_or(data.clone()).display()
    );
    let server = RunningServer::start(&arguments).await;
    assert!(
        server.out.contains(&format!("{place} (new)")),
        "{}",
        server.out
    );
    let http = Http::default();
    let token = [("x-auth-token", Who::Owner.token().unwrap())];
    let send = async |path: &str, body: serde_json::Value| {
        let url = format!("{}{path}", server.url);
        http.send("POST", &url, &token, body.to_string().into())
            .await
    };
    let mut images = Vec::new();
    for _ in 0..3 {
        images.push(send("/v2/images", json!({})).await.expect(201).text("/id"));
    }
    let members = format!("/v2/images/{}/members", images[0]);
    send(&members, json!({"member": MEMBER})).await.expect(200);
    let url = format!("{}/v2/images/{}", server.url, images[2]);
    http.send("DELETE", &url, &token, Vec::new())
        .await
        .expect(204);
    // One line for each change, and nothing else but a warning.
    let said = server.stop().await;
    let (changes, others): (Vec<_>, Vec<_>) = said
        .lines()
        .partition(|line| line.contains("INFO change: "));
    assert_eq!((changes.len(), others.len()), (5, 1), "{said}");

    let server = RunningServer::start(&arguments).await;
    let counts = format!("{place} (2 images, 1 membership, 0 jobs)");
    assert!(server.out.contains(&counts), "{}", server.out);
    server.stop().await;
    let server = RunningServer::start(&["--in-memory"]).await;
    assert!(server.out.contains("data in memory"), "{}", server.out);
    server.stop().await;
}

fn identity_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test]
async fn an_identity_file_that_lets_nobody_in_is_refused() {
    for text in ["", "# nobody\n", "[[project]]\nid = \"p\"\nname = \"p\"\n"] {
        let file = identity_file(text);
        let path = file.path().to_str().unwrap();
        let said = refused(&["--in-memory", "--identity", path]).await;
        assert!(said.contains("nobody could send a request"), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_slip_in_the_identity_file_is_told() {
    let file = identity_file(
        r#"
        [[project]]
        id = "p"
        name = "project"
        [[user]]
        id = "u"
        name = "user"
        password = "top-secret"
        grants = [{ project = "elsewhere", roles = ["Member", "memebr"] }]
        [[token]]
        id = "top-secret-token"
        user = "ghost"
        project = "p"
        roles = ["reader"]
        [[access_key]]
        access = "KEY"
        secret = "top-secret-key"
        user = "u"
        project = "nowhere"
        roles = ["member"]
        "#,
    );
    let path = file.path().to_str().unwrap();
    let server = RunningServer::start(&["--in-memory", "--identity", path, "--log", "error"]).await;
    let said = server.stop().await;
    let told: Vec<&str> = said.lines().collect();
    assert_eq!(told.len(), 4, "{said}");
    for (line, words) in told.iter().zip([
        "the [[access_key]] \"KEY\": no [[project]] has the id \"nowhere\"",
        "the [[token]] of user \"ghost\": no [[user]] has the id \"ghost\"",
        "the role \"memebr\"",
        "no [[project]] has the id \"elsewhere\"",
    ]) {
        assert!(line.starts_with("imshare: warning: --identity: "), "{line}");
        assert!(said.contains(words), "{words} in {said}");
    }
    assert!(!said.contains("top-secret"), "{said}");
}

/// A port without a listener, and one that never answers.
async fn dead_ends() -> (String, tokio::net::TcpListener) {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    (
        url,
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
    )
}

#[tokio::test]
async fn a_dead_dynamodb_or_queue_is_one_sentence_at_the_start() {
    let (closed, _) = dead_ends().await;
    let queue = format!("{closed}/000000000000/batches");
    for (arguments, words) in [
        (
            ["--dynamodb-endpoint", &closed],
            "cannot reach DynamoDB at http://127.0.0.1:",
        ),
        (
            ["--queue-url", &queue],
            "cannot reach the queue at http://127.0.0.1:",
        ),
    ] {
        let began = Instant::now();
        let arguments = [&["--in-memory", "--listen", "127.0.0.1:0"], &arguments[..]].concat();
        let said = refused(&arguments).await;
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        assert!(said.len() < 200, "{said}");
        assert!(began.elapsed() < Duration::from_secs(60));
    }
    // Another queue of a service that does answer.
    let server = Harness::with(local::options::Options {
        sqs_listen: Some(([127, 0, 0, 1], 0).into()),
        ..crate::harness::options()
    })
    .await;
    let sqs = server.server.sqs_address.unwrap();
    let other = format!("http://{sqs}/000000000000/other");
    let said = refused(&[
        "--in-memory",
        "--listen",
        "127.0.0.1:0",
        "--queue-url",
        &other,
    ])
    .await;
    assert!(said.contains("QueueDoesNotExist"), "{said}");
}

/// A queue that goes away and comes back while the server runs: one log line for each, however
/// often it was polled meanwhile.
#[tokio::test]
async fn an_outage_of_the_queue_is_logged_once() {
    let queue = async |port| {
        Harness::with(local::options::Options {
            sqs_listen: Some(([127, 0, 0, 1], port).into()),
            ..crate::harness::options()
        })
        .await
    };
    let before = queue(0).await;
    let address = before.server.sqs_address.unwrap();
    let url = format!("http://{address}/000000000000/batches");
    let server = RunningServer::start(&["--in-memory", "--queue-url", &url]).await;
    before.server.stop().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = queue(address.port()).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let said = server.stop().await;
    assert_eq!(said.matches("the queue does not work").count(), 1, "{said}");
    assert_eq!(said.matches("the queue works again").count(), 1, "{said}");
    assert!(said.lines().all(|line| line.len() < 300), "{said}");
    after.server.stop().await;
}

/// Browsers get links to the documentation, programs the usual response.
#[tokio::test]
async fn a_browser_finds_the_documentation() {
    let harness = Harness::new().await;
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let root = async |accept| {
        let headers = [("accept", accept)];
        let answer = harness
            .send_with(Who::NoToken, "GET", "/", &headers, None)
            .await;
        answer.expect(300)
    };
    let page = root(accept).await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    for path in ["/docs", "/openapi.json", "/versions", "/healthcheck"] {
        assert!(
            page.body.contains(&format!("href=\"{path}\"")),
            "{}",
            page.body
        );
        harness.get(Who::NoToken, path).await.expect(200);
    }
    for accept in ["*/*", "application/json", "application/json, */*"] {
        assert!(root(accept).await.json()["versions"].is_array(), "{accept}");
    }
}
