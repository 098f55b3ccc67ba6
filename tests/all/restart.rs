//! Restarts: all records are kept, and a running job continues.

use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use local::options::{Data, Options};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Harness, Http, MEMBER, Who, options};

fn kept(directory: &tempfile::TempDir) -> Options {
    Options {
        data: Data::Directory(directory.path().join("data")),
        ..options()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_running_when_it_stopped_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let harness = Harness::with(kept(&directory)).await;
    let mut images = Vec::new();
    for _ in 0..300 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let body = json!({"images": images, "project_id": MEMBER, "status": "accepted"});
    let job = harness
        .put(Who::Member, "/v1/cloudimages/members", body)
        .await
        .expect(200)
        .text("/job_id");
    harness.server.stop().await;

    let harness = Harness::with(kept(&directory)).await;
    let job = harness.ended(Who::Member, &job).await;
    assert_eq!(job["status"], "SUCCESS");
    assert_eq!(harness.listed(Who::Member, "?limit=1000").await.len(), 300);
    harness.server.stop().await;
}

/// The real binary, if Cargo has built it beside this test.
pub fn binary() -> std::path::PathBuf {
    // To measure with the build that is installed.
    if let Some(named) = std::env::var_os("IMSHARE_BINARY") {
        return named.into();
    }
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("imshare")
}

/// Starts the real binary; returns its address too.
pub async fn start(arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(binary())
        .arg("serve")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; build it with cargo build", binary().display())
        });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(120), lines.next_line())
        .await
        .unwrap();
    let line = line.unwrap().unwrap();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    (child, url)
}

/// The error of the real binary when it does not start with these options.
pub async fn refused(arguments: &[&str]) -> String {
    let output = Command::new(binary())
        .arg("serve")
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await;
    let output = output.expect("a refusal").unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Even at the moment at which it reports that it is ready.
#[tokio::test]
async fn the_binary_says_where_it_listens_and_stops_on_sigterm() {
    for _ in 0..20 {
        let (mut child, url) = start(&["--in-memory", "--listen", "127.0.0.1:0"]).await;
        assert!(url.starts_with("http://127.0.0.1:"));
        let pid = child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.await.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(120), child.wait());
        assert_eq!(ended.await.unwrap().unwrap().code(), Some(0));
    }
}

/// Killed during many writes: everything that was answered is there, and everything stored can be
/// read.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--member-quota=-1",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let (mut child, url) = start(&arguments).await;
    let http = Http::default();
    let token = [("x-auth-token", Who::Owner.token().unwrap())];
    let send = async |method, url: &str, path: &str, body: String| {
        let url = format!("{url}{path}");
        http.try_send(method, &url, &token, body.into()).await
    };
    let image = send("POST", &url, "/v2/images", "{}".to_owned()).await;
    let image = image.unwrap().expect(201).text("/id");
    let members = format!("/v2/images/{image}/members");
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let sharing = join_all((0..8).map(|writer| {
        let (send, url, members, answered) = (&send, &url, &members, answered.clone());
        async move {
            for i in 0.. {
                let member = format!("m-{writer}-{i}");
                let body = json!({"member": member}).to_string();
                let Some(answer) = send("POST", url, members, body).await else {
                    break;
                };
                answer.expect(200);
                answered.send(member).unwrap();
            }
        }
    }));
    let killing = async {
        let mut shared = Vec::new();
        for _ in 0..100 {
            shared.push(answers.recv().await.unwrap());
        }
        child.kill().await.unwrap();
        shared
    };
    let (_, mut shared) = tokio::join!(sharing, killing);
    drop(answered);
    while let Some(member) = answers.recv().await {
        shared.push(member);
    }

    let (_child, url) = start(&arguments).await;
    let list = send("GET", &url, &members, String::new()).await;
    let list = list.unwrap().expect(200).json();
    let listed: Vec<&str> = list["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["member_id"].as_str().unwrap())
        .collect();
    let lost: Vec<_> = shared
        .iter()
        .filter(|m| !listed.contains(&m.as_str()))
        .collect();
    assert!(lost.is_empty(), "{lost:?} of {}", shared.len());
    // One write for each writer may have been applied but not answered.
    assert!(listed.len() <= shared.len() + 8, "{}", listed.len());
}
