//! Spellings of a path.

use serde_json::json;

use crate::harness::{Harness, MEMBER, OWNER, Who};

#[tokio::test]
async fn every_spelling_of_a_path_is_the_same_path() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, "a/b").await.expect(200);
    for path in [
        "/v2/images".to_owned(),
        "//v2/images".to_owned(),
        "/v2///images".to_owned(),
        "/v2.9/images".to_owned(),
        "/v2/%69mages".to_owned(),
        "/%762/images".to_owned(),
        "/v2%2Fimages".to_owned(),
        "/%2Fv2/images".to_owned(),
        "/v2/./images".to_owned(),
        "/v2/../v2/images".to_owned(),
        format!("/v2/images//{image}"),
        format!("/v2/images%2f{image}"),
        format!("/v2/images/{image}//members"),
        format!("/v2//images//{image}/%6Dembers"),
        // The id of a member may contain a slash.
        format!("/v2/images/{image}/members/a%2Fb"),
    ] {
        let answer = harness.get(Who::Owner, &path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        // No spelling avoids the token.
        let answer = harness.get(Who::NoToken, &path).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
    }
    harness
        .post(Who::Owner, "/v2//images", json!({}))
        .await
        .expect(201);
    let path = format!("/v2/images/{image}//members");
    harness
        .post(Who::Owner, &path, json!({"member": MEMBER}))
        .await
        .expect(200);
}

#[tokio::test]
async fn what_only_looks_like_a_path_of_ours_is_not() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for (method, path, status) in [
        ("POST", "/v2/images/.".to_owned(), 404),
        ("POST", "/v2/images/..".to_owned(), 404),
        ("POST", "/v2/images/".to_owned(), 404),
        ("GET", "/v2/images/.".to_owned(), 404),
        ("GET", format!("/v2/images/{image}/."), 404),
        ("GET", format!("/v2/images/{image}/.."), 404),
        ("GET", format!("/v2/images/{image}/members/"), 404),
        ("POST", "/v2/images//members".to_owned(), 405),
        // The id of an image contains no slash, which is checked before the body.
        ("GET", "/v2/images/a%2Fb".to_owned(), 404),
        ("POST", "/v2/images/a%2Fb/members".to_owned(), 404),
        ("PUT", "/v2/images/a%2Fb/members/c".to_owned(), 404),
        ("PATCH", "/v2/images/a%2Fb".to_owned(), 404),
        ("PUT", format!("/v2/images/{image}/tags/a%2Fb"), 404),
        ("POST", "/v2/schemas/Image".to_owned(), 404),
        ("POST", "/v2/schemas/image".to_owned(), 405),
    ] {
        let answer = harness.send(Who::Owner, method, &path, Some("{")).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
    assert_eq!(harness.listed(Who::Owner, "").await, [image]);
}

#[tokio::test]
async fn a_path_that_is_not_utf8_is_a_400_in_both_families() {
    let harness = Harness::new().await;
    for who in [Who::Owner, Who::NoToken] {
        for path in [
            "/%FF",
            "/v2/%FF",
            "/v2/%FF/images",
            "/v2/images/%FF",
            "/v2/images/%FF/members/x",
            "/v2/images/x/members/%ED%A0%80",
            "/v2/nonsense/%C3%28",
        ] {
            let sent = [("accept", "application/json")];
            let answer = harness.send_with(who, "GET", path, &sent, None).await;
            let answer = answer.expect(400);
            assert_eq!(answer.text("/title"), "Bad Request", "{path}");
        }
        for path in [
            "/v1/%FF/jobs".to_owned(),
            "/v1/cloudimages/job/%FF".to_owned(),
            format!("/v1/{OWNER}/cloudimages/%FF/members"),
            "/v1/nonsense/%FF".to_owned(),
        ] {
            let answer = harness.get(who, &path).await.expect(400);
            assert_eq!(answer.text("/error/code"), "IMG.0001", "{path}");
        }
    }
}

#[tokio::test]
async fn the_accept_header_names_a_version_only_where_the_path_does_not() {
    let harness = Harness::new().await;
    let accept = |version: &'static str| [("accept", version)];
    for (path, version, status) in [
        ("/images", "application/vnd.openstack.images-v2", 200),
        ("/images", "application/vnd.openstack.images-v2.9", 200),
        ("/images", "application/vnd.openstack.images-v1", 300),
        ("/images", "application/json", 300),
        ("/v2/images", "application/vnd.openstack.images-v2", 200),
        ("/v2/images", "application/vnd.openstack.images-v1", 200),
    ] {
        let sent = accept(version);
        let answer = harness
            .send_with(Who::Owner, "GET", path, &sent, None)
            .await;
        assert_eq!(answer.status, status, "{path} {version}: {}", answer.body);
    }
    let sent = accept("application/vnd.openstack.images-v2");
    let without = harness.send_with(Who::NoToken, "GET", "/images", &sent, None);
    without.await.expect(401);
}
