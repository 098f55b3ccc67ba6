//! The rights of a token: its project, its roles, its access rules; and how many tokens are
//! validated at once.

use std::time::Duration;

use authorizer::{AuthError, Authorizer};
use serde_json::json;
use shared::domain::policy::Role;
use shared::domain::secret::Secret;
use shared::domain::time::Clock;

use crate::authorizer::{LATER, asked, authorizer, harness, owner, unavailable};
use crate::harness::{Harness, ManualClock, OWNER, Who, options};
use crate::keystone::{Behaviour, FakeKeystone, restricted_token, token};

#[tokio::test]
async fn a_flood_of_unknown_tokens_is_bounded_and_costs_no_known_one() {
    let (authorizer, keystone, _) = authorizer().await;
    authorizer.identify(owner()).await.unwrap();
    keystone.counts();
    keystone.is(Behaviour::Slow(Duration::from_millis(10)));
    let tokens: Vec<String> = (0..64).map(|n| format!("random-{n}")).collect();
    let flood = tokens.iter().map(|id| authorizer.identify(id.as_bytes()));
    for outcome in futures::future::join_all(flood).await {
        assert_eq!(outcome, Err(AuthError::Unauthorized));
    }
    assert_eq!(keystone.counts(), asked(0, 64));
    let most = keystone.most_at_once();
    assert!((2..=16).contains(&most), "{most} questions at once");
    // A repetition costs nothing, and the valid token is still cached.
    for id in &tokens {
        let again = authorizer.identify(id.as_bytes()).await;
        assert_eq!(again, Err(AuthError::Unauthorized));
    }
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(0, 0));
}

#[tokio::test]
async fn a_token_that_many_send_at_once_is_asked_about_a_few_times() {
    let (authorizer, keystone, _) = authorizer().await;
    keystone.is(Behaviour::Slow(Duration::from_millis(20)));
    let all = (0..100).map(|_| authorizer.identify(owner()));
    for outcome in futures::future::join_all(all).await {
        outcome.unwrap();
    }
    let asked = keystone.counts().validations;
    assert!(asked <= 16, "{asked} questions");
}

