//! The AWS credentials that the server uses for a remote DynamoDB or queue.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tests::{reply, serve};
use tokio::process::Command;

use crate::restart::binary;

/// A server with this endpoint and only these variables.
fn server(option: &str, endpoint: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--in-memory"])
        .args([option, endpoint])
        .env_clear()
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_broken_configuration_is_named_and_not_replaced() {
    let (id, secret) = (
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    );
    let region = ("AWS_REGION", "eu-west-1");
    let here = "http://127.0.0.1:1";
    for (endpoint, variables, missing) in [
        (here, vec![id], "AWS_REGION"),
        (here, vec![id, secret], "AWS_REGION"),
        (here, vec![region], "AWS_ACCESS_KEY_ID"),
        (here, vec![("AWS_DEFAULT_REGION", "x")], "AWS_ACCESS_KEY_ID"),
        (here, vec![region, id], "AWS_SECRET_ACCESS_KEY"),
        (here, vec![region, secret], "AWS_ACCESS_KEY_ID"),
        (here, vec![("AWS_SESSION_TOKEN", "t")], "AWS_REGION"),
        // Not on this machine, so the built-in credentials are not used.
        ("http://192.0.2.1:8000", vec![], "AWS_REGION"),
        ("http://localhost.example:8000", vec![], "AWS_REGION"),
        ("http://127.0.0.1.example:8000", vec![], "AWS_REGION"),
        ("http://localhost@192.0.2.1:8000", vec![], "AWS_REGION"),
        (
            "https://sqs.eu-west-1.amazonaws.com/1/q",
            vec![],
            "AWS_REGION",
        ),
    ] {
        for option in ["--dynamodb-endpoint", "--queue-url"] {
            let output = server(option, endpoint, &variables).output();
            let output = tokio::time::timeout(Duration::from_secs(60), output).await;
            let output = output.expect("an end").unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success(),
                "{option} {endpoint} {variables:?}"
            );
            assert!(said.contains(missing), "{variables:?}: {said}");
        }
    }
}

/// The access key and the region in a request's signature.
async fn signed_as(variables: &[(&str, &str)]) -> String {
    let seen = Arc::new(Mutex::new(None));
    let sees = seen.clone();
    let endpoint = serve(move |request: hyper::Request<Bytes>| {
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let (_, credential) = authorization.split_once("Credential=").unwrap();
        let parts: Vec<&str> = credential.split('/').collect();
        *sees.lock().unwrap() = Some(format!("{} {}", parts[0], parts[2]));
        std::future::ready(reply(400, ""))
    })
    .await;
    let endpoint = format!("http://{endpoint}");
    let mut child = server("--dynamodb-endpoint", &endpoint, variables)
        .spawn()
        .unwrap();
    for _ in 0..1200 {
        let found = seen.lock().unwrap().take();
        if let Some(found) = found {
            child.kill().await.unwrap();
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no request in a minute");
}

#[tokio::test]
async fn a_dynamodb_on_this_machine_needs_no_configuration() {
    assert_eq!(signed_as(&[]).await, "local us-east-1");
    let whole = [
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ];
    assert_eq!(signed_as(&whole).await, "id eu-west-1");
}

/// AWS variables meant for other programs are ignored by a server without a remote endpoint.
#[tokio::test]
async fn an_embedded_engine_needs_none_either() {
    let mut command = Command::new(binary());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--in-memory"])
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "id")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    let first = lines.next_line().await.unwrap().unwrap_or_default();
    assert!(first.starts_with("listening on "), "{first}");
    child.kill().await.unwrap();
}

/// An empty list of roles gives the role to nobody.
#[tokio::test]
async fn roles_are_what_the_environment_calls_them() {
    use crate::harness::{Http, Who};

    for (variable, value, who, status) in [
        ("ROLE_ADMIN", "admin", Who::Admin, 200),
        ("ROLE_ADMIN", "", Who::Admin, 404),
        ("ROLE_ADMIN", "cloud_admin", Who::Admin, 404),
        ("ROLE_ADMIN", "Member,x", Who::Member, 200),
        ("ROLE_MEMBER", "", Who::Member, 404),
    ] {
        let mut command = Command::new(binary());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--in-memory"])
            .env_clear()
            .env(variable, value)
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let out = tokio::io::BufReader::new(child.stdout.take().unwrap());
        let mut lines = tokio::io::AsyncBufReadExt::lines(out);
        let first = lines.next_line().await.unwrap().unwrap_or_default();
        let url = first.strip_prefix("listening on ").unwrap();
        // Only an admin sees another project's private image.
        let http = Http::default();
        let send = async |who: Who, method: &str, path: &str, body: &str| {
            let token = [("x-auth-token", who.token().unwrap())];
            let url = format!("{url}{path}");
            http.send(method, &url, &token, body.as_bytes().to_vec())
                .await
        };
        let owned = r#"{"visibility": "private"}"#;
        let image = send(Who::Owner, "POST", "/v2/images", owned).await;
        if variable == "ROLE_MEMBER" {
            // The owner has lost the role of a member too.
            image.expect(403);
        } else {
            let path = format!("/v2/images/{}", image.expect(201).text("/id"));
            let found = send(who, "GET", &path, "").await;
            assert_eq!(found.status, status, "{variable}={value} {who:?}");
        }
        child.kill().await.unwrap();
    }
}
