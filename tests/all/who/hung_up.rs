//! Clients that do not wait.

use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::logged::Logged;
use crate::harness::Who;

/// A client that does not wait for its answer ends nothing that has begun. Each image is deleted once: by the
/// request whose client hung up, or by the one after it.
#[tokio::test]
async fn a_change_has_its_line_although_the_client_has_gone() {
    let server = Logged::in_files().await;
    let address = server.url.strip_prefix("http://").unwrap();
    let token = Who::Owner.token().unwrap();
    const IMAGES: u64 = 24;
    for number in 0..IMAGES {
        let image = server.image().await;
        let path = format!("/v2/images/{image}");
        let request =
            format!("DELETE {path} HTTP/1.1\r\nHost: {address}\r\nX-Auth-Token: {token}\r\n\r\n");
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(200 * number)).await;
        drop(client);
        let caller = (Who::Owner, "after");
        let again = server.send(caller, "DELETE", &path, Value::Null).await;
        assert!([204, 404].contains(&again.status), "{}", again.body);
    }
    let lines = server.stop().await.into_values().flatten();
    let deleted = lines.filter(|line| line["what"] == "image.delete");
    assert_eq!(deleted.count() as u64, IMAGES);
}
