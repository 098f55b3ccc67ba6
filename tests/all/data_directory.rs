//! The data directory: one server at a time, private to its user, and its faults.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use local::options::{Data, Options};
use local::server::Server;
use local::storage::Fault;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Harness, Http, HttpResponse, Who, options};
use crate::restart::{binary, refused};

fn kept(path: &Path) -> Options {
    Options {
        data: Data::Directory(path.to_owned()),
        ..options()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_second_server_is_told_that_the_directory_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let harness = Harness::with(kept(&data)).await;
    let path = data.to_str().unwrap();
    let said = refused(&["--listen", "127.0.0.1:0", "--data-dir", path]).await;
    assert!(said.contains("is in use by another imshare"), "{said}");
    assert!(said.contains(&std::process::id().to_string()), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    assert!(Server::start(kept(&data)).await.is_err());
    harness.image(json!({})).await;
    harness.server.stop().await;
    Harness::with(kept(&data)).await.server.stop().await;
}

#[tokio::test]
async fn its_files_are_for_its_user_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let check = async || {
        let harness = Harness::with(kept(&data)).await;
        harness.image(json!({})).await;
        let files: Vec<_> = std::fs::read_dir(&data).unwrap().collect();
        assert!(files.len() >= 7, "{files:?}");
        for file in files {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        harness.server.stop().await;
    };
    check().await;
    assert_eq!(mode(&data), 0o700);
    // Files of an earlier release, which everybody could read. The directory may be somebody
    // else's.
    for file in std::fs::read_dir(&data).unwrap() {
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(file.unwrap().path(), mode).unwrap();
    }
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    check().await;
    assert_eq!(mode(&data), 0o755);
}

/// Starts the real binary with a limit on the size of its files in KiB, and returns its log too.
/// [`unconfine`] lifts the limit.
async fn confined(data: &Path, kib: u32) -> (Child, String, std::path::PathBuf) {
    let log = data.parent().unwrap().join("log");
    let script = format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$@\"");
    let mut child = Command::new("bash")
        .args(["-c", &script, "bash", binary().to_str().unwrap()])
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(120), lines.next_line()).await;
    let line = line.unwrap().unwrap().unwrap();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    (child, url, log)
}

/// Lifts the limit on the size of files of a running process.
async fn unconfine(child: &Child) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args([
        "--pid",
        &child.id().unwrap().to_string(),
        "--fsize=unlimited:",
    ]);
    assert!(prlimit.status().await.unwrap().success());
}

/// The figures of creating images so far: requests to the store, and retries.
async fn store_requests(http: &Http, url: &str) -> (f64, f64) {
    let answer = http
        .send("GET", &format!("{url}/metrics"), &[], Vec::new())
        .await;
    let answer = answer.expect(200).body;
    let of = |name: &str| {
        let series = format!("imshare_store_{name}_total{{operation=\"POST /v2/images\"}} ");
        let line = answer.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0.0, |value| value.parse().unwrap())
    };
    (of("requests"), of("retries"))
}

async fn create(http: &Http, url: &str, bytes: usize) -> HttpResponse {
    let body = json!({"name": "n", "p": "x".repeat(bytes)});
    let token = [("x-auth-token", Who::Owner.token().unwrap())];
    http.send(
        "POST",
        &format!("{url}/v2/images"),
        &token,
        body.to_string().into(),
    )
    .await
}

