//! No secret reaches the log at any level: runs the real binary and captures all of its output.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::harness::{Http, HttpResponse, MEMBER, OWNER, Who};
use crate::restart::binary;

const PASSWORD: &str = "correct-horse-battery-staple";
const WRONG_PASSWORD: &str = "wrong-horse-battery-staple";
const KEY_SECRET: &str = "an-access-key-secret-0123456789abcdef";

/// The demo identities with a password and a key that occur nowhere else.
fn identity_file() -> String {
    let demo = include_str!("../../local/src/demo-identity.toml");
    let file = demo.replace("\"secret\"", &format!("\"{PASSWORD}\""));
    assert!(file.contains(PASSWORD));
    let key = format!("access = \"AKAKAKAKAKAKAKAKAKAK\"\nsecret = \"{KEY_SECRET}\"\n");
    let whose = format!("user = \"u-owner\"\nproject = \"{OWNER}\"\nroles = [\"member\"]\n");
    format!("{file}\n[[access_key]]\n{key}{whose}")
}

struct Driver {
    http: Http,
    url: String,
}

impl Driver {
    async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> HttpResponse {
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let url = format!("{}{path}", self.url);
        let headers = [
            ("x-auth-token", token),
            ("x-subject-token", token),
            ("authorization", token),
        ];
        self.http.send(method, &url, &headers, body).await
    }

    async fn log_in(&self, name: &str, password: &str) -> HttpResponse {
        let user = json!({"name": name, "domain": {"id": "default"}, "password": password});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let login = json!({"auth": {"identity": identity, "scope": {"project": {"id": OWNER}}}});
        self.send("", "POST", "/identity/v3/auth/tokens", login)
            .await
    }

    /// Calls every function once with this token.
    async fn tour(&self, token: &str) {
        let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}});
        self.send(token, "POST", "/identity/v3/auth/tokens", body)
            .await;
        self.send(token, "GET", "/identity/v3/auth/tokens", Value::Null)
            .await;
        let made = self
            .send(token, "POST", "/v2/images", json!({"name": "debian"}))
            .await;
        if made.status != 201 {
            return;
        }
        let image = made.text("/id");
        let path = format!("/v2/images/{image}");
        let members = format!("{path}/members");
        let member = format!("{members}/{MEMBER}");
        for (method, path, body) in [
            ("POST", &*members, json!({"member": MEMBER})),
            ("PUT", &*member, json!({"status": "accepted"})),
            ("GET", &*members, Value::Null),
            ("DELETE", &*member, Value::Null),
            ("POST", &*members, json!({"no": "member"})),
            ("GET", "/v2/images", Value::Null),
            ("GET", "/v2/schemas/image", Value::Null),
            ("GET", "/nonsense", Value::Null),
        ] {
            self.send(token, method, path, body).await;
        }
        let batch = json!({"images": [image], "projects": [MEMBER]});
        let job = self
            .send(token, "POST", "/v1/cloudimages/members", batch)
            .await
            .expect(200)
            .text("/job_id");
        for _ in 0..400 {
            let path = format!("/v1/cloudimages/job/{job}");
            let job = self.send(token, "GET", &path, Value::Null).await.json();
            if matches!(job["status"].as_str(), Some("SUCCESS" | "FAIL")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.send(token, "DELETE", &path, Value::Null).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_no_secret_at_any_level() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("identity.toml");
    std::fs::write(&file, identity_file()).unwrap();
    let log = directory.path().join("log");
    let mut child = Command::new(binary())
        .args(["serve", "--in-memory", "--listen", "127.0.0.1:0"])
        .args(["--log", "trace", "--identity"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    out.read_line(&mut said).await.unwrap();
    let url = said
        .trim()
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    let driver = Driver {
        http: Http::default(),
        url,
    };

    let mut secrets = vec![
        PASSWORD.to_owned(),
        WRONG_PASSWORD.to_owned(),
        KEY_SECRET.to_owned(),
    ];
    driver.log_in("owner", WRONG_PASSWORD).await.expect(401);
    let answer = driver.log_in("owner", PASSWORD).await.expect(201);
    secrets.push(answer.header("x-subject-token").unwrap().to_owned());
    for who in [
        Who::Owner,
        Who::Member,
        Who::Member2,
        Who::Admin,
        Who::BadToken,
    ] {
        secrets.push(who.token().unwrap().to_owned());
    }
    // A client that sends secrets in place of tokens by mistake must not have them logged.
    for secret in &secrets {
        driver.tour(secret).await;
    }

    let pid = child.id().unwrap().to_string();
    let stopped = Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(stopped.unwrap().success());
    out.read_to_string(&mut said).await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    println!("{} lines of log", log.lines().count());
    // The log is that of these requests.
    for expected in ["answered", "for development only"] {
        assert!(log.contains(expected), "no {expected:?} in the log");
    }
    for secret in secrets {
        for (place, text) in [("standard output", &said), ("the log", &log)] {
            let line = text.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{secret} in {place}");
        }
    }
}
