//! A service that does what a test says, when it says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use tests::{Reply, reply, serve};

use super::{DEBIAN, Shell};
use crate::harness::OWNER;

pub const JOB: &str = "01a2154123450000a000000000000000";

/// A request as the fake got it.
#[derive(Clone, Debug)]
pub struct Got {
    pub method: String,
    pub path: String,
    pub key: Option<String>,
    pub body: Value,
}

#[derive(Default)]
struct State {
    /// What is answered to the next requests for jobs and batches, before anything else.
    next: VecDeque<(u16, Value)>,
    /// The counts of every job: all, succeeded, failed.
    counts: (usize, usize, usize),
    got: Vec<Got>,
    /// Batches with more entries are refused.
    most: Option<usize>,
    jobs: usize,
}

#[derive(Clone, Default)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    pub url: String,
}

impl Fake {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let answering = state.clone();
        let address = serve(move |request: hyper::Request<Bytes>| {
            let answer = answering.lock().unwrap().answer(&request);
            async move { answer }
        });
        let url = format!("http://{}", address.await);
        Self { state, url }
    }

    /// Somebody who is logged in to it.
    pub fn shell(&self) -> Shell {
        let pairs = [
            ("OS_ENDPOINT", &*self.url),
            ("OS_TOKEN", "t"),
            ("OS_PROJECT_ID", OWNER),
        ];
        Shell::new(&pairs)
    }

    /// Sets the counts of every job.
    pub fn counts(&self, all: usize, succeeded: usize, failed: usize) {
        self.state.lock().unwrap().counts = (all, succeeded, failed);
    }

    /// Answers the next request about jobs or batches like this.
    pub fn next(&self, status: u16, body: Value) {
        self.state.lock().unwrap().next.push_back((status, body));
    }

    /// A job as it is shown.
    pub fn job(&self, id: &str) -> Value {
        self.state.lock().unwrap().job(id)
    }

    pub fn most(&self, entries: usize) {
        self.state.lock().unwrap().most = Some(entries);
    }

    pub fn got(&self) -> Vec<Got> {
        self.state.lock().unwrap().got.clone()
    }
}

impl State {
    fn answer(&mut self, request: &hyper::Request<Bytes>) -> Reply {
        let (method, path) = (
            request.method().to_string(),
            request.uri().path().to_owned(),
        );
        let key = request.headers().get("idempotency-key");
        let key = key.map(|key| key.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        self.got.push(Got {
            method,
            path: path.clone(),
            key,
            body: body.clone(),
        });
        if path.starts_with("/v2/images/") || path == "/v2/images" {
            let image = json!({"id": DEBIAN, "name": "debian-12", "owner": OWNER, "status": "active",
                               "visibility": "shared", "created_at": "2026-01-01T00:00:00Z"});
            return match path.as_str() {
                "/v2/images" => json_reply(200, &json!({"images": [image]})),
                _ => json_reply(200, &image),
            };
        }
        if let Some((status, body)) = self.next.pop_front() {
            return json_reply(status, &body);
        }
        if path == "/v1/cloudimages/members" {
            let number = |name: &str| body[name].as_array().map_or(1, Vec::len);
            let entries = number("images") * number("projects");
            if self.most.is_some_and(|most| entries > most) {
                let error = json!({"code": "IMG.0060", "message": "Too many entries at once."});
                return json_reply(400, &json!({"error": error}));
            }
            self.jobs += 1;
            let id = format!("{}{:012x}", &JOB[..20], self.jobs - 1);
            return json_reply(200, &json!({"job_id": id}));
        }
        if path.contains("/jobs/") {
            return json_reply(200, &self.job(path.rsplit('/').next().unwrap()));
        }
        reply(300, json!({"versions": []}).to_string())
    }

    fn job(&self, id: &str) -> Value {
        let (all, succeeded, failed) = self.counts;
        let status = match (succeeded + failed == all, failed) {
            (false, _) => "RUNNING",
            (true, 0) => "SUCCESS",
            (true, _) => "FAIL",
        };
        let rows: Vec<Value> = (0..all)
            .map(|number| {
                let project = format!("{number:032x}");
                let mut row = json!({"image_id": DEBIAN, "project_id": project, "status": "success",
                                     "changed": true});
                if number >= succeeded {
                    row["status"] = json!("failed");
                    row["error_code"] = json!("IMG.0112");
                    row["fail_reason"] = json!("The member could not be added. Try again.");
                }
                row
            })
            .collect();
        json!({"job_id": id, "status": status, "job_type": "imsAddImageMembersJob",
               "begin_time": "2026-01-01T00:00:00.000Z", "end_time": null, "fail_reason": null,
               "entities": {"total": all, "succeeded": succeeded, "failed": failed, "results": rows,
                            "page_info": {"current_count": all, "next_marker": null}}})
    }
}

fn json_reply(status: u16, body: &Value) -> Reply {
    let mut reply = reply(status, body.to_string());
    let id = "req-00000000-0000-4000-8000-000000000001".parse().unwrap();
    reply.headers_mut().insert("x-openstack-request-id", id);
    reply
}
