//! The work of a request is bounded by what it returns, not by what it skips.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::budget::requests;
use crate::harness::{Harness, MEMBER, OWNER, Who};

fn total(spent: &BTreeMap<String, u64>) -> u64 {
    spent.values().sum()
}

async fn cost(harness: &Harness, who: Who, path: &str) -> u64 {
    let answer = async { harness.get(who, path).await.expect(200) };
    total(&requests(harness, answer).await)
}

/// At most 4 requests, and one more for each 1,000 skipped rows.
#[tokio::test]
async fn rows_that_a_filter_leaves_out_cost_no_request_each() {
    let harness = Harness::new().await;
    for i in 0..300 {
        harness
            .image(json!({"name": format!("n{i}"), "tags": ["t"], "p": "1", "min_ram": 1}))
            .await;
    }
    for query in [
        "name=zzz&limit=1",
        "name=n0&limit=1",
        "tag=other",
        "p=2&limit=1",
        "unknown=x&limit=1",
        "min_ram=2&limit=1",
        "status=active&limit=1",
        "visibility=private&limit=1",
        "os_hidden=true&limit=1",
        "created_at=lt:2001-01-01T00:00:00Z&limit=1",
        "checksum=abc&limit=1",
        "name=zzz&limit=1&sort_key=size",
        "size_min=5&limit=1",
    ] {
        let spent = cost(&harness, Who::Owner, &format!("/v2/images?{query}")).await;
        assert!(spent <= 5, "{query}: {spent} requests");
    }
    for status in ["INIT", "RUNNING", "SUCCESS", "FAIL"] {
        let path = format!("/v1/{OWNER}/jobs?limit=1&status={status}");
        assert!(cost(&harness, Who::Owner, &path).await <= 4);
    }
}

/// A request that repeats something many thousand times takes no longer than it is long, and its answer is no
/// longer than Lambda's may be. With work that grows with the square this test would take minutes.
#[tokio::test]
async fn what_is_long_is_answered_in_proportion() {
    let harness = Harness::new().await;
    let tags: Vec<String> = (0..120_000).map(|tag| format!("{tag}")).collect();
    let tagged = json!({"tags": tags});
    let refused = harness.post(Who::Owner, "/v2/images", tagged).await;
    let words = "number of allowed image tags. Attempted: 120000, Maximum: 128";
    assert!(refused.expect(413).body.contains(words));
    let arguments: Vec<String> = (0..10_000).map(|at| format!("{at:x}=")).collect();
    let path = format!("/v2/images?{}", arguments.join("&"));
    harness.get(Who::Owner, &path).await.expect(200);
    let name = "<".repeat(1_000_000);
    let body = Some(json!({"name": name}).to_string().into_bytes());
    let any = [("accept", "*/*")];
    let refused = harness
        .send_with(Who::Owner, "POST", "/v2/images", &any, body)
        .await
        .expect(400);
    let length = refused.body.len();
    assert!((64 * 1024..1024 * 1024).contains(&length), "{length}");
}

#[tokio::test]
async fn jobs_that_a_filter_leaves_out_cost_no_request_each() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for i in 0..150 {
        let body = json!({"images": [image], "projects": [format!("p{i}")]});
        let answer = harness
            .post(Who::Owner, "/v1/cloudimages/members", body)
            .await
            .expect(200);
        let job = answer.text("/job_id");
        harness.ended(Who::Owner, &job).await;
    }
    for query in [
        "status=INIT",
        "status=RUNNING",
        "job_type=imsDelImageMembersJob",
        "status=FAIL",
    ] {
        let path = format!("/v1/{OWNER}/jobs?limit=1&{query}");
        let spent = cost(&harness, Who::Owner, &path).await;
        assert!(spent <= 4, "{query}: {spent} requests");
    }
    let found = harness
        .get(Who::Owner, &format!("/v1/{OWNER}/jobs?limit=3&status=FAIL"))
        .await;
    let found = found.expect(200).json();
    assert_eq!(found["jobs"].as_array().unwrap().len(), 3, "{found}");
    assert!(found["page_info"]["next_marker"].is_string());
}

/// Images that their owner no longer shares do not slow down their members' lists.
#[tokio::test]
async fn images_that_were_made_private_make_nobodys_list_slow() {
    let harness = Harness::new().await;
    let path = "/v2/images?member_status=pending&limit=5";
    let before = cost(&harness, Who::Member, path).await;
    let mut images = Vec::new();
    for _ in 0..60 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    for image in &images {
        harness.set_visibility(Who::Owner, image, "private").await;
    }
    assert!(
        harness
            .listed(Who::Member, "?member_status=pending")
            .await
            .is_empty()
    );
    assert_eq!(cost(&harness, Who::Member, path).await, before);
    // Shared again, the image is at once in the list as before.
    harness
        .set_visibility(Who::Owner, &images[3], "shared")
        .await;
    assert_eq!(
        harness.listed(Who::Member, "?member_status=pending").await,
        [images[3].clone()]
    );
    assert_eq!(harness.member_count(&images[3]).await, 1);
}

