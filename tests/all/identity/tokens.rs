//! The content of a token, and its expiry.

use local::identity::tokens::LIFETIME;
use serde_json::json;

use super::{
    TOKENS, about, by_name, log_in, names, password, project, rescope, send, token, validate, with,
};
use crate::world::{ADMIN, MEMBER, OWNER, THIRD, Who, World, options};

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let (world, clock) = World::with_clock().await;
    let first = token(&world, "owner", json!(null)).await;
    clock.forward(LIFETIME - 1);
    let scoped = log_in(&world, &rescope(&first, project(OWNER)))
        .await
        .expect(201);
    let scoped = scoped.header("x-subject-token").unwrap();
    with(&world, scoped, "/v2/images").await.expect(200);
    clock.forward(1);
    // A token does not outlive the one that it was issued for.
    with(&world, scoped, "/v2/images").await.expect(401);
    validate(&world, scoped).await.expect(401);
    log_in(&world, &rescope(&first, project(OWNER)))
        .await
        .expect(401);
    let admin = token(&world, "admin", project(ADMIN)).await;
    send(&world, "GET", TOKENS, &about(&admin, scoped))
        .await
        .expect(404);
    // Fixed tokens never expire.
    clock.forward(100 * 365 * 24 * 3600);
    world.get(Who::Owner, "/v2/images").await.expect(200);
}

#[tokio::test]
async fn a_revoked_token_is_no_token() {
    let world = World::new().await;
    let owner = token(&world, "owner", project(OWNER)).await;
    let member = token(&world, "member", project(MEMBER)).await;

    // Another user may not even look at it.
    for method in ["GET", "HEAD", "DELETE"] {
        send(&world, method, TOKENS, &about(&member, &owner))
            .await
            .expect(403);
    }
    let head = send(&world, "HEAD", TOKENS, &about(&owner, &owner))
        .await
        .expect(200);
    assert_eq!(head.body, "");
    let gone = send(&world, "DELETE", TOKENS, &about(&owner, &owner))
        .await
        .expect(204);
    assert_eq!(gone.body, "");
    with(&world, &owner, "/v2/images").await.expect(401);
    validate(&world, &owner).await.expect(401);
    with(&world, &member, "/v2/images").await.expect(200);
    // An admin may validate anybody's token.
    let admin = Who::Admin.token().unwrap();
    send(&world, "DELETE", TOKENS, &about(admin, &owner))
        .await
        .expect(404);
    send(&world, "GET", TOKENS, &about(admin, &member))
        .await
        .expect(200);
    send(&world, "DELETE", TOKENS, &about(admin, &member))
        .await
        .expect(204);
    with(&world, &member, "/v2/images").await.expect(401);
}

#[tokio::test]
async fn an_unscoped_token_is_good_for_finding_a_project_alone() {
    let world = World::new().await;
    for none in [json!(null), json!("unscoped"), json!({"unscoped": {}})] {
        let answer = log_in(&world, &password(by_name("owner"), "secret", none))
            .await
            .expect(201);
        let said = answer.json();
        for absent in ["project", "roles", "catalog"] {
            assert_eq!(said["token"].get(absent), None);
        }
        let unscoped = answer.header("x-subject-token").unwrap();
        with(&world, unscoped, "/v2/images").await.expect(401);
        with(&world, unscoped, "/identity/v3/auth/catalog")
            .await
            .expect(403);
        let projects = with(&world, unscoped, "/identity/v3/auth/projects")
            .await
            .expect(200);
        assert_eq!(names(&projects.json()["projects"]), ["owner"]);

        let scoped = log_in(&world, &rescope(unscoped, project(OWNER)))
            .await
            .expect(201);
        let said = scoped.json();
        assert_eq!(said["token"]["methods"], json!(["password", "token"]));
        assert_eq!(said["token"]["audit_ids"].as_array().unwrap().len(), 2);
        let scoped = scoped.header("x-subject-token").unwrap();
        with(&world, scoped, "/v2/images").await.expect(200);
        with(&world, scoped, "/identity/v3/auth/catalog")
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_token_says_the_roles_and_those_that_they_imply() {
    let world = World::new().await;
    let image = world.image(json!({})).await;
    let path = format!("/v2/images/{image}");

    let reader = token(&world, "owner-reader", project(OWNER)).await;
    let said = validate(&world, &reader).await.expect(200).json();
    assert_eq!(names(&said["token"]["roles"]), ["reader"]);
    with(&world, &reader, &path).await.expect(200);
    let headers = [("x-auth-token", &*reader)];
    send(&world, "DELETE", &path, &headers).await.expect(403);

    let mut options = options();
    options.identity.user[0].grants[0].roles = vec!["admin".to_owned()];
    let world = World::with(options).await;
    let admin = token(&world, "owner", project(OWNER)).await;
    let said = validate(&world, &admin).await.expect(200).json();
    assert_eq!(
        names(&said["token"]["roles"]),
        ["admin", "member", "reader"]
    );
}

#[tokio::test]
async fn fixed_tokens_are_tokens_too() {
    let world = World::new().await;
    for (who, user, project) in [(Who::Owner, "owner", "owner"), (Who::Third, "u", THIRD)] {
        let token = who.token().unwrap();
        let said = validate(&world, token).await.expect(200).json();
        assert_eq!(said["token"]["user"]["name"], user);
        assert_eq!(said["token"]["project"]["name"], project);
        assert_eq!(names(&said["token"]["roles"]), ["member", "reader"]);
        // Clients exchange a token for another one, for the same project.
        let scope = json!({"project": {"id": said["token"]["project"]["id"]}});
        let again = log_in(&world, &rescope(token, scope)).await.expect(201);
        let again = again.header("x-subject-token").unwrap();
        with(&world, again, "/v2/images").await.expect(200);
    }
}
