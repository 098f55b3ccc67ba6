//! Logins: tokens for valid ones, refusals for all others.

use serde_json::{Value, json};

use super::{TOKENS, by_name, log_in, names, password, project, rescope, token, validate, with};
use crate::harness::{Harness, MEMBER, OWNER, Who};

#[tokio::test]
async fn a_password_gets_a_token_that_the_api_takes() {
    let (harness, _clock) = Harness::with_clock().await;
    let user_ids = [json!({"id": "u-owner"}), by_name("owner")];
    let domain = json!({"id": "default"});
    let scopes = [
        project(OWNER),
        json!({"project": {"name": "owner", "domain": domain}}),
    ];
    for (user, scope) in user_ids
        .iter()
        .flat_map(|user| scopes.iter().map(move |s| (user, s)))
    {
        let answer = log_in(&harness, &password(user.clone(), "secret", scope.clone())).await;
        let answer = answer.expect(201);
        let said = answer.json();
        let said = &said["token"];
        assert_eq!(said["methods"], json!(["password"]));
        let domain = json!({"id": "default", "name": "Default"});
        assert_eq!(said["user"]["id"], "u-owner");
        assert_eq!(said["user"]["name"], "owner");
        assert_eq!(said["user"]["domain"], domain);
        let found = json!({"id": OWNER, "name": "owner", "domain": domain});
        assert_eq!(said["project"], found);
        assert_eq!(names(&said["roles"]), ["member", "reader"]);
        assert_eq!(said["issued_at"], "2025-10-09T08:53:20.000000Z");
        assert_eq!(said["expires_at"], "2025-10-09T09:53:20.000000Z");
        assert_eq!(said["audit_ids"].as_array().unwrap().len(), 1);

        let token = answer.header("x-subject-token").unwrap();
        with(&harness, token, "/v2/images").await.expect(200);
        let again = validate(&harness, token).await.expect(200);
        assert_eq!(again.header("x-subject-token"), Some(token));
        assert_eq!(again.json(), answer.json());
    }
    let tokens = [
        token(&harness, "owner", project(OWNER)).await,
        token(&harness, "owner", project(OWNER)).await,
    ];
    assert_ne!(tokens[0], tokens[1]);
}

/// As in Keystone. With one copy of a long password for each, a request would take gigabytes.
#[tokio::test]
async fn a_method_that_is_named_again_is_the_same() {
    let harness = Harness::new().await;
    let mut body = password(by_name("owner"), "secret", project(OWNER));
    body["auth"]["identity"]["methods"] = json!(["password", "password", "password"]);
    let said = log_in(&harness, &body).await.expect(201).json();
    assert_eq!(said["token"]["methods"], json!(["password"]));
    let long = "x".repeat(100_000);
    let mut body = password(by_name("owner"), &long, project(OWNER));
    body["auth"]["identity"]["methods"] = json!(vec!["password"; 80_000]);
    log_in(&harness, &body).await.expect(401);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_login_the_refusal_is_the_same() {
    let harness = Harness::new().await;
    let elsewhere = json!({"name": "owner", "domain": {"name": "Elsewhere"}});
    let unscoped = token(&harness, "owner", json!(null)).await;
    let mut two_people = password(by_name("member"), "secret", json!(null));
    two_people["auth"]["identity"]["methods"] = json!(["password", "token"]);
    two_people["auth"]["identity"]["token"] = json!({"id": unscoped});
    let mut other_method = password(by_name("owner"), "secret", json!(null));
    other_method["auth"]["identity"]["methods"] = json!(["password", "totp"]);
    let logins = [
        password(by_name("owner"), "Secret", project(OWNER)),
        password(by_name("owner"), "", project(OWNER)),
        password(by_name("nobody"), "secret", project(OWNER)),
        password(by_name("nobody"), "", project(OWNER)),
        password(json!({"id": "owner"}), "secret", project(OWNER)),
        password(elsewhere.clone(), "secret", project(OWNER)),
        password(by_name("owner"), "secret", project(MEMBER)),
        password(by_name("owner"), "secret", project("nowhere")),
        password(by_name("owner"), "secret", json!({"project": elsewhere})),
        password(
            by_name("owner"),
            "secret",
            json!({"domain": {"id": "default"}}),
        ),
        password(by_name("admin"), "secret", json!({"system": {"all": true}})),
        rescope("a-token-that-nobody-gave", json!(null)),
        rescope(&unscoped, project(MEMBER)),
        two_people,
        other_method,
    ];
    for login in logins {
        let answer = log_in(&harness, &login).await;
        assert_eq!(answer.status, 401, "{login}: {}", answer.body);
        let message = "The request you have made requires authentication.";
        let error = json!({"code": 401, "message": message, "title": "Unauthorized"});
        assert_eq!(answer.json(), json!({"error": error}), "{login}");
        assert_eq!(answer.header("x-subject-token"), None);
        let asks = format!("Keystone uri=\"{}/identity/v3\"", harness.server.url());
        assert_eq!(answer.header("www-authenticate"), Some(&*asks));
    }
}

#[tokio::test]
async fn a_malformed_login_is_told_what_it_lacks() {
    let harness = Harness::new().await;
    let login = |identity: Value| json!({"auth": {"identity": identity}}).to_string();
    let user = |user: Value| login(json!({"methods": ["password"], "password": {"user": user}}));
    let scope = |scope: Value| password(by_name("owner"), "secret", scope).to_string();
    for (body, says) in [
        (String::new(), "JSON"),
        ("{".to_owned(), "JSON"),
        ("[".repeat(5000), "JSON"),
        ("5".to_owned(), "auth in request body"),
        ("{}".to_owned(), "auth in request body"),
        (r#"{"auth": "x"}"#.to_owned(), "identity in auth"),
        (login(json!({})), "methods"),
        (login(json!({"methods": "password"})), "methods"),
        (login(json!({"methods": []})), "methods"),
        (login(json!({"methods": [5]})), "methods"),
        (
            login(json!({"methods": ["password"]})),
            "password in identity",
        ),
        (login(json!({"methods": ["token"]})), "token in identity"),
        (
            login(json!({"methods": ["token"], "token": {"id": 5}})),
            "id in token",
        ),
        (
            user(json!({"name": "owner", "password": "hush-hush"})),
            "domain in user",
        ),
        (user(json!({"id": "u-owner"})), "password in user"),
        (
            user(json!({"id": "u-owner", "password": ["hush-hush"]})),
            "password in user",
        ),
        (user(json!({"password": "hush-hush"})), "id or name in user"),
        (
            user(json!({"name": "o", "domain": {}, "password": "hush-hush"})),
            "id or name in domain",
        ),
        (scope(json!("everything")), "scope"),
        (scope(json!({})), "project"),
        (scope(json!({"project": {}})), "id or name in project"),
        (
            scope(json!({"project": {"name": "owner"}})),
            "domain in project",
        ),
    ] {
        let answer = harness
            .send(Who::NoToken, "POST", TOKENS, Some(&body))
            .await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        let message = answer.text("/error/message");
        assert!(message.contains(says), "{body}: {message}");
        assert!(!message.contains("hush-hush"), "{message}");
        assert_eq!(answer.json()["error"]["code"], 400);
        assert_eq!(answer.json()["error"]["title"], "Bad Request");
    }
    let large = " ".repeat(1024 * 1024 + 1);
    harness
        .send(Who::NoToken, "POST", TOKENS, Some(&large))
        .await
        .expect(413);
}
