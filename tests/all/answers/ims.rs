//! The lists and the quota of the IMS API.

use serde_json::{Value, json};

use crate::harness::{Harness, MEMBER, MEMBER2, OWNER, THIRD, Who};

#[tokio::test]
async fn a_member_has_its_type_and_its_list_a_schema() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let list = format!("/v1/{OWNER}/cloudimages/{image}/members");
    let answer = harness.get(Who::Owner, &list).await.expect(200).json();
    assert_eq!(answer["schema"], "/v2/schemas/members");
    assert_eq!(answer["members"][0]["member_type"], "project");
    let one = harness.get(Who::Owner, &format!("{list}/{MEMBER}")).await;
    assert_eq!(one.expect(200).text("/member_type"), "project");
    // The Image v2 form has no member_type.
    let path = format!("/v2/images/{image}/members");
    let v2 = harness.get(Who::Owner, &path);
    assert!(v2.await.json()["members"][0].get("member_type").is_none());
}

#[tokio::test]
async fn a_page_of_members_has_500_unless_asked_otherwise() {
    let mut options = crate::harness::options();
    options.member_quota = -1;
    let harness = Harness::with(options).await;
    let image = harness.image(json!({})).await;
    let projects: Vec<String> = (0..501).map(|number| format!("p{number}")).collect();
    let batch = json!({"images": [image], "projects": projects});
    let job = harness.post(Who::Owner, "/v1/cloudimages/members", batch);
    let job = job.await.expect(200).text("/job_id");
    assert_eq!(harness.ended(Who::Owner, &job).await["status"], "SUCCESS");
    let list = format!("/v1/{OWNER}/cloudimages/{image}/members");
    let page = harness.get(Who::Owner, &list).await.expect(200);
    assert_eq!(page.json()["page_info"]["current_count"], 500);
    let next = format!("{list}?marker={}", page.text("/page_info/next_marker"));
    let page = harness.get(Who::Owner, &next).await.expect(200).json();
    assert_eq!(page["page_info"], json!({"current_count": 1}));
}

#[tokio::test]
async fn each_image_says_whose_it_is() {
    let harness = Harness::new().await;
    let own = harness.image(json!({"name": "own"})).await;
    harness.share_accepted(&own, Who::Member).await;
    let public = json!({"name": "public", "visibility": "public"});
    harness
        .post(Who::Admin, "/v2/images", public)
        .await
        .expect(201);
    let types = async |who: Who| {
        let list = harness
            .get(who, "/v2/cloudimages?sort=name:asc")
            .await
            .json();
        let images = list["images"].as_array().unwrap().clone();
        images
            .iter()
            .map(|image| format!("{} {}", image["name"], image["__imagetype"]))
            .collect::<Vec<_>>()
    };
    let expected = |of_own: &str| {
        vec![
            format!("\"own\" \"{of_own}\""),
            "\"public\" \"gold\"".to_owned(),
        ]
    };
    assert_eq!(types(Who::Owner).await, expected("private"));
    assert_eq!(types(Who::Member).await, expected("shared"));
}

/// Asking for one type gives the images of that type in the list without it, with any other arguments.
#[tokio::test]
async fn a_list_of_one_type_is_a_part_of_the_list() {
    let harness = Harness::new().await;
    for (who, visibility) in [
        (Who::Owner, "private"),
        (Who::Member, "community"),
        (Who::Owner, "community"),
        (Who::Admin, "public"),
        (Who::Admin, "private"),
    ] {
        let body = json!({"name": "n", "visibility": visibility});
        harness.post(who, "/v2/images", body).await.expect(201);
    }
    for member in [Who::Member, Who::Member2] {
        let image = harness.image(json!({})).await;
        harness.share_accepted(&image, member).await;
    }
    let pending = harness.image(json!({})).await;
    harness.share(&pending, MEMBER).await.expect(200);

    let list = async |who: Who, query: &str| -> Vec<Value> {
        let path = format!("/v2/cloudimages?{query}");
        let answer = harness.get(who, &path).await.expect(200).json();
        answer["images"].as_array().unwrap().clone()
    };
    let mut found = 0;
    for who in [Who::Owner, Who::Member, Who::Third, Who::Admin] {
        for query in [
            "limit=25",
            "visibility=all",
            "visibility=private",
            "visibility=shared",
            "visibility=community",
            "visibility=public",
            "member_status=pending",
            "name=n",
            "sort=name:asc",
        ] {
            let all = list(who, query).await;
            for image_type in ["gold", "private", "shared"] {
                let mut expected = all.clone();
                expected.retain(|image| image["__imagetype"] == image_type);
                found += expected.len();
                let query = format!("{query}&__imagetype=x&__imagetype={image_type}");
                assert_eq!(list(who, &query).await, expected, "{who:?} {query}");
            }
        }
    }
    assert!(found > 50, "{found}");
}

