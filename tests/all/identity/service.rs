//! The identity service's paths, catalog and headers.

use local::options::Options;
use serde_json::{Value, json};

use super::{TOKENS, by_name, names, password, project, with};
use crate::harness::{Harness, MEMBER, OWNER, Who, options};

/// Type, interface and URL of each endpoint.
fn endpoints(catalog: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for service in catalog.as_array().unwrap() {
        for end in service["endpoints"].as_array().unwrap() {
            let (kind, interface) = (&service["type"], &end["interface"]);
            found.push((text(kind), text(interface), text(&end["url"])));
        }
    }
    found
}

#[tokio::test]
async fn the_catalog_is_at_the_callers_own_address() {
    let harness = Harness::new().await;
    let login = password(by_name("owner"), "secret", project(OWNER))
        .to_string()
        .into_bytes();
    let host = [("host", "cloud.example:8080")];
    let answer = harness
        .send_with(Who::NoToken, "POST", TOKENS, &host, Some(login.clone()))
        .await;
    let said = answer.expect(201).json();
    let found = endpoints(&said["token"]["catalog"]);
    for interface in ["public", "internal", "admin"] {
        for (kind, url) in [
            ("image", "http://cloud.example:8080"),
            ("identity", "http://cloud.example:8080/identity/v3"),
        ] {
            assert!(found.contains(&(kind.to_owned(), interface.to_owned(), url.to_owned())));
        }
    }
    assert_eq!(found.len(), 6);
    let token = Who::Owner.token().unwrap();
    let catalog = with(&harness, token, "/identity/v3/auth/catalog")
        .await
        .expect(200)
        .json();
    let here = endpoints(&catalog["catalog"]);
    assert!(
        here.iter()
            .all(|end| end.2.starts_with(&harness.server.url())),
        "{here:?}"
    );

    let path = format!("{TOKENS}?nocatalog");
    let answer = harness
        .send_with(Who::NoToken, "POST", &path, &[], Some(login))
        .await
        .expect(201);
    assert_eq!(answer.json()["token"].get("catalog"), None);
}

