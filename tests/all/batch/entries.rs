//! Entries of a batch: each has its own result.

use crate::harness::{Harness, MEMBER, MEMBER2, OWNER, Who, options};
use local::options::Options;
use serde_json::{Value, json};
use shared::domain::id::ProjectId;

use super::{UNKNOWN, codes, error_of, results, run};

#[tokio::test]
async fn one_unknown_image_fails_alone() {
    let harness = Harness::new().await;
    let (a, b) = (
        harness.image(json!({})).await,
        harness.image(json!({})).await,
    );
    for image in [&a, &b] {
        harness.share(image, MEMBER).await.expect(200);
    }
    let body =
        json!({"images": [a, UNKNOWN, b, "nonsense"], "project_id": MEMBER, "status": "accepted"});
    let job = run(&harness, Who::Member, "PUT", body).await;
    assert_eq!(job["status"], "FAIL");
    assert_eq!(job["job_type"], "imsUpdateImageMembersJob");
    assert_eq!(job["error_code"], "IMG.0027");
    assert_eq!(job["fail_reason"], "2 of 4 entries failed");
    assert_eq!(job["entities"]["process_percent"], 1.0);
    assert_eq!(job["entities"]["subJobId"], "");
    assert!(job["end_time"].as_str().unwrap().len() == "2024-11-06T06:24:23.773Z".len());
    assert_eq!(codes(&job), ["success", "IMG.0027", "success", "IMG.0066"]);
    let order: Vec<_> = results(&job).into_iter().map(|row| row.0).collect();
    assert_eq!(order, [a.as_str(), UNKNOWN, &b, "nonsense"]);
    assert_eq!(harness.listed(Who::Member, "").await.len(), 2);

    // Only its own project and an admin see the job.
    let id = job["job_id"].as_str().unwrap();
    let mine = format!("/v1/{MEMBER}/jobs/{id}");
    assert_eq!(
        harness.get(Who::Member, &mine).await.expect(200).json(),
        job
    );
    harness.get(Who::Admin, &mine).await.expect(200);
    for (who, path) in [
        (Who::Owner, mine.clone()),
        (Who::Owner, format!("/v1/{OWNER}/jobs/{id}")),
        (Who::Owner, format!("/v1/cloudimages/job/{id}")),
        (Who::Member, format!("/v1/{OWNER}/jobs/{id}")),
        (Who::Member, format!("/v1/{MEMBER}/jobs/{}", "0".repeat(32))),
        (Who::Member, format!("/v1/{MEMBER}/jobs/not-an-id")),
        (
            Who::Member,
            format!("/v1/{MEMBER}/jobs/{}", id.to_uppercase()),
        ),
    ] {
        assert_eq!(
            error_of(&harness.get(who, &path).await.expect(404)),
            "IMG.0023",
            "{path}"
        );
    }
}

