//! The content of a token, and its expiry.

use local::identity::tokens::LIFETIME;
use serde_json::json;

use super::{
    TOKENS, about, by_name, log_in, names, password, project, rescope, send, token, validate, with,
};
use crate::harness::{ADMIN, Harness, MEMBER, OWNER, THIRD, Who, options};

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let (harness, clock) = Harness::with_clock().await;
    let first = token(&harness, "owner", json!(null)).await;
    clock.forward(LIFETIME - 1);
    let scoped = log_in(&harness, &rescope(&first, project(OWNER)))
        .await
        .expect(201);
    let scoped = scoped.header("x-subject-token").unwrap();
    with(&harness, scoped, "/v2/images").await.expect(200);
    clock.forward(1);
    // A token does not outlive the one that it was issued for.
    with(&harness, scoped, "/v2/images").await.expect(401);
    validate(&harness, scoped).await.expect(401);
    log_in(&harness, &rescope(&first, project(OWNER)))
        .await
        .expect(401);
    let admin = token(&harness, "admin", project(ADMIN)).await;
    send(&harness, "GET", TOKENS, &about(&admin, scoped))
        .await
        .expect(404);
    // Fixed tokens never expire.
    clock.forward(100 * 365 * 24 * 3600);
    harness.get(Who::Owner, "/v2/images").await.expect(200);
}

#[tokio::test]
async fn a_revoked_token_is_no_token() {
    let harness = Harness::new().await;
    let owner = token(&harness, "owner", project(OWNER)).await;
    let member = token(&harness, "member", project(MEMBER)).await;

    // Another user may not even look at it.
    for method in ["GET", "HEAD", "DELETE"] {
        send(&harness, method, TOKENS, &about(&member, &owner))
            .await
            .expect(403);
    }
    let head = send(&harness, "HEAD", TOKENS, &about(&owner, &owner))
        .await
        .expect(200);
    assert_eq!(head.body, "");
    let gone = send(&harness, "DELETE", TOKENS, &about(&owner, &owner))
        .await
        .expect(204);
    assert_eq!(gone.body, "");
    with(&harness, &owner, "/v2/images").await.expect(401);
    validate(&harness, &owner).await.expect(401);
    with(&harness, &member, "/v2/images").await.expect(200);
    // An admin may validate anybody's token.
    let admin = Who::Admin.token().unwrap();
    send(&harness, "DELETE", TOKENS, &about(admin, &owner))
        .await
        .expect(404);
    send(&harness, "GET", TOKENS, &about(admin, &member))
        .await
        .expect(200);
    send(&harness, "DELETE", TOKENS, &about(admin, &member))
        .await
        .expect(204);
    with(&harness, &member, "/v2/images").await.expect(401);
}

#[tokio::test]
async fn an_unscoped_token_is_good_for_finding_a_project_alone() {
    let harness = Harness::new().await;
    for none in [json!(null), json!("unscoped"), json!({"unscoped": {}})] {
        let answer = log_in(&harness, &password(by_name("owner"), "secret", none))
            .await
            .expect(201);
        let said = answer.json();
        for absent in ["project", "roles", "catalog"] {
            assert_eq!(said["token"].get(absent), None);
        }
        let unscoped = answer.header("x-subject-token").unwrap();
        with(&harness, unscoped, "/v2/images").await.expect(401);
        with(&harness, unscoped, "/identity/v3/auth/catalog")
            .await
            .expect(403);
        let projects = with(&harness, unscoped, "/identity/v3/auth/projects")
            .await
            .expect(200);
        assert_eq!(names(&projects.json()["projects"]), ["owner"]);

        let scoped = log_in(&harness, &rescope(unscoped, project(OWNER)))
            .await
            .expect(201);
        let said = scoped.json();
        assert_eq!(said["token"]["methods"], json!(["password", "token"]));
        assert_eq!(said["token"]["audit_ids"].as_array().unwrap().len(), 2);
        let scoped = scoped.header("x-subject-token").unwrap();
        with(&harness, scoped, "/v2/images").await.expect(200);
        with(&harness, scoped, "/identity/v3/auth/catalog")
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_token_says_the_roles_and_those_that_they_imply() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let path = format!("/v2/images/{image}");

    let reader = token(&harness, "owner-reader", project(OWNER)).await;
    let said = validate(&harness, &reader).await.expect(200).json();
    assert_eq!(names(&said["token"]["roles"]), ["reader"]);
    with(&harness, &reader, &path).await.expect(200);
    let headers = [("x-auth-token", &*reader)];
    send(&harness, "DELETE", &path, &headers).await.expect(403);

    let mut options = options();
    options.identity.user[0].grants[0].roles = vec!["admin".to_owned()];
    let harness = Harness::with(options).await;
    let admin = token(&harness, "owner", project(OWNER)).await;
    let said = validate(&harness, &admin).await.expect(200).json();
    assert_eq!(
        names(&said["token"]["roles"]),
        ["admin", "member", "reader"]
    );
}

#[tokio::test]
async fn fixed_tokens_are_tokens_too() {
    let harness = Harness::new().await;
    for (who, user, project) in [(Who::Owner, "owner", "owner"), (Who::Third, "u", THIRD)] {
        let token = who.token().unwrap();
        let said = validate(&harness, token).await.expect(200).json();
        assert_eq!(said["token"]["user"]["name"], user);
        assert_eq!(said["token"]["project"]["name"], project);
        assert_eq!(names(&said["token"]["roles"]), ["member", "reader"]);
        // Clients exchange a token for another one, for the same project.
        let scope = json!({"project": {"id": said["token"]["project"]["id"]}});
        let again = log_in(&harness, &rescope(token, scope)).await.expect(201);
        let again = again.header("x-subject-token").unwrap();
        with(&harness, again, "/v2/images").await.expect(200);
    }
}