/// A token that cannot be validated in time is not refused.
#[tokio::test]
async fn a_token_that_waits_too_long_for_its_turn_meets_an_outage() {
    let (authorizer, keystone, _) = authorizer().await;
    authorizer.identify(owner()).await.unwrap();
    keystone.is(Behaviour::Slow(Duration::from_secs(60)));
    let tokens: Vec<String> = (0..17).map(|n| format!("random-{n}")).collect();
    let flood = tokens.iter().map(|id| authorizer.identify(id.as_bytes()));
    let mut outages: Vec<String> = futures::future::join_all(flood)
        .await
        .into_iter()
        .map(unavailable)
        .collect();
    outages.sort();
    assert_eq!(
        outages
            .iter()
            .filter(|why| why.contains("too many"))
            .count(),
        1
    );
    // It was not cached as refused.
    keystone.is(Behaviour::Well);
    for id in &tokens {
        keystone.gives(id, token(Some(OWNER), &["member"], LATER));
        authorizer.identify(id.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_restricted_token_makes_only_the_requests_that_its_rules_name() {
    let (keystone, clock) = (FakeKeystone::start().await, ManualClock::default());
    let harness = harness(&keystone, &clock).await;
    let image = harness.image(json!({})).await;
    let id = Who::Third.token().unwrap();
    keystone.gives(
        id,
        restricted_token(&[
            ("image", "GET", "/v2/images/**"),
            ("image", "POST", "/v1/cloudimages/members"),
            ("compute", "DELETE", "/v2/images/**"),
        ]),
    );
    let path = format!("/v2/images/{image}");
    let members = format!("{path}/members");
    for (method, path, status) in [
        ("GET", path.as_str(), 200),
        ("GET", &members, 200),
        ("GET", &members.replace("/v2/", "/v2.9/"), 200),
        ("GET", &format!("{members}/none"), 404),
        ("POST", "/v1/cloudimages/members", 400),
        ("DELETE", &path, 401),
        ("POST", &members, 401),
        ("GET", "/v2/images", 401),
        ("POST", "/v2/images", 401),
        ("GET", "/v2/schemas/image", 401),
        ("GET", "/v2/images/../schemas/image", 401),
        ("GET", "/v2/nonsense", 401),
        ("PUT", "/v1/cloudimages/members", 401),
        ("GET", "/v1/cloudimages/quota", 401),
        // Open to everybody.
        ("GET", "/versions", 200),
        ("OPTIONS", "/v2/images", 200),
    ] {
        let found = harness.send(Who::Third, method, path, None).await;
        assert_eq!(found.status, status, "{method} {path}: {}", found.body);
    }
    // All requests were made with one validation.
    assert_eq!(keystone.counts(), asked(1, 2));
    harness.get(Who::Owner, &path).await.expect(200);
}

#[tokio::test]
async fn rules_that_cannot_be_enforced_are_not_left_out() {
    let (authorizer, keystone, _) = authorizer().await;
    let path = format!("/{}", "x".repeat(220));
    let long: Vec<_> = (0..20).map(|_| path.clone()).enumerate().collect();
    let long: Vec<_> = long.iter().map(|(n, path)| format!("{path}{n}")).collect();
    let long: Vec<_> = long
        .iter()
        .map(|path| ("image", "GET", path.as_str()))
        .collect();
    keystone.gives("long", restricted_token(&long));
    let refused = authorizer.identify(b"long").await;
    assert_eq!(refused, Err(AuthError::Unauthorized));

    let mut odd = restricted_token(&[]);
    odd["token"]["application_credential"]["access_rules"] = json!("all");
    keystone.gives("odd", odd);
    unavailable(authorizer.identify(b"odd").await);

    // A credential without rules is restricted by its roles only.
    let mut free = restricted_token(&[]);
    free["token"]["application_credential"]
        .as_object_mut()
        .unwrap()
        .remove("access_rules");
    keystone.gives("free", free);
    let free = authorizer.identify(b"free").await.unwrap();
    assert_eq!(free.access_rules, None);
}

/// A token is scoped to one project and has the roles that the deployment knows.
#[tokio::test]
async fn a_token_has_one_project_and_roles_by_the_names_of_the_deployment() {
    let keystone = FakeKeystone::start().await;
    let strange = "a#b/c d\n\"é☃\",admin";
    let cases: [(&str, &[&str], Option<Role>); 8] = [
        (strange, &["member"], Some(Role::Member)),
        ("p", &["Member", "READER"], Some(Role::Member)),
        ("p", &["_member_"], Some(Role::None)),
        ("p", &["auditor,admin"], Some(Role::None)),
        ("p", &[" admin"], Some(Role::None)),
        ("p", &[], Some(Role::None)),
        ("", &["member"], None),
        (&"x".repeat(256), &["member"], None),
    ];
    let harness = harness(&keystone, &ManualClock::default()).await;
    let authorizer = Authorizer::new(keystone.config(), Clock::System).unwrap();
    for (n, (project, roles, role)) in cases.into_iter().enumerate() {
        let id = format!("token-{n}");
        keystone.gives(&id, token(Some(project), roles, LATER));
        let found = authorizer.identify(id.as_bytes()).await;
        assert_eq!(
            found.ok().map(|found| found.role),
            role,
            "{project} {roles:?}"
        );
        // The same through the context that a function reads.
        let create = harness
            .send_with(
                Who::NoToken,
                "POST",
                "/v2/images",
                &[("x-auth-token", &id)],
                Some(b"{}".to_vec()),
            )
            .await;
        match role {
            Some(Role::Member) => assert_eq!(create.expect(201).text("/owner"), project),
            Some(_) => drop(create.expect(403)),
            None => drop(create.expect(401)),
        }
    }
}

/// Two tokens in one request count as none, and an empty one is invalid.
#[tokio::test]
async fn two_tokens_are_none() {
    let mut options = options();
    let mut empty = options.identity.token[0].clone();
    empty.id = Secret::new(String::new());
    options.identity.token.push(empty);
    let harness = Harness::with(options).await;
    let (owner, member) = (Who::Owner.token().unwrap(), Who::Member.token().unwrap());
    for (tokens, status) in [
        (vec![owner, owner], 200),
        (vec![owner, member], 401),
        (vec![owner, ""], 401),
        (vec!["", owner], 401),
        (vec![owner, owner, member], 401),
        (vec![""], 401),
        (vec!["é"], 401),
    ] {
        let headers: Vec<_> = tokens
            .iter()
            .map(|token| ("x-auth-token", *token))
            .collect();
        let answer = harness
            .send_with(Who::NoToken, "GET", "/v2/images", &headers, None)
            .await;
        assert_eq!(answer.status, status, "{tokens:?}");
    }
}