#[tokio::test]
async fn images_are_shared_and_unshared_by_the_thousand() {
    let harness = Harness::new().await;
    let mut images = Vec::new();
    for _ in 0..12 {
        images.push(harness.image(json!({})).await);
    }
    let projects: Vec<String> = (0..120).map(|i| format!("p{i}")).collect();
    let body = json!({"images": images, "projects": projects});
    let job = run(&harness, Who::Owner, "POST", body.clone()).await;
    assert_eq!(job["status"], "SUCCESS", "{job}");
    assert_eq!(job["job_type"], "imsAddImageMembersJob");
    assert_eq!(job["error_code"], Value::Null);
    // 1440 rows: the first page has 1000, in the order of the request.
    let id = job["job_id"].as_str().unwrap();
    assert_eq!(results(&job).len(), 1000);
    let next = job["entities"]["page_info"]["next_marker"]
        .as_str()
        .unwrap();
    let rest = harness
        .get(Who::Owner, &format!("/v1/{OWNER}/jobs/{id}?marker={next}"))
        .await
        .json();
    let mut rows = results(&job);
    rows.extend(results(&rest));
    assert_eq!(rest["entities"]["page_info"].get("next_marker"), None);
    let expected: Vec<_> = images
        .iter()
        .flat_map(|i| projects.iter().map(move |p| (i.clone(), p.clone())))
        .collect();
    assert_eq!(
        rows.iter()
            .map(|r| (r.0.clone(), r.1.clone()))
            .collect::<Vec<_>>(),
        expected
    );
    // A marker after the last row, up to the largest number, gives an empty page.
    for behind in ["1440", "18446744073709551615"] {
        let marker = shared::http::page::encode_marker(behind);
        let path = format!("/v1/{OWNER}/jobs/{id}?marker={marker}");
        let page = harness.get(Who::Owner, &path).await.expect(200).json();
        assert_eq!(results(&page).len(), 0, "{behind}");
    }

    // Repeated: existing members count as a success.
    let again = run(&harness, Who::Owner, "POST", body.clone()).await;
    assert_eq!(again["status"], "SUCCESS");
    // The quota is exact in a batch too: 128 - 120 members fit.
    let more: Vec<String> = (0..10).map(|i| format!("more{i}")).collect();
    let over = run(
        &harness,
        Who::Owner,
        "POST",
        json!({"images": [images[0]], "projects": more}),
    )
    .await;
    let mut expected = vec!["success"; 8];
    expected.extend(["IMG.0088"; 2]);
    assert_eq!(codes(&over), expected);

    let removed = run(&harness, Who::Owner, "DELETE", body.clone()).await;
    assert_eq!(removed["status"], "SUCCESS", "{removed}");
    assert_eq!(removed["job_type"], "imsDelImageMembersJob");
    let absent = run(
        &harness,
        Who::Owner,
        "DELETE",
        json!({"images": [images[1]], "projects": ["p0"]}),
    )
    .await;
    // The state is the one that the request wants.
    assert_eq!(codes(&absent), ["success"]);
    assert_eq!(absent["entities"]["results"][0]["changed"], false);
    assert_eq!(harness.member_count(&images[0]).await, 8);
}

#[tokio::test]
async fn every_refusal_of_an_entry_has_its_code() {
    let harness = Harness::new().await;
    let image = |visibility: &'static str| {
        let harness = &harness;
        async move {
            let id = harness.image(json!({})).await;
            harness.share(&id, MEMBER).await.expect(200);
            harness.set_visibility(Who::Admin, &id, visibility).await;
            id
        }
    };
    let (shared, private, public, community) = (
        image("shared").await,
        image("private").await,
        image("public").await,
        image("community").await,
    );
    let images = json!([shared, private, public, community]);
    let add = |project: &str| json!({"images": images, "projects": [project]});

    let owner = run(&harness, Who::Owner, "POST", add("new")).await;
    assert_eq!(
        codes(&owner),
        ["success", "IMG.0046", "IMG.0089", "IMG.0046"]
    );
    let itself = run(&harness, Who::Owner, "POST", add(OWNER)).await;
    assert_eq!(codes(&itself)[0], "IMG.0076");
    let member = run(&harness, Who::Member, "POST", add("other")).await;
    assert_eq!(
        codes(&member),
        ["IMG.0047", "IMG.0027", "IMG.0089", "IMG.0046"]
    );
    let stranger = run(&harness, Who::Third, "DELETE", add("other")).await;
    assert_eq!(
        codes(&stranger),
        ["IMG.0027", "IMG.0027", "IMG.0089", "IMG.0046"]
    );
    let admin = run(&harness, Who::Admin, "POST", add("by-admin")).await;
    assert_eq!(
        codes(&admin),
        ["success", "IMG.0046", "IMG.0089", "IMG.0046"]
    );

    let accept =
        |project: &str| json!({"images": images, "project_id": project, "status": "accepted"});
    let member = run(&harness, Who::Member, "PUT", accept(MEMBER)).await;
    assert_eq!(
        codes(&member),
        ["success", "IMG.0027", "IMG.0089", "IMG.0046"]
    );
    let stranger = run(&harness, Who::Third, "PUT", accept(crate::harness::THIRD)).await;
    assert_eq!(codes(&stranger)[0], "IMG.0027");
    let owner = run(&harness, Who::Owner, "PUT", accept(OWNER)).await;
    assert_eq!(codes(&owner)[..2], ["IMG.0076", "IMG.0046"]);
    let admin = run(&harness, Who::Admin, "PUT", accept(MEMBER)).await;
    assert_eq!(codes(&admin)[0], "success");
}

