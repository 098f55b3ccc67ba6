//! Batches: accepted, applied once whatever the queue does, with a result for each entry.

mod delivery;
mod entries;
mod replaced;
mod requests;
mod results;

use std::collections::BTreeMap;

use serde_json::Value;
use shared::domain::batch::Batch;
use shared::domain::entries::Entries;
use shared::domain::id::{JobId, ProjectId};
use shared::domain::member::MemberStatus;
use shared::domain::policy::{Caller, Role};
use shared::domain::task::{Answer, Task};
use shared::domain::time::Timestamp;
use shared::runtime::messages::{SqsAttributes, SqsRecord};
use shared::store::jobs::Created;

use crate::harness::{self, Harness, Who};

const BATCH: &str = "/v1/cloudimages/members";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn error_of(answer: &harness::HttpResponse) -> String {
    answer.text("/error/code")
}

/// The results of a job as (image, project, status, code).
fn results(job: &Value) -> Vec<(String, String, String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    job["entities"]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                text(row, "image_id"),
                text(row, "project_id"),
                text(row, "status"),
                text(row, "error_code"),
            )
        })
        .collect()
}

fn codes(job: &Value) -> Vec<String> {
    results(job)
        .into_iter()
        .map(|(_, _, status, code)| if code.is_empty() { status } else { code })
        .collect()
}

async fn run(harness: &Harness, who: Who, method: &str, body: Value) -> Value {
    let answer = harness
        .send(who, method, BATCH, Some(&body.to_string()))
        .await
        .expect(200);
    harness.ended(who, &answer.text("/job_id")).await
}

/// A job whose record exists and whose messages the test holds instead of the queue.
pub async fn held(
    harness: &Harness,
    project: &str,
    task: Task,
    images: &[String],
    projects: &[&str],
) -> (JobId, Vec<SqsRecord>) {
    let app = &harness.server.app;
    let projects = projects.iter().map(|p| ProjectId::parse(*p).unwrap());
    let projects: Vec<_> = projects.collect();
    let caller = Caller {
        user: "u-asks".to_owned(),
        project: ProjectId::parse(project).unwrap(),
        role: Role::Member,
    };
    let entries = Entries::of_request(images, &projects);
    let batch = Batch::new(
        &caller,
        task,
        entries,
        app.operation(),
        app.now(),
        "req".to_owned(),
    );
    assert_eq!(
        app.store().create_job(&batch, None).await.unwrap(),
        Created::New
    );
    // Only the test sends them.
    app.store().messages_sent(batch.job.id).await.unwrap();
    (batch.job.id, records(&batch))
}

/// The messages of a batch as the queue delivers them.
fn records(batch: &Batch) -> Vec<SqsRecord> {
    let messages = batch.messages();
    let records = messages
        .iter()
        .enumerate()
        .map(|(number, message)| SqsRecord {
            message_id: format!("m{number}"),
            receipt_handle: String::new(),
            body: message.to_body().unwrap(),
            attributes: SqsAttributes {
                approximate_receive_count: "1".into(),
                message_group_id: None,
            },
            message_attributes: BTreeMap::new(),
        });
    records.collect()
}

pub fn answer(status: MemberStatus) -> Task {
    Task::Answer(Answer {
        status,
        vault_id: None,
    })
}

pub async fn deliver(harness: &Harness, record: &SqsRecord) {
    let until = Timestamp::from_micros(i64::MAX);
    run_batch::handle(harness.server.app.clone(), record.clone(), until)
        .await
        .unwrap();
}

async fn shown(harness: &Harness, who: Who, job: JobId) -> Value {
    harness
        .get(who, &format!("/v1/cloudimages/job/{job}"))
        .await
        .expect(200)
        .json()
}

async fn status(harness: &Harness, image: &str, member: &str) -> Option<String> {
    let answer = harness
        .get(Who::Owner, &format!("/v2/images/{image}/members/{member}"))
        .await;
    (answer.status == 200).then(|| answer.text("/status"))
}
