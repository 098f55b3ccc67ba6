//! The authorizer, alone and behind the local server: Keystone's answers, faults and timeouts.

mod login;

use std::process::Stdio;
use std::time::{Duration, Instant};

use authorizer::config::Config;
use authorizer::{AuthError, Authorizer};
use local::options::Options;
use serde_json::json;
use shared::auth::principal::Principal;
use shared::domain::policy::Role;
use tests::runtime;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::harness::{Harness, ManualClock, OWNER, Who, options};
use crate::keystone::{self, Behaviour, Counts, EXPIRED, FakeKeystone, UNSCOPED, token};
use crate::lambda::binary;

pub const LATER: &str = "2099-01-01T00:00:00.000000Z";

pub fn owner() -> &'static [u8] {
    Who::Owner.token().unwrap().as_bytes()
}

/// An authorizer with its Keystone and its clock.
pub async fn authorizer() -> (Authorizer, FakeKeystone, ManualClock) {
    let keystone = FakeKeystone::start().await;
    let clock = ManualClock::default();
    let authorizer = Authorizer::new(keystone.config(), clock.clock()).unwrap();
    (authorizer, keystone, clock)
}

/// A local server that uses this Keystone.
pub async fn harness(keystone: &FakeKeystone, clock: &ManualClock) -> Harness {
    Harness::with(Options {
        keystone: Some(keystone.config()),
        clock: clock.clock(),
        ..options()
    })
    .await
}

pub const fn asked(logins: usize, validations: usize) -> Counts {
    Counts {
        logins,
        validations,
    }
}

#[track_caller]
pub fn unavailable(outcome: Result<Principal, AuthError>) -> String {
    match outcome {
        Err(AuthError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_validated_once_in_its_time() {
    let (authorizer, keystone, clock) = authorizer().await;
    for _ in 0..1000 {
        let identity = authorizer.identify(owner()).await.unwrap();
        assert_eq!(identity.project.as_str(), OWNER);
    }
    let first = keystone.counts();
    assert_eq!(first, asked(1, 1));
    clock.forward(299);
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(0, 0));
    clock.forward(1);
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(0, 1));
    println!("1000 requests with one token: {first:?}");
}

#[tokio::test]
async fn what_is_remembered_ends_with_the_token() {
    let (authorizer, keystone, clock) = authorizer().await;
    // The clock shows 08:53:20.
    keystone.gives(
        "short",
        token(Some(OWNER), &["member"], "2025-10-09T08:53:25.000000Z"),
    );
    authorizer.identify(b"short").await.unwrap();
    clock.forward(4);
    authorizer.identify(b"short").await.unwrap();
    assert_eq!(keystone.counts().validations, 1);
    clock.forward(1);
    assert_eq!(
        authorizer.identify(b"short").await,
        Err(AuthError::Unauthorized)
    );
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused_without_asking() {
    let (authorizer, keystone, _) = authorizer().await;
    let long = "x".repeat(32 * 1024);
    for bad in ["", "a b", "a\tb", "a\nb", "tök", &(long.clone() + "x")] {
        assert_eq!(
            authorizer.identify(bad.as_bytes()).await,
            Err(AuthError::Unauthorized)
        );
    }
    assert_eq!(
        authorizer.identify(b"\xff\xfe").await,
        Err(AuthError::Unauthorized)
    );
    assert_eq!(keystone.counts(), asked(0, 0));
    keystone.gives(&long, token(Some(OWNER), &["member"], LATER));
    authorizer.identify(long.as_bytes()).await.unwrap();
}

/// A refused token may become known to Keystone a moment later.
#[tokio::test]
async fn a_refusal_is_remembered_for_some_seconds() {
    let (authorizer, keystone, clock) = authorizer().await;
    let refused = async |token: &str| {
        let outcome = authorizer.identify(token.as_bytes()).await;
        assert_eq!(outcome, Err(AuthError::Unauthorized), "{token}");
    };
    for unknown in ["new", UNSCOPED, EXPIRED] {
        for _ in 0..3 {
            refused(unknown).await;
        }
    }
    assert_eq!(keystone.counts(), asked(1, 3));
    keystone.gives("new", token(Some(OWNER), &["reader"], LATER));
    clock.forward(4);
    refused("new").await;
    assert_eq!(keystone.counts(), asked(0, 0));
    clock.forward(1);
    let identity = authorizer.identify(b"new").await.unwrap();
    assert_eq!(identity.role, Role::Reader);
    // A cached token stays valid until its time is over.
    keystone.revokes("new");
    authorizer.identify(b"new").await.unwrap();
}

/// What AuthCacheSeconds promises: the longest time that a revoked token works.
#[tokio::test]
async fn a_revoked_token_works_no_longer_than_promised() {
    let (authorizer, keystone, clock) = authorizer().await;
    // Keystone looks the token up when it is asked, and answers later.
    keystone.is(Behaviour::Slow(Duration::from_millis(200)));
    let (identified, ()) = futures::join!(authorizer.identify(owner()), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        clock.forward(1);
    });
    identified.unwrap();
    keystone.is(Behaviour::Well);
    keystone.revokes(Who::Owner.token().unwrap());
    clock.forward(298);
    authorizer.identify(owner()).await.unwrap();
    clock.forward(1);
    let refused = authorizer.identify(owner()).await;
    assert_eq!(refused, Err(AuthError::Unauthorized));
}

/// Where the gateway caches, the function must not: both together would take twice as long.
#[tokio::test]
async fn a_memory_of_no_seconds_is_none() {
    let (keystone, clock) = (FakeKeystone::start().await, ManualClock::default());
    let config = Config {
        cache_ttl: 0,
        ..keystone.config()
    };
    let authorizer = Authorizer::new(config, clock.clock()).unwrap();
    authorizer.identify(owner()).await.unwrap();
    authorizer.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 2));
    keystone.revokes(Who::Owner.token().unwrap());
    let refused = authorizer.identify(owner()).await;
    assert_eq!(refused, Err(AuthError::Unauthorized));
}