#[tokio::test]
async fn an_image_from_a_backup_is_accepted_into_a_vault() {
    let harness = Harness::new().await;
    let image = harness.image(json!({"__backup_id": "b-1"})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let body = |vault: Value| json!({"images": [image], "project_id": MEMBER, "status": "accepted", "vault_id": vault});
    let none = run(&harness, Who::Member, "PUT", body(Value::Null)).await;
    assert_eq!(codes(&none), ["IMG.0184"]);
    let odd = run(&harness, Who::Member, "PUT", body(json!("my vault"))).await;
    assert_eq!(codes(&odd), ["IMG.0188"]);
    let vault = "384a9d5e-8b2f-4d3c-9a57-1b1c6f2d3e4f";
    let good = run(&harness, Who::Member, "PUT", body(json!(vault))).await;
    assert_eq!(codes(&good), ["success"]);
    let member = ProjectId::parse(MEMBER).unwrap();
    let id = shared::domain::id::ImageId::canonical(&image).unwrap();
    let facts = harness
        .server
        .app
        .store()
        .facts(id, &[&member])
        .await
        .unwrap();
    let stored = facts
        .membership(&member)
        .unwrap()
        .clone()
        .present()
        .unwrap();
    assert_eq!(stored.vault_id.as_deref(), Some(vault));
    // Rejecting needs no vault.
    let reject = json!({"images": [image], "project_id": MEMBER, "status": "rejected"});
    assert_eq!(
        codes(&run(&harness, Who::Member, "PUT", reject).await),
        ["success"]
    );
}

/// As in the v2 API, a member may end its own membership only if the operator permits it.
#[tokio::test]
async fn a_member_leaves_by_a_batch_as_by_a_call() {
    for may_leave in [false, true] {
        let harness = Harness::with(Options {
            member_may_leave: may_leave,
            ..options()
        })
        .await;
        let (image, hidden) = (
            harness.image(json!({})).await,
            harness.image(json!({})).await,
        );
        for member in [MEMBER, MEMBER2] {
            harness.share(&image, member).await.expect(200);
        }
        let body = json!({"images": [image, hidden], "projects": [MEMBER, MEMBER2]});
        let job = run(&harness, Who::Member, "DELETE", body).await;
        let own = if may_leave { "success" } else { "IMG.0047" };
        assert_eq!(codes(&job), [own, "IMG.0047", "IMG.0027", "IMG.0027"]);
        assert_eq!(
            harness.member_count(&image).await,
            if may_leave { 1 } else { 2 }
        );
        let path = format!("/v2/images/{image}");
        let seen = harness.get(Who::Member, &path).await.status;
        assert_eq!(seen, if may_leave { 404 } else { 200 });
        harness.get(Who::Member2, &path).await.expect(200);
    }
}

/// SQS replaces these two in a message: the image would be shared with another project. This queue refuses them.
#[tokio::test]
async fn an_id_with_characters_that_no_queue_takes_is_shared_with_as_it_is() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let projects = ["a\u{ffff}", "a\u{fffe}", "a\u{fffd}"];
    let body = json!({"images": [image, "\u{ffff}"], "projects": projects});
    let job = run(&harness, Who::Owner, "POST", body).await;
    let done = ["success", "IMG.0066"].map(|code| [code; 3]);
    assert_eq!(codes(&job), done.concat());
    let members = harness
        .get(Who::Owner, &format!("/v2/images/{image}/members"))
        .await;
    let members = members.expect(200).json();
    let rows = members["members"].as_array().unwrap().iter();
    let mut found: Vec<_> = rows.map(|row| row["member_id"].as_str().unwrap()).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(found, projects);
}
