//! The local server serves the document, and a page to read it.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::document;
use crate::harness::{Harness, Who};

#[tokio::test]
async fn the_local_server_serves_the_document_and_a_page() {
    let harness = Harness::new().await;
    let served = harness.get(Who::NoToken, "/openapi.json").await.expect(200);
    assert_eq!(served.header("content-type"), Some("application/json"));
    let mut expected = document();
    expected["servers"] = json!([{"url": harness.server.url()}]);
    assert_eq!(served.json(), expected);

    let page = harness.get(Who::BadToken, "/docs").await.expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    for of_elsewhere in ["http", "//", "*"] {
        assert!(!policy.contains(of_elsewhere), "{policy}");
        assert!(!page.body.contains(&format!("src=\"{of_elsewhere}")));
    }
    let (_, script) = page.body.split_once("src=\"").unwrap();
    let (script, _) = script.split_once('"').unwrap();
    let mut stream = TcpStream::connect(harness.address()).await.unwrap();
    let request = format!("GET {script} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/javascript"), "{head}");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert_eq!(answer[end + 4..end + 6], [0x1f, 0x8b]);

    for path in ["/openapi.json", "/docs", script] {
        for method in ["POST", "PUT", "DELETE", "HEAD"] {
            let refused = harness.send(Who::NoToken, method, path, None).await;
            assert_eq!(refused.expect(405).header("allow"), Some("GET"));
        }
        harness
            .send(Who::NoToken, "OPTIONS", path, None)
            .await
            .expect(200);
        // What only begins like them is nobody's, as ever.
        let more = harness.get(Who::NoToken, &format!("{path}/")).await;
        assert!(more.expect(300).json()["versions"].is_array());
    }
}