#[tokio::test]
async fn versions_projects_and_what_is_not_there() {
    let harness = Harness::new().await;
    for path in ["/identity", "/identity/"] {
        let answer = harness.get(Who::NoToken, path).await.expect(300);
        let version = answer.json()["versions"]["values"][0].clone();
        assert_eq!(version["id"], "v3.14");
        let href = format!("{}/identity/v3/", harness.server.url());
        assert_eq!(version["links"][0]["href"], json!(href));
        for path in ["/identity/v3", "/identity/v3/"] {
            let answer = harness.get(Who::NoToken, path).await.expect(200);
            assert_eq!(answer.json()["version"], version);
        }
    }
    let all = harness
        .get(Who::Owner, "/identity/v3/projects")
        .await
        .expect(200)
        .json();
    assert_eq!(
        names(&all["projects"]),
        ["owner", "member", "member2", "admin"]
    );
    let path = "/identity/v3/projects?name=member&domain_id=default";
    let one = harness.get(Who::Owner, path).await.expect(200).json();
    assert_eq!(one["projects"][0]["id"], MEMBER);
    assert_eq!(names(&one["projects"]), ["member"]);
    let path = format!("/identity/v3/projects/{MEMBER}");
    let one = harness.get(Who::Owner, &path).await.expect(200).json();
    assert_eq!(one["project"]["name"], "member");
    for path in [
        "projects",
        &*format!("projects/{MEMBER}"),
        "auth/projects",
        "auth/catalog",
    ] {
        let path = format!("/identity/v3/{path}");
        harness.get(Who::NoToken, &path).await.expect(401);
        harness.get(Who::BadToken, &path).await.expect(401);
        let answer = harness.post(Who::Admin, &path, json!({})).await.expect(405);
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    for path in [
        "projects/member",
        "projects/%FF",
        "nonsense",
        "auth/tokens/more",
    ] {
        let answer = harness
            .get(Who::Owner, &format!("/identity/v3/{path}"))
            .await
            .expect(404);
        assert_eq!(answer.json()["error"]["title"], "Not Found");
    }
    harness
        .get(Who::Owner, "/identity/v2.0/tokens")
        .await
        .expect(404);
    let answer = harness.put(Who::Owner, TOKENS, json!({})).await.expect(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, DELETE"));
    // No subject, or an unknown one.
    harness.get(Who::Owner, TOKENS).await.expect(404);
    let headers = [("x-subject-token", "a-token-that-nobody-gave")];
    harness
        .send_with(Who::Owner, "GET", TOKENS, &headers, None)
        .await
        .expect(404);
    harness
        .send_with(Who::BadToken, "GET", TOKENS, &headers, None)
        .await
        .expect(401);
    // A path that only begins like the service's belongs to the API.
    let answer = harness.get(Who::NoToken, "/identityx").await.expect(300);
    assert_eq!(answer.json()["versions"][0]["status"], "CURRENT");
}

#[tokio::test]
async fn headers_that_speak_of_identity_count_for_nothing() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let path = format!("/v2/images/{image}");
    let forged = [
        ("x-identity-status", "Confirmed"),
        ("x-project-id", OWNER),
        ("x-tenant-id", OWNER),
        ("x-user-id", "u-owner"),
        ("x-roles", "admin,member,reader"),
        ("x-role", "admin"),
        ("x-is-admin-project", "True"),
        ("x-service-token", "admin-token-0123456789abcdef"),
    ];
    for (who, method, status) in [
        (Who::NoToken, "GET", 401),
        (Who::BadToken, "GET", 401),
        (Who::Third, "GET", 404),
        (Who::OwnerReader, "DELETE", 403),
    ] {
        harness
            .send_with(who, method, &path, &forged, None)
            .await
            .expect(status);
    }
    let answer = harness
        .send_with(Who::Third, "GET", "/v2/images", &forged, None)
        .await;
    assert_eq!(answer.expect(200).json()["images"], json!([]));
    let path = "/identity/v3/projects";
    harness
        .send_with(Who::NoToken, "GET", path, &forged, None)
        .await
        .expect(401);
    let owner = [("x-subject-token", Who::Owner.token().unwrap())];
    let headers = [&forged[..], &owner[..]].concat();
    harness
        .send_with(Who::Third, "GET", TOKENS, &headers, None)
        .await
        .expect(403);
}

/// Everybody knows the demo users, tokens and keys. A page from elsewhere, in a browser on this machine, reaches the
/// server by a name of its own that leads here, and may read what is answered to that name.
#[tokio::test]
async fn the_identities_of_this_machine_are_not_for_pages_from_elsewhere() {
    let harness = Harness::with(Options {
        remote_identity: false,
        ..options()
    })
    .await;
    let login = password(by_name("owner"), "secret", project(OWNER));
    let login = Some(login.to_string().into_bytes());
    let signed = "SDK-HMAC-SHA256 Access=A, SignedHeaders=host;x-sdk-date, Signature=0";
    let port = harness.address().port();
    for (host, is_here) in [
        (format!("localhost:{port}"), true),
        (format!("127.0.0.1:{port}"), true),
        (format!("[::1]:{port}"), true),
        (format!("evil.example:{port}"), false),
        (format!("localhost.evil.example:{port}"), false),
    ] {
        let (fine, none) = match is_here {
            true => (200, 401),
            false => (403, 403),
        };
        let by_key = ("authorization", signed);
        let host = ("host", host.as_str());
        for (who, path, headers, status) in [
            (Who::Owner, "/v2/images", vec![host], fine),
            (Who::Admin, "/v2/images", vec![host], fine),
            (Who::Admin, "/metrics", vec![host], fine),
            (Who::Owner, "/identity/v3/auth/projects", vec![host], fine),
            (Who::NoToken, "/v2/images", vec![host, by_key], none),
            // What nobody needs a token for.
            (Who::NoToken, "/versions", vec![host], 200),
            (Who::NoToken, "/docs", vec![host], 200),
        ] {
            let answer = harness.send_with(who, "GET", path, &headers, None).await;
            assert_eq!(answer.status, status, "{who:?} {path} {headers:?}");
        }
        let (host, login) = ([host], login.clone());
        let answer = harness.send_with(Who::NoToken, "POST", TOKENS, &host, login);
        let status = if is_here { 201 } else { 403 };
        assert_eq!(answer.await.status, status, "{host:?}");
    }
}
