//! Requests of batches: malformed ones, repeated ones, and the reads of the same API.

use crate::harness::{ADMIN, Harness, MEMBER, MEMBER2, OWNER, Who};
use serde_json::{Value, json};

use super::{BATCH, UNKNOWN, error_of, run};

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    let body = json!({"images": [image], "projects": ["p"]})
        .to_string()
        .into_bytes();
    let send = |who: Who, method: &'static str, key: &'static str, body: Vec<u8>| {
        let harness = &harness;
        async move {
            harness
                .send_with(who, method, BATCH, &[("idempotency-key", key)], Some(body))
                .await
        }
    };
    let at_once =
        futures::future::join_all((0..8).map(|_| send(Who::Owner, "POST", "k-1", body.clone())))
            .await;
    let ids: std::collections::BTreeSet<_> = at_once
        .into_iter()
        .map(|answer| answer.expect(200).text("/job_id"))
        .collect();
    assert_eq!(ids.len(), 1, "eight at the same instant are one job");
    let first = ids.first().unwrap().clone();
    let other = json!({"images": [image], "projects": ["q"]})
        .to_string()
        .into_bytes();
    send(Who::Owner, "POST", "k-1", other.clone())
        .await
        .expect(422);
    send(Who::Owner, "DELETE", "k-1", body.clone())
        .await
        .expect(422);
    // An idempotency key belongs to its project.
    let theirs = send(Who::Member, "POST", "k-1", body.clone())
        .await
        .expect(200)
        .text("/job_id");
    assert_ne!(theirs, first);
    clock.forward(24 * 3600 - 1);
    assert_eq!(
        send(Who::Owner, "POST", "k-1", body.clone())
            .await
            .expect(200)
            .text("/job_id"),
        first
    );
    clock.forward(2);
    let later = send(Who::Owner, "POST", "k-1", other)
        .await
        .expect(200)
        .text("/job_id");
    assert_ne!(later, first);
    let long: &'static str = Box::leak("k".repeat(65).into_boxed_str());
    for bad in ["", " ", "a b", long] {
        assert_eq!(
            error_of(
                &send(Who::Owner, "POST", bad, body.clone())
                    .await
                    .expect(400)
            ),
            "IMG.0001"
        );
    }
    send(
        Who::Owner,
        "POST",
        Box::leak("k".repeat(64).into_boxed_str()),
        body,
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn a_wrong_request_makes_no_job() {
    let harness = Harness::new().await;
    let long = "x".repeat(256);
    let many: Vec<String> = (0..101).map(|i| format!("i{i}")).collect();
    let hundred: Vec<String> = (0..100).map(|i| format!("p{i}")).collect();
    let put = |images: Value, project: Value, status: Value| json!({"images": images, "project_id": project, "status": status});
    let cases = [
        ("PUT", json!([]), "IMG.0001"),
        ("PUT", json!("x"), "IMG.0001"),
        ("PUT", json!({}), "IMG.0001"),
        (
            "PUT",
            put(json!([]), json!(MEMBER), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!("x"), json!(MEMBER), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!([1]), json!(MEMBER), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(MEMBER), json!("pending")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(MEMBER), json!("ACCEPTED")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(MEMBER), Value::Null),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(5), json!("accepted")),
            "IMG.0001",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(""), json!("accepted")),
            "IMG.0067",
        ),
        (
            "PUT",
            put(json!(["x"]), json!(OWNER), json!("accepted")),
            "IMG.0030",
        ),
        ("POST", json!({"images": ["x"]}), "IMG.0001"),
        ("POST", json!({"images": ["x"], "projects": []}), "IMG.0001"),
        (
            "POST",
            json!({"images": ["x"], "projects": [null]}),
            "IMG.0001",
        ),
        (
            "POST",
            json!({"images": ["x"], "projects": ["a\nb"]}),
            "IMG.0067",
        ),
        (
            "POST",
            json!({"images": ["x"], "projects": [long]}),
            "IMG.0067",
        ),
        (
            "DELETE",
            json!({"images": many, "projects": hundred}),
            "IMG.0060",
        ),
    ];
    for (method, body, code) in cases {
        let answer = harness
            .send(Who::Member, method, BATCH, Some(&body.to_string()))
            .await
            .expect(400);
        assert_eq!(error_of(&answer), code, "{method} {body}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(
            error_of(
                &harness
                    .send(Who::Member, method, BATCH, None)
                    .await
                    .expect(400)
            ),
            "IMG.0007"
        );
        assert_eq!(
            error_of(
                &harness
                    .send(Who::Member, method, BATCH, Some("{"))
                    .await
                    .expect(400)
            ),
            "IMG.0001"
        );
    }
    let big = vec![b' '; 2 * 1024 * 1024];
    harness
        .send_with(Who::Member, "PUT", BATCH, &[], Some(big))
        .await
        .expect(413);
    let good = put(json!(["x"]), json!(MEMBER), json!("accepted"));
    let reader = harness
        .put(Who::MemberReader, BATCH, good)
        .await
        .expect(403);
    assert_eq!(error_of(&reader), "IMG.0026");
    let jobs = harness
        .get(Who::Member, &format!("/v1/{MEMBER}/jobs"))
        .await
        .expect(200)
        .json();
    assert_eq!(jobs["jobs"], json!([]));
}