/// As the provider of Terraform asks: it follows `next`, and means all enterprise projects.
#[tokio::test]
async fn a_list_leads_to_its_next_page() {
    let harness = Harness::new().await;
    for name in ["a", "b", "c"] {
        harness.image(json!({"name": name})).await;
    }
    let mut path =
        "/v2/cloudimages?__imagetype=private&enterprise_project_id=all_granted_eps&limit=2&\
                    sort_key=name&sort_dir=asc&status=queued"
            .to_owned();
    let mut names = Vec::new();
    loop {
        let page = harness.get(Who::Owner, &path).await.expect(200).json();
        let images = page["images"].as_array().unwrap();
        names.extend(images.iter().map(|image| image["name"].clone()));
        let marker = page["page_info"].get("next_marker");
        assert_eq!(marker.is_some(), page.get("next").is_some());
        let Some(next) = page.get("next") else { break };
        path = next.as_str().unwrap().to_owned();
        assert!(path.ends_with(&format!("&marker={}", marker.unwrap().as_str().unwrap())));
    }
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn the_quota_counts_what_the_project_has() {
    let harness = Harness::new().await;
    for number in 0..3 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        harness.share(&image, MEMBER2).await.expect(200);
        if number > 0 {
            harness
                .answer(Who::Member, &image, MEMBER, "accepted")
                .await
                .expect(200);
        }
    }
    let used = async |who: Who| {
        let before = harness.store_requests();
        let quota = harness.get(who, "/v1/cloudimages/quota").await.expect(200);
        let requests = harness.store_requests();
        let queries = requests["Query"] - before.get("Query").copied().unwrap_or(0);
        assert_eq!(queries, 4, "{requests:?}");
        let quota = quota.json();
        let resources = quota["quotas"]["resources"].as_array().unwrap().clone();
        resources
            .iter()
            .map(|one| format!("{} {} of {}", one["type"], one["used"], one["quota"]))
            .collect::<Vec<_>>()
    };
    let expected = |images: u32, shared: u32, members: u32| {
        vec![
            format!("\"image\" {images} of -1"),
            format!("\"image_shared\" {shared} of -1"),
            format!("\"image_member\" {members} of 128"),
        ]
    };
    assert_eq!(used(Who::Owner).await, expected(3, 0, 0));
    assert_eq!(used(Who::Member).await, expected(0, 2, 3));
    assert_eq!(used(Who::Third).await, expected(0, 0, 0));
    let refused = harness.get(Who::OwnerNoRole, "/v1/cloudimages/quota").await;
    assert_eq!(refused.expect(403).text("/error/code"), "IMG.0026");
}

#[tokio::test]
async fn a_batch_that_asks_for_what_is_not_done_says_so() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let share = json!({"images": [image], "projects": [THIRD]});
    let answer = json!({"images": [image], "project_id": OWNER, "status": "accepted"});
    for (method, body) in [("POST", &share), ("PUT", &answer), ("DELETE", &share)] {
        for key in ["domains", "organizations", "project", "Images", ""] {
            for value in [json!(["d"]), Value::Null] {
                let mut body = body.clone();
                body[key] = value;
                let sent = Some(body.to_string());
                let path = "/v1/cloudimages/members";
                let refused = harness
                    .send(Who::Owner, method, path, sent.as_deref())
                    .await;
                let refused = refused.expect(400);
                assert_eq!(refused.text("/error/code"), "IMG.0001");
                assert!(refused.text("/error/message").starts_with(key), "{key}");
            }
        }
    }
    let vault = json!({"images": [image], "projects": [THIRD], "vault_id": "v"});
    let refused = harness.post(Who::Owner, "/v1/cloudimages/members", vault);
    refused.await.expect(400);
}
