//! The results of a job by their status, so that what failed can be repeated.

use serde_json::{Value, json};
use shared::domain::id::JobId;
use shared::domain::job::DEADLINE_SECONDS;
use shared::domain::task::Task;

use super::{UNKNOWN, deliver, held, shown};
use crate::budget::requests;
use crate::harness::{Harness, MEMBER, OWNER, Who};

/// All rows of a job in a status, page by page; the pages say how many there are.
async fn rows(harness: &Harness, path: &str, status: &str, limit: usize) -> Vec<(String, String)> {
    let (mut all, mut marker) = (Vec::new(), None::<String>);
    loop {
        let after = marker.map(|marker| format!("&marker={marker}"));
        let path = format!(
            "{path}?status={status}&limit={limit}{}",
            after.unwrap_or_default()
        );
        let page = harness.get(Who::Owner, &path).await.expect(200).json();
        let entities = &page["entities"];
        let found = entities["results"].as_array().unwrap();
        for row in found {
            assert_eq!(row["status"], status);
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            all.push((text("image_id"), text("project_id")));
        }
        match entities["page_info"]["next_marker"].as_str() {
            Some(next) => {
                assert_eq!(found.len(), limit, "only the last page is short");
                marker = Some(next.to_owned());
            }
            None => {
                assert_eq!(entities["page_info"]["total_count"], all.len());
                return all;
            }
        }
    }
}

#[tokio::test]
async fn only_what_failed_is_shown_and_can_be_repeated() {
    let harness = Harness::new().await;
    let mut images = Vec::new();
    for at in 0..60 {
        images.push(match at % 20 {
            7 => UNKNOWN.replace("00000000-", &format!("{at:08}-")),
            _ => harness.image(json!({})).await,
        });
    }
    let projects = [MEMBER, "a", "b"];
    let body = json!({"images": images, "projects": projects});
    let answer = harness
        .post(Who::Owner, "/v1/cloudimages/members", body)
        .await;
    let id = answer.expect(200).text("/job_id");
    harness.ended(Who::Owner, &id).await;
    let all: Vec<_> = images
        .iter()
        .flat_map(|image| projects.map(|project| (image.clone(), project.to_owned())))
        .collect();
    let missing = |row: &(String, String)| row.0.ends_with(&UNKNOWN[8..]);
    let failed: Vec<_> = all.iter().filter(|row| missing(row)).cloned().collect();
    let good: Vec<_> = all.iter().filter(|row| !missing(row)).cloned().collect();
    assert_eq!((failed.len(), good.len()), (9, 171));
    for path in [
        format!("/v1/cloudimages/job/{id}"),
        format!("/v1/{OWNER}/jobs/{id}"),
    ] {
        for limit in [1, 4, 9, 10, 1000] {
            assert_eq!(rows(&harness, &path, "failed", limit).await, failed);
            assert!(rows(&harness, &path, "running", limit).await.is_empty());
        }
        assert_eq!(rows(&harness, &path, "success", 50).await, good);
        let wrong = harness
            .get(Who::Owner, &format!("{path}?status=FAIL"))
            .await;
        assert_eq!(wrong.expect(400).text("/error/code"), "IMG.0001");
    }
    // The job itself and the list say how many there are.
    let list = harness.get(Who::Owner, &format!("/v1/{OWNER}/jobs")).await;
    let job = shown(&harness, Who::Owner, JobId::parse(&id).unwrap()).await;
    for entities in [&job["entities"], &list.json()["jobs"][0]["entities"]] {
        let counts = ["total", "succeeded", "failed"].map(|name| entities[name].clone());
        assert_eq!(counts, [180, 171, 9].map(Value::from));
    }
}

#[tokio::test]
async fn what_runs_is_told_from_what_is_over() {
    let (harness, clock) = Harness::with_clock().await;
    let mut images = Vec::new();
    for _ in 0..120 {
        images.push(harness.image(json!({})).await);
    }
    let (job, messages) = held(&harness, OWNER, Task::Share, &images, &[MEMBER]).await;
    deliver(&harness, &messages[1]).await;
    let path = format!("/v1/cloudimages/job/{job}");
    assert_eq!(rows(&harness, &path, "success", 30).await.len(), 50);
    assert_eq!(rows(&harness, &path, "running", 30).await.len(), 70);
    assert!(rows(&harness, &path, "failed", 30).await.is_empty());
    clock.forward(DEADLINE_SECONDS);
    assert!(rows(&harness, &path, "running", 30).await.is_empty());
    assert_eq!(rows(&harness, &path, "failed", 30).await.len(), 70);
}

/// One failure of ten thousand entries is two requests away, not ten pages.
#[tokio::test]
async fn what_failed_is_found_without_reading_what_did_not() {
    let harness = Harness::with(local::options::Options {
        member_quota: -1,
        ..crate::harness::options()
    })
    .await;
    let image = harness.image(json!({})).await;
    let mut projects: Vec<String> = (0..9_999).map(|i| format!("p{i}")).collect();
    projects.insert(7_777, OWNER.to_owned());
    let body = json!({"images": [image], "projects": projects});
    let answer = harness
        .post(Who::Owner, "/v1/cloudimages/members", body)
        .await;
    let id = answer.expect(200).text("/job_id");
    let end = harness.ended(Who::Owner, &id).await;
    assert_eq!(end["fail_reason"], "1 of 10000 entries failed");
    let path = format!("/v1/cloudimages/job/{id}");
    let spent = requests(&harness, async {
        let found = rows(&harness, &path, "failed", 1000).await;
        assert_eq!(found, [(image.clone(), OWNER.to_owned())]);
    });
    let spent: u64 = spent.await.into_values().sum();
    assert_eq!(spent, 2);
}
