//! Stopped and started again: everything is still there, and a job that was running goes on.

use std::process::Stdio;
use std::time::Duration;

use local::server::{Data, Options};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::world::{MEMBER, Who, World, options};

fn kept(directory: &tempfile::TempDir) -> Options {
    Options {
        data: Data::Directory(directory.path().join("data")),
        ..options()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_running_when_it_stopped_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::with(kept(&directory)).await;
    let mut images = Vec::new();
    for _ in 0..300 {
        let image = world.image(json!({})).await;
        world.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let body = json!({"images": images, "project_id": MEMBER, "status": "accepted"});
    let job = world
        .put(Who::Member, "/v1/cloudimages/members", body)
        .await
        .expect(200)
        .text("/job_id");
    world.server.stop().await;

    let world = World::with(kept(&directory)).await;
    let job = world.ended(Who::Member, &job).await;
    assert_eq!(job["status"], "SUCCESS");
    assert_eq!(world.listed(Who::Member, "?limit=1000").await.len(), 300);
    world.server.stop().await;
}

/// The real binary, when Cargo has built it beside this test.
pub fn binary() -> std::path::PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("imshare")
}

async fn start(arguments: &[&str]) -> (Child, String) {
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

async fn refused(arguments: &[&str]) -> String {
    let output = Command::new(binary())
        .arg("serve")
        .args(arguments)
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn the_binary_says_where_it_listens_and_stops_on_sigterm() {
    let (mut child, url) = start(&["--in-memory", "--listen", "127.0.0.1:0"]).await;
    assert!(url.starts_with("http://127.0.0.1:"));
    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let status = tokio::time::timeout(Duration::from_secs(120), child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_bad_option_is_one_clear_sentence() {
    let world = World::new().await;
    let taken = world.address().to_string();
    let said = refused(&["--in-memory", "--listen", &taken]).await;
    assert!(
        said.starts_with(&format!("imshare: {taken} is taken")),
        "{said}"
    );
    let said = refused(&["--in-memory", "--listen", "0.0.0.0:0"]).await;
    assert!(said.contains("--allow-remote"), "{said}");
    let said = refused(&["--in-memory", "--listen", "0.0.0.0:0", "--allow-remote"]).await;
    assert!(said.contains("--allow-remote-identity"), "{said}");
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