/// Removed members do not cost a request each either.
#[tokio::test]
async fn members_that_were_removed_are_not_in_the_way() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let projects: Vec<String> = (0..60).map(|i| format!("p{i:02}")).collect();
    let body = json!({"images": [image], "projects": projects});
    let sent = body.to_string();
    for method in ["POST", "DELETE"] {
        let answer = harness.send(Who::Owner, method, "/v1/cloudimages/members", Some(&sent));
        let job = answer.await.expect(200).text("/job_id");
        assert_eq!(harness.ended(Who::Owner, &job).await["status"], "SUCCESS");
    }
    harness.share(&image, "z").await.expect(200);
    let path = format!("/v1/{OWNER}/cloudimages/{image}/members?limit=1");
    assert!(cost(&harness, Who::Owner, &path).await <= 4);
}

/// A page ends before 4 MB, and all pages together are the list.
#[tokio::test]
async fn a_page_ends_before_it_is_too_large_for_an_answer() {
    let harness = Harness::new().await;
    let mut images = Vec::new();
    for i in 0..30 {
        let image = harness
            .image(json!({"text": "\"".repeat(120_000), "name": format!("n{i}")}))
            .await;
        harness.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    images.reverse();
    for (who, query) in [
        (Who::Owner, "?limit=1000"),
        (Who::Owner, ""),
        (Who::Owner, "?limit=1000&sort_key=created_at&sort_key=name"),
        (Who::Member, "?member_status=pending&limit=1000"),
    ] {
        let mut found = Vec::new();
        let mut next = Some(format!("/v2/images{query}"));
        let mut pages = 0;
        while let Some(path) = next {
            let answer = harness.get(who, &path).await.expect(200);
            assert!(
                answer.body.len() < 4_000_000,
                "{query}: {}",
                answer.body.len()
            );
            let page = answer.json();
            let ids = page["images"].as_array().unwrap().iter();
            found.extend(ids.map(|image| image["id"].as_str().unwrap().to_owned()));
            next = page["next"].as_str().map(str::to_owned);
            pages += 1;
        }
        assert!(pages > 1, "{query}");
        assert_eq!(found, images, "{query}");
    }
    let ims = harness
        .get(
            Who::Member,
            "/v2/cloudimages?member_status=pending&limit=1000",
        )
        .await;
    assert!(ims.expect(200).body.len() < 4_000_000);
}

/// Random lists over random images: the pages together are the list, each image once, and no page
/// but the last is empty.
#[tokio::test]
async fn pages_of_a_filtered_list_are_the_list() {
    let harness = Harness::new().await;
    let mut rng = Rng::with_seed(11);
    for _ in 0..60 {
        let name = format!("n{}", rng.usize(..4));
        let tags: Vec<String> = (0..rng.usize(..3)).map(|t| format!("t{t}")).collect();
        let body = json!({"name": name, "tags": tags, "p": rng.usize(..3).to_string()});
        match rng.usize(..3) {
            0 => {
                harness
                    .post(Who::Member, "/v2/images", body)
                    .await
                    .expect(201);
            }
            1 => {
                let image = harness.image(body).await;
                harness.share(&image, MEMBER).await.expect(200);
                let status = rng.choice(["accepted", "rejected", "pending"]).unwrap();
                harness
                    .answer(Who::Member, &image, MEMBER, status)
                    .await
                    .expect(200);
            }
            _ => {
                let mut body = body;
                body["visibility"] = json!("public");
                harness
                    .post(Who::Admin, "/v2/images", body)
                    .await
                    .expect(201);
            }
        }
    }
    for _ in 0..60 {
        let filter = rng
            .choice([
                "name=n1",
                "tag=t0&tag=t1",
                "p=2",
                "visibility=public",
                "owner=x",
                "",
            ])
            .unwrap();
        let sort = rng
            .choice([
                "",
                "&sort=name:asc",
                "&sort=created_at:asc",
                "&sort_key=size",
            ])
            .unwrap();
        let status = rng
            .choice(["", "&member_status=all", "&member_status=rejected"])
            .unwrap();
        let list = format!("?{filter}{sort}{status}");
        let whole = harness
            .listed(Who::Member, &format!("{list}&limit=1000"))
            .await;
        let limit = 1 + rng.usize(..7);
        let mut found: Vec<String> = Vec::new();
        let mut next = Some(format!("/v2/images{list}&limit={limit}"));
        while let Some(path) = next {
            let page: Value = harness.get(Who::Member, &path).await.expect(200).json();
            let ids = page["images"].as_array().unwrap();
            found.extend(
                ids.iter()
                    .map(|image| image["id"].as_str().unwrap().to_owned()),
            );
            next = page["next"].as_str().map(str::to_owned);
            assert!(
                !ids.is_empty() || next.is_none(),
                "{path}: an empty page, and more"
            );
        }
        assert_eq!(found, whole, "{list} by {limit}");
    }
}