/// None of these answers says anything about the token.
const TROUBLES: [(u16, &str); 9] = [
    (500, ""),
    (502, "<html>Bad Gateway</html>"),
    (503, r#"{"error": {"code": 503}}"#),
    (403, r#"{"error": {"code": 403}}"#),
    (404, "<html>Not Found</html>"),
    (200, "<html>Welcome</html>"),
    (200, r#"{"token": {}}"#),
    (
        200,
        r#"{"token": {"user": {"id": "u"}, "project": {"id": "p"}, "expires_at": "soon"}}"#,
    ),
    (302, ""),
];

/// Web servers take 4 to 8 KB for a header, so everybody can send a token that Keystone does not see.
#[tokio::test]
async fn a_token_that_is_too_long_for_keystone_is_no_outage() {
    let (authorizer, keystone, _) = authorizer().await;
    authorizer.identify(owner()).await.unwrap();
    for status in [400, 413, 414, 431] {
        keystone.is(Behaviour::Says(
            status,
            "Size of a request header field exceeds server limit.",
        ));
        let long = "x".repeat(9_000 + usize::from(status));
        let refused = authorizer.identify(long.as_bytes()).await;
        assert!(matches!(refused, Err(AuthError::Unauthorized)), "{status}");
        unavailable(authorizer.identify(b"short").await);
    }
}

#[tokio::test]
async fn an_outage_is_not_a_refusal_and_not_remembered() {
    let (authorizer, keystone, clock) = authorizer().await;
    for logged_in in [false, true] {
        for (status, body) in TROUBLES {
            keystone.is(Behaviour::Says(status, body));
            let why = unavailable(authorizer.identify(b"new").await);
            assert!(why.starts_with("Keystone: "), "{why}");
            assert!(!why.contains("new"));
        }
        keystone.is(Behaviour::Well);
        authorizer.identify(owner()).await.unwrap();
        clock.forward(300);
        assert_eq!(logged_in, keystone.counts().logins == 0);
    }
    // Nothing listens on this port.
    let mut nowhere = keystone;
    nowhere.url = "http://127.0.0.1:1".to_owned();
    let authorizer = Authorizer::new(nowhere.config(), clock.clock()).unwrap();
    let why = unavailable(authorizer.identify(owner()).await);
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_slow_keystone_is_not_waited_for() {
    let (authorizer, keystone, clock) = authorizer().await;
    authorizer.identify(owner()).await.unwrap();
    clock.forward(300);
    keystone.is(Behaviour::Slow(Duration::from_secs(60)));
    let started = Instant::now();
    unavailable(authorizer.identify(owner()).await);
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_millis(1900) && waited < Duration::from_secs(30),
        "{waited:?}"
    );
    keystone.is(Behaviour::Slow(Duration::from_millis(100)));
    authorizer.identify(owner()).await.unwrap();
}

/// A private cloud's Keystone has a certificate of an authority of its own.
#[tokio::test]
async fn a_private_authority_is_trusted_if_it_is_named() {
    let (keystone, clock) = (FakeKeystone::start().await, ManualClock::default());
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    let mut config = keystone.over_tls(&authority).await;
    assert!(config.keystone.url.starts_with("https://localhost:"));

    let stranger = Authorizer::new(config.clone(), clock.clock()).unwrap();
    let why = unavailable(stranger.identify(owner()).await);
    assert!(why.contains("UnknownIssuer"), "{why}");

    config.keystone.authorities = Some(authority.clone());
    let trusting = Authorizer::new(config.clone(), clock.clock()).unwrap();
    trusting.identify(owner()).await.unwrap();
    assert_eq!(keystone.counts(), asked(1, 1));

    // A file without certificates is found out at the start.
    for text in ["", "no certificate"] {
        std::fs::write(&authority, text).unwrap();
        let bad = Authorizer::new(config.clone(), clock.clock()).unwrap_err();
        assert!(bad.to_string().contains("KEYSTONE_CA_FILE"), "{bad}");
    }
}

#[tokio::test]
async fn the_local_server_asks_keystone() {
    let (keystone, clock) = (FakeKeystone::start().await, ManualClock::default());
    let harness = harness(&keystone, &clock).await;
    let image = harness.image(json!({"name": "debian"})).await;
    let path = format!("/v2/images/{image}");
    harness.get(Who::OwnerReader, &path).await.expect(200);
    harness.delete(Who::OwnerReader, &path).await.expect(403);
    harness.get(Who::Member, &path).await.expect(404);
    harness.get(Who::Admin, &path).await.expect(200);
    // A role that this service does not know permits nothing.
    harness.get(Who::OwnerNoRole, &path).await.expect(404);
    // Keystone does not know the tokens of the identity file.
    for nobody in [Who::Third, Who::NoToken, Who::BadToken] {
        let refused = harness.get(nobody, &path).await.expect(401);
        let named = format!("Keystone uri=\"{}/v3\"", keystone.url);
        assert_eq!(refused.header("www-authenticate"), Some(named.as_str()));
    }
    // Identity headers sent by the client are ignored.
    let forged = [
        ("x-project-id", OWNER),
        ("x-roles", "admin"),
        ("x-identity-status", "Confirmed"),
    ];
    let refused = harness
        .send_with(Who::NoToken, "GET", &path, &forged, None)
        .await;
    refused.expect(401);
}

#[tokio::test]
async fn the_local_server_answers_503_while_keystone_is_out() {
    let (keystone, clock) = (FakeKeystone::start().await, ManualClock::default());
    let harness = harness(&keystone, &clock).await;
    harness.get(Who::Owner, "/v2/images").await.expect(200);
    keystone.is(Behaviour::Says(500, ""));

    let json = [("accept", "application/json")];
    let out = harness
        .send_with(Who::Member, "GET", "/v2/images", &json, None)
        .await
        .expect(503);
    assert_eq!(out.text("/title"), "Service Unavailable");
    assert!(out.header("retry-after").is_some());
    let out = harness
        .get(Who::Member, "/v1/cloudimages/job/x")
        .await
        .expect(503);
    assert_eq!(out.text("/error/code"), "ServiceUnavailable");
    assert!(!out.body.contains("Keystone"), "{}", out.body);
    // Cached tokens stay valid, requests without a token are refused as ever, discovery needs none.
    harness.get(Who::Owner, "/v2/images").await.expect(200);
    harness.get(Who::NoToken, "/v2/images").await.expect(401);
    harness.get(Who::Member, "/versions").await.expect(200);
    harness
        .send(Who::Member, "OPTIONS", "/v2/images", None)
        .await
        .expect(200);

    clock.forward(300);
    harness.get(Who::Owner, "/v2/images").await.expect(503);
    keystone.is(Behaviour::Well);
    harness.get(Who::Owner, "/v2/images").await.expect(200);
    harness.get(Who::Member, "/v2/images").await.expect(200);
}

#[test]
fn a_configuration_is_read_or_complains_by_name() {
    let bad = Config::of_keystone("keystone:5000")
        .unwrap_err()
        .to_string();
    assert!(bad.contains("KEYSTONE_URL"), "{bad}");
    let bad = Config::of_keystone("https://keystone:5000")
        .unwrap_err()
        .to_string();
    assert!(bad.contains("KEYSTONE_USERNAME"), "{bad}");
}

/// The real binary at the lowest log level: neither its log nor its responses contain a token, the
/// caller's or its own, or the service user's password.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_answers_have_no_token() {
    let keystone = FakeKeystone::start().await;
    let (event, events) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let runtime = runtime(events, answer).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let into_log = || {
        let file = std::fs::OpenOptions::new().append(true).open(log.path());
        Stdio::from(file.unwrap())
    };
    let mut command = tests::function(&binary("authorizer"), runtime, "http://127.0.0.1:1");
    command
        .env("KEYSTONE_URL", &keystone.url)
        .env("KEYSTONE_PASSWORD", keystone::PASSWORD)
        .env("LOG_LEVEL", "trace")
        .stdout(into_log())
        .stderr(into_log());
    let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut said = String::new();
    let tokens = [
        Who::Owner.token().unwrap(),
        Who::BadToken.token().unwrap(),
        EXPIRED,
        UNSCOPED,
        keystone::TROUBLE,
    ];
    for token in tokens {
        let method = "arn:aws:execute-api:eu-west-1:1:api/v/GET/v2/images";
        let input = json!({"methodArn": method, "headers": {"X-Auth-Token": token}});
        event.send(input).await.unwrap();
        let found: Option<String> = answers.recv().await;
        said += &found.unwrap();
    }
    child.kill().await.unwrap();
    let log = std::fs::read_to_string(log.path()).unwrap();
    // It has logged something, an outage included.
    assert!(log.contains("status 500 for a token"), "{log}");
    said += &log;
    for secret in tokens
        .into_iter()
        .chain([keystone::PASSWORD, "login-token-"])
    {
        let at = said.find(secret);
        let around = at.map(|at| &said[at.saturating_sub(300)..(at + 50).min(said.len())]);
        assert_eq!(around, None, "{secret}");
    }
}

/// Measures the time that the authorizer adds to a request; Keystone is in this process and
/// answers at once.
#[tokio::test]
async fn a_remembered_token_costs_next_to_nothing() {
    let (authorizer, keystone, _) = authorizer().await;
    authorizer.identify(owner()).await.unwrap();
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let mut hits = Vec::new();
    let mut misses = Vec::new();
    for n in 0..200 {
        let new = format!("token-{n}");
        keystone.gives(&new, token(Some(OWNER), &["member"], LATER));
        let started = Instant::now();
        authorizer.identify(new.as_bytes()).await.unwrap();
        misses.push(started.elapsed());
        let started = Instant::now();
        authorizer.identify(owner()).await.unwrap();
        hits.push(started.elapsed());
    }
    let (hit, miss) = (median(hits), median(misses));
    println!("token remembered: {hit:?}; asked for: {miss:?} (medians of 200)");
    assert!(hit < Duration::from_millis(1), "{hit:?}");
    assert!(hit < miss);
}

/// Passes one event to the handler that the Lambda runtime calls.
#[tokio::test]
async fn signed_requests_come_through_only_when_configured() {
    let (plain, keystone, clock) = authorizer().await;
    let config = Config {
        signed_requests: true,
        ..keystone.config()
    };
    let signed = Authorizer::new(config, clock.clock()).unwrap();
    let event = |authorization: &str| {
        let method = "arn:aws:execute-api:eu-west-1:1:api/v/GET/v2/images";
        let event = json!({"methodArn": method, "headers": {"authorization": authorization}});
        serde_json::from_value(event).unwrap()
    };
    let authorization = "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=00";
    let refused = authorizer::event::answer(&plain, event(authorization)).await;
    assert_eq!(refused, Err(AuthError::Unauthorized));
    let allowed = authorizer::event::answer(&signed, event(authorization))
        .await
        .unwrap();
    assert_eq!(allowed["context"], json!({"signed": "true"}));
    let refused = authorizer::event::answer(&signed, event("Bearer abc")).await;
    assert_eq!(refused, Err(AuthError::Unauthorized));
    assert_eq!(keystone.counts(), asked(0, 0));
}