#[tokio::test]
async fn a_full_disk_is_told_at_once_and_ends_with_the_fault() {
    let directory = tempfile::tempdir().unwrap();
    let (child, url, log) = confined(&directory.path().join("data"), 600).await;
    let http = Http::default();
    let healthy = async || {
        http.send("GET", &format!("{url}/healthcheck"), &[], Vec::new())
            .await
    };
    healthy().await.expect(200);
    let (mut refused, mut created) = (None, 0);
    for _ in 0..100 {
        let answer = create(&http, &url, 60_000).await;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
        created += 1;
    }
    let answer = refused.expect("a disk that takes no more").expect(503);
    assert!(!answer.body.contains("disk"), "{}", answer.body);
    let (before, _) = store_requests(&http, &url).await;
    for _ in 0..10 {
        create(&http, &url, 60_000).await.expect(503);
    }
    // One request each: nothing is sent again.
    assert_eq!(store_requests(&http, &url).await, (before + 10.0, 0.0));
    healthy().await.expect(503);
    let details = async || {
        let token = [("x-auth-token", Who::Admin.token().unwrap())];
        let url = format!("{url}/healthcheck?detailed");
        http.send("GET", &url, &token, Vec::new()).await
    };
    let found = details().await.expect(503).json();
    assert_eq!(found["status"], "failing", "{found}");
    assert_eq!(found["store"]["writes"], false, "{found}");
    assert_eq!(found["store"]["reads"], true, "{found}");
    assert_eq!(found["reasons"][0], "Records cannot be written.", "{found}");
    // A small write that fits does not end the fault.
    created += usize::from(create(&http, &url, 1).await.status == 201);
    healthy().await.expect(503);
    // Existing records can still be read.
    let token = [("x-auth-token", Who::Owner.token().unwrap())];
    let list = http
        .send("GET", &format!("{url}/v2/images"), &token, Vec::new())
        .await;
    list.expect(200);

    // The same server works again when there is space, and what it refused is not there.
    unconfine(&child).await;
    details().await.expect(200);
    healthy().await.expect(200);
    create(&http, &url, 60_000).await.expect(201);
    let list = format!("{url}/v2/images?limit=200");
    let images = http.send("GET", &list, &token, Vec::new()).await;
    let images = images.expect(200).json();
    assert_eq!(images["images"].as_array().unwrap().len(), created + 1);

    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("can be used again"), "{log}");
    let first = log.lines().find(|line| line.contains("ERROR")).unwrap();
    assert!(first.contains("the data directory cannot be used"), "{log}");
    assert_eq!(
        log.matches("the data directory cannot be used").count(),
        1,
        "{log}"
    );
    // Not one more for each request.
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(!log.contains("ServiceError"), "{log}");
    drop(child);
}

/// Overwrites the middle of a file.
fn damage(path: &Path) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4096)).unwrap();
    let noise = vec![0xA5; usize::try_from(length).unwrap() - 4096];
    file.write_all(&noise).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_told_at_once_in_our_own_words() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let harness = Harness::with(kept(&data)).await;
    harness.image(json!({})).await;
    harness.server.stop().await;

    for file in ["queue.sqlite", "table.sqlite"] {
        let path = data.join(file);
        let whole = std::fs::read(&path).unwrap();
        let text = "not a database, and long enough to see it".repeat(99);
        std::fs::write(&path, text).unwrap();
        let directory = data.to_str().unwrap();
        let said = refused(&["--listen", "127.0.0.1:0", "--data-dir", directory]).await;
        let sentence = format!("{file}: it is damaged, or not a database of imshare");
        assert!(said.contains(&sentence), "{said}");
        assert!(!said.contains("encryption"), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        std::fs::write(&path, whole).unwrap();
    }

    // The file is damaged while the server runs.
    let table = data.join("table.sqlite");
    let harness = Harness::with(kept(&data)).await;
    damage(&table);
    let requests = || harness.store_requests().values().sum::<u64>();
    let before = requests();
    let answer = harness.get(Who::Owner, "/v2/images").await;
    assert!([500, 503].contains(&answer.status), "{}", answer.body);
    let answer = harness
        .post(Who::Owner, "/v2/images", json!({"p": "x".repeat(9000)}))
        .await;
    assert!([500, 503].contains(&answer.status), "{}", answer.body);
    // What each of them takes when nothing is wrong, at most: nothing is sent again.
    assert!(
        requests() - before <= 4 + 1,
        "{:?}",
        harness.store_requests()
    );
    harness.get(Who::NoToken, "/healthcheck").await.expect(503);
    let accept = [("accept", "application/json")];
    let json = harness
        .send_with(Who::NoToken, "GET", "/healthcheck/", &accept, None)
        .await;
    assert_eq!(
        json.expect(503).json()["reasons"],
        json!(["Records cannot be written."])
    );
}

/// SQLite's sentences, which are all that the engine passes on of its errors.
#[test]
fn the_errors_of_sqlite_that_last_are_told_from_those_that_pass() {
    for (sentence, fault) in [
        ("database or disk is full", Some(Fault::Full)),
        (
            "attempt to write a readonly database",
            Some(Fault::ReadOnly),
        ),
        ("database disk image is malformed", Some(Fault::Corrupt)),
        ("file is not a database", Some(Fault::Corrupt)),
        ("disk I/O error", Some(Fault::Io)),
        ("unable to open database file", Some(Fault::Io)),
        ("database is locked", None),
        ("database table is locked", None),
        ("interrupted", None),
        ("out of memory", None),
    ] {
        assert_eq!(Fault::of(sentence), fault, "{sentence}");
    }
}