#[tokio::test]
async fn a_projects_jobs_are_listed_newest_first() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let mut ids = Vec::new();
    for i in 0..7 {
        let image = if i % 2 == 0 { image.as_str() } else { UNKNOWN };
        let body = json!({"images": [image], "projects": [format!("p{i}")]});
        ids.push(
            run(&harness, Who::Owner, "POST", body).await["job_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    ids.reverse();
    let page = |query: String| {
        let harness = &harness;
        async move {
            let answer = harness
                .get(Who::Owner, &format!("/v1/{OWNER}/jobs{query}"))
                .await
                .expect(200)
                .json();
            let jobs = answer["jobs"].as_array().unwrap();
            let jobs: Vec<_> = jobs
                .iter()
                .map(|job| job["job_id"].as_str().unwrap().to_owned())
                .collect();
            (
                jobs,
                answer["page_info"]["next_marker"]
                    .as_str()
                    .map(str::to_owned),
            )
        }
    };
    assert_eq!(page(String::new()).await, (ids.clone(), None));
    let (first, marker) = page("?limit=3".into()).await;
    assert_eq!(first, ids[..3]);
    let (second, _) = page(format!("?limit=3&marker={}", marker.unwrap())).await;
    assert_eq!(second, ids[3..6]);
    let failed: Vec<_> = ids.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(page("?status=FAIL".into()).await.0, failed);
    assert_eq!(page("?status=FAIL&limit=2".into()).await.0, failed[..2]);
    assert!(
        page("?job_type=imsDelImageMembersJob".into())
            .await
            .0
            .is_empty()
    );
    for bad in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?status=fail",
        "?marker=x",
        "?job_type=x",
    ] {
        harness
            .get(Who::Owner, &format!("/v1/{OWNER}/jobs{bad}"))
            .await
            .expect(400);
    }
    harness
        .get(Who::Member, &format!("/v1/{OWNER}/jobs"))
        .await
        .expect(404);
    harness
        .get(Who::Admin, &format!("/v1/{OWNER}/jobs"))
        .await
        .expect(200);
}

#[tokio::test]
async fn members_are_read_in_the_form_of_ims() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for member in [MEMBER, MEMBER2, ADMIN] {
        harness.share(&image, member).await.expect(200);
    }
    let path = format!("/v1/{OWNER}/cloudimages/{image}/members");
    let first = harness
        .get(Who::Owner, &format!("{path}?limit=2"))
        .await
        .expect(200)
        .json();
    assert_eq!(first["page_info"]["current_count"], 2);
    let marker = first["page_info"]["next_marker"].as_str().unwrap();
    let rest = harness
        .get(Who::Owner, &format!("{path}?limit=2&marker={marker}"))
        .await
        .expect(200)
        .json();
    assert_eq!(rest["members"].as_array().unwrap().len(), 1);
    assert_eq!(rest["page_info"].get("next_marker"), None);
    let one = harness
        .get(Who::Owner, &format!("{path}/{MEMBER}"))
        .await
        .expect(200)
        .json();
    assert_eq!(one["member_id"], MEMBER);
    assert_eq!(
        error_of(
            &harness
                .get(Who::Owner, &format!("{path}/nobody"))
                .await
                .expect(404)
        ),
        "IMG.0121"
    );
    assert_eq!(
        error_of(&harness.get(Who::Member, &path).await.expect(400)),
        "IMG.0030"
    );
    for image in [&*image, "00000000-0000-4000-8000-000000000000", "nonsense"] {
        let hidden = format!("/v1/{}/cloudimages/{image}/members", crate::harness::THIRD);
        for path in [format!("{hidden}/{MEMBER}"), hidden] {
            let refused = harness.get(Who::Third, &path).await.expect(404);
            assert_eq!(error_of(&refused), "IMG.0027", "{path}");
        }
    }
    let own = harness
        .get(
            Who::Member,
            &format!("/v1/{MEMBER}/cloudimages/{image}/members"),
        )
        .await
        .json();
    assert_eq!(own["members"].as_array().unwrap().len(), 1);
    for bad in ["?limit=0", "?limit=1001", "?marker=%21"] {
        harness
            .get(Who::Owner, &format!("{path}{bad}"))
            .await
            .expect(400);
    }

    let quota = harness
        .get(Who::Owner, "/v1/cloudimages/quota")
        .await
        .expect(200)
        .json();
    let resources = quota["quotas"]["resources"].as_array().unwrap();
    let of_members = resources.iter().find(|each| each["type"] == "image_member");
    assert_eq!(of_members.unwrap()["quota"], 128);
    let pending = harness
        .get(Who::Member, "/v2/cloudimages?member_status=pending")
        .await
        .expect(200)
        .json();
    assert_eq!(pending["images"][0]["id"], image);
    let shared = harness
        .get(Who::Member, "/v2/cloudimages?__imagetype=private")
        .await
        .expect(200)
        .json();
    assert_eq!(shared["images"], json!([]));
    let bad = harness
        .get(Who::Member, "/v2/cloudimages?member_status=x")
        .await
        .expect(400);
    assert_eq!(error_of(&bad), "IMG.0001");
}
