//! The authorizer's own login at Keystone: when it is made, shared and renewed, and where its password comes from.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use authorizer::Authorizer;
use authorizer::service_user::UserSource;
use serde_json::json;
use shared::domain::secret::Secret;
use tests::{reply, serve};

use super::{LATER, asked, authorizer, owner, unavailable};
use crate::harness::OWNER;
use crate::keystone::{self, Behaviour, token};

/// A login that is slower than a request waits would never succeed if it ended with the request.
#[tokio::test]
async fn a_slow_login_goes_on_beside_the_request() {
    let (authorizer, keystone, _) = authorizer().await;
    keystone.is(Behaviour::Slow(Duration::from_millis(2600)));
    let why = unavailable(authorizer.identify(owner()).await);
    assert_eq!(why, "Keystone: no answer within 2 s");
    // The login is still under way, and this caller waits for the rest of it.
    keystone.is(Behaviour::Well);
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 1));
}

/// A login that failed while nobody waited is not told to the next caller, who begins anew.
#[tokio::test]
async fn a_failed_login_is_not_remembered() {
    let (authorizer, keystone, _) = authorizer().await;
    keystone.changes_password("another");
    keystone.is(Behaviour::Slow(Duration::from_millis(2600)));
    unavailable(authorizer.identify(owner()).await);
    while keystone.counts().logins == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    keystone.changes_password(keystone::PASSWORD);
    keystone.is(Behaviour::Well);
    tokio::time::sleep(Duration::from_millis(200)).await;
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 1));
}

#[tokio::test]
async fn the_services_own_token_is_renewed() {
    let (authorizer, keystone, clock) = authorizer().await;
    keystone.ends_logins_at("2025-10-09T09:53:20.000000Z");
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 1));

    // Keystone refuses it: one new login, and the validation is repeated.
    keystone.forgets_logins();
    clock.forward(300);
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 2));

    // It expires within the minute, so it is renewed before it is refused.
    clock.forward(3600 - 300 - 60);
    keystone.ends_logins_at(LATER);
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 1));

    // The service user is refused: an outage for callers.
    keystone.forgets_logins();
    keystone.changes_password("another");
    clock.forward(300);
    let why = unavailable(authorizer.identify(owner()).await);
    assert_eq!(why, "Keystone: status 401 for the service user's login");
    assert_eq!(keystone.counts(), asked(1, 1));
}

#[tokio::test]
async fn callers_who_wait_share_one_login() {
    let (authorizer, keystone, _) = authorizer().await;
    keystone.is(Behaviour::Slow(Duration::from_millis(50)));
    let tokens: Vec<String> = (0..20).map(|n| format!("token-{n}")).collect();
    for id in &tokens {
        keystone.gives(id, token(Some(OWNER), &["member"], LATER));
    }
    let all = tokens.iter().map(|id| authorizer.identify(id.as_bytes()));
    for outcome in futures::future::join_all(all).await {
        outcome.unwrap();
    }
    assert_eq!(keystone.counts(), asked(1, 20));
}

/// A secret of Secrets Manager, as the extension on localhost returns it.
#[tokio::test]
async fn a_rotated_secret_is_read_again() {
    let (_, keystone, clock) = authorizer().await;
    let secret = Arc::new(Mutex::new(vec![keystone::PASSWORD.to_owned()]));
    let kept = secret.clone();
    let extension = serve(move |request| {
        assert_eq!(
            request.headers()["x-aws-parameters-secrets-token"],
            "session"
        );
        assert_eq!(request.uri().query(), Some("secretId=arn"));
        let mut versions = kept.lock().unwrap();
        let password = match versions.len() {
            0 => return std::future::ready(reply(500, "")),
            1 => versions[0].clone(),
            _ => versions.remove(0),
        };
        let fields = json!({"KEYSTONE_USERNAME": "imshare", "KEYSTONE_PASSWORD": password});
        let body = json!({"Name": "imshare", "SecretString": fields.to_string()});
        std::future::ready(reply(200, body.to_string()))
    })
    .await;
    let mut config = keystone.config();
    config.keystone.service_user = UserSource::SecretsManager {
        url: format!("http://{extension}/secretsmanager/get?secretId=arn"),
        session_token: Secret::new("session".to_owned()),
    };
    let authorizer = Authorizer::new(config, clock.clock()).unwrap();
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 1));

    // The secret was rotated: the first read still returns the old one.
    keystone.changes_password("rotated");
    keystone.forgets_logins();
    *secret.lock().unwrap() = vec![keystone::PASSWORD.to_owned(), "rotated".to_owned()];
    clock.forward(300);
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(2, 2));

    // The same secret is not tried twice: Keystone locks users out for that.
    keystone.changes_password("unknown to us");
    keystone.forgets_logins();
    clock.forward(300);
    unavailable(authorizer.identify(owner()).await);
    assert_eq!(keystone.counts(), asked(1, 1));

    secret.lock().unwrap().clear();
    let why = unavailable(authorizer.identify(owner()).await);
    assert_eq!(why, "cannot read the secret: status 500");
}

/// Right after a cold start the extension answers 400 until it is ready: that is no outage.
#[tokio::test]
async fn an_extension_that_is_not_ready_is_asked_again() {
    let (_, keystone, clock) = authorizer().await;
    let asked_for = Arc::new(Mutex::new((0, 0)));
    let state = asked_for.clone();
    let extension = serve(move |_| {
        let mut state = state.lock().unwrap();
        let (unready, asked) = &mut *state;
        *asked += 1;
        if *unready > 0 {
            *unready -= 1;
            return std::future::ready(reply(400, "not ready to serve traffic, please wait"));
        }
        let fields = json!({
            "KEYSTONE_USERNAME": "imshare",
            "KEYSTONE_PASSWORD": keystone::PASSWORD,
        });
        let body = json!({"Name": "imshare", "SecretString": fields.to_string()});
        std::future::ready(reply(200, body.to_string()))
    })
    .await;
    let mut config = keystone.config();
    config.keystone.service_user = UserSource::SecretsManager {
        url: format!("http://{extension}/secretsmanager/get?secretId=arn"),
        session_token: Secret::new("session".to_owned()),
    };
    *asked_for.lock().unwrap() = (2, 0);
    let authorizer = Authorizer::new(config.clone(), clock.clock()).unwrap();
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(*asked_for.lock().unwrap(), (0, 3));

    // It is asked a bounded number of times.
    *asked_for.lock().unwrap() = (1000, 0);
    let authorizer = Authorizer::new(config, clock.clock()).unwrap();
    let why = unavailable(authorizer.identify(owner()).await);
    let expected = "cannot read the secret: the extension does not become ready";
    assert_eq!((why.as_str(), asked_for.lock().unwrap().1), (expected, 6));
}
