//! The real binary, whose log of changes is read.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Http, HttpResponse, MEMBER, MEMBER2, Who};
use crate::restart::binary;

/// The real binary, with its log in JSON in a file.
pub struct Logged {
    child: Child,
    pub url: String,
    http: Http,
    directory: tempfile::TempDir,
}

impl Logged {
    pub async fn start() -> Self {
        Self::with(|command| command.arg("--in-memory")).await
    }

    pub async fn in_files() -> Self {
        Self::with(|command| command.args(["--data-dir", "data"])).await
    }

    pub async fn with(data: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(binary());
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .current_dir(directory.path());
        let mut child = data(&mut command)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        Self {
            url: line.strip_prefix("listening on ").unwrap().to_owned(),
            http: Http::default(),
            child,
            directory,
        }
    }

    pub async fn send(
        &self,
        (who, request): (Who, &str),
        method: &str,
        path: &str,
        body: Value,
    ) -> HttpResponse {
        let headers = [
            ("x-auth-token", who.token().unwrap()),
            ("x-openstack-request-id", request),
            (
                "content-type",
                "application/openstack-images-v2.1-json-patch",
            ),
        ];
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let url = format!("{}{path}", self.url);
        self.http.send(method, &url, &headers, body).await
    }

    /// What a test needs before the request that it is about.
    pub async fn before(&self, who: Who, method: &str, path: &str, body: Value) -> HttpResponse {
        let answer = self.send((who, "before"), method, path, body).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        answer
    }

    pub async fn image(&self) -> String {
        let created = self.before(Who::Owner, "POST", "/v2/images", json!({"name": "n"}));
        created.await.text("/id")
    }

    /// An image that is shared with the member and member2.
    pub async fn shared(&self) -> String {
        let image = self.image().await;
        for member in [MEMBER, MEMBER2] {
            let path = format!("/v2/images/{image}/members");
            self.before(Who::Owner, "POST", &path, json!({"member": member}))
                .await;
        }
        image
    }

    /// Waits until a job that was accepted has ended, and returns its id.
    pub async fn ended(&self, who: Who, accepted: &HttpResponse) -> String {
        let job = accepted.text("/job_id");
        for _ in 0..4800 {
            let path = format!("/v1/cloudimages/job/{job}");
            let found = self.send((who, "before"), "GET", &path, Value::Null).await;
            match found.text("/status").as_str() {
                "SUCCESS" => return job,
                "FAIL" => panic!("{}", found.body),
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
        panic!("job {job} did not end in 2 min");
    }

    /// Stops the server, and returns the fields of all changes by their requests.
    pub async fn stop(mut self) -> BTreeMap<String, Vec<Value>> {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.await.unwrap().success());
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        let mut changes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            // Nothing else is logged by default, if nothing goes wrong.
            if line["level"] == "WARN" {
                continue;
            }
            assert_eq!(
                (&line["target"], &line["level"]),
                (&json!("change"), &json!("INFO"))
            );
            assert!(line["timestamp"].is_string(), "{line}");
            let mut fields = line["fields"].clone();
            let message = fields.as_object_mut().unwrap().remove("message");
            assert_eq!(message, Some(json!("change")));
            let request = fields.as_object_mut().unwrap().remove("request");
            let request = request.unwrap().as_str().unwrap().to_owned();
            changes.entry(request).or_default().push(fields);
        }
        changes
    }
}
