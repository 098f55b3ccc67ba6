//! What a function makes of signed requests, by a table of keys.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lambda_http::Body;
use local::engine::Engine;
use shared::auth::Authentication;
use shared::auth::failures::SourceAddress;
use shared::auth::signature::{DATE, Signable, sign};
use shared::domain::error::{ApiError, BadSignature};
use shared::domain::policy::Caller;
use shared::domain::roles::RoleNames;
use shared::domain::secret::Secret;
use shared::domain::time::Timestamp;
use shared::http::Request;
use shared::store::access_keys::AccessKeys;
use shared::store::key_management::{Created, Ended, KeyTable};

use super::{SECRET, TABLE, key, now, secret, table};
use crate::harness::OWNER;

/// What authenticates requests by a table with one key, `AK`.
struct Verifier {
    authentication: Authentication,
    engine: Engine,
    keys: KeyTable,
}

impl Verifier {
    async fn new() -> Self {
        let (engine, client) = table().await;
        let keys = KeyTable::new(client.clone(), TABLE.to_owned());
        let created = keys.create(&key("AK", "u"), &secret()).await.unwrap();
        assert_eq!(created, Created::New);
        let table = AccessKeys::new(client, TABLE.to_owned(), RoleNames::default());
        Self {
            authentication: Authentication::with_keys(table),
            engine,
            keys,
        }
    }

    /// Sends a request that is signed with this secret, from this address.
    async fn send(
        &self,
        access: &str,
        secret: &str,
        from: &str,
        at: Timestamp,
    ) -> Result<Caller, ApiError> {
        let date = at.seconds().replace(['-', ':'], "");
        let mut request = Request::new(Body::Empty);
        *request.uri_mut() = "/v2/images".parse().unwrap();
        for (name, value) in [("host", "images.example"), (DATE, date.as_str())] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let signable = Signable {
            method: "GET",
            path: "/v2/images",
            query: "",
            headers: &request.headers().clone(),
            body: b"",
        };
        let secret = Secret::new(secret.to_owned());
        let signed = sign(signable, &["host", DATE], access, &secret).unwrap();
        request
            .headers_mut()
            .insert("authorization", signed.parse().unwrap());
        let address: IpAddr = from.parse().unwrap();
        request.extensions_mut().insert(SourceAddress(address));
        self.authentication.caller(&request, at).await
    }

    /// Requests to the table since the last call.
    fn requests(&self, before: &mut BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let all = self.engine.requests();
        let since = all.iter().map(|(name, count)| {
            let earlier = before.get(name).copied().unwrap_or_default();
            (name.clone(), count - earlier)
        });
        let since = since.filter(|(_, count)| *count > 0).collect();
        *before = all;
        since
    }
}

const STRANGER: &str = "198.51.100.7";
const ELSEWHERE: &str = "192.0.2.1";

/// A stranger who knows the id of a key cannot keep its owner out, and costs no request to the table.
#[tokio::test]
async fn bad_signatures_cost_little_and_lock_nobody_out() {
    let verifier = Verifier::new().await;
    let mut requests = verifier.engine.requests();
    let refused = |outcome: Result<Caller, ApiError>| match outcome {
        Err(ApiError::BadSignature(why)) => why,
        other => panic!("{other:?}"),
    };
    // Nobody's id gets the same answers at the same cost as that of a key.
    for access in ["AK", "NOBODYS"] {
        let mut answers = Vec::new();
        for _ in 0..1_000 {
            let outcome = verifier.send(access, "wrong", STRANGER, now()).await;
            answers.push(refused(outcome));
        }
        let (first, rest) = answers.split_at(10);
        assert!(first.iter().all(|why| *why == BadSignature::Signature));
        assert!(rest.iter().all(|why| *why == BadSignature::TooMany));
        let reads = BTreeMap::from([("GetItem".to_owned(), 1)]);
        assert_eq!(verifier.requests(&mut requests), reads, "{access}");
    }
    // The owner passes, from elsewhere and from the stranger's own address.
    for from in [ELSEWHERE, STRANGER] {
        let caller = verifier.send("AK", SECRET, from, now()).await.unwrap();
        assert_eq!(caller.project.as_str(), OWNER);
        let outcome = verifier.send("AK", "wrong", STRANGER, now()).await;
        assert_eq!(refused(outcome), BadSignature::TooMany);
    }
    // What is counted is an id and an address, and for a minute.
    let outcome = verifier.send("AK", "wrong", ELSEWHERE, now()).await;
    assert_eq!(refused(outcome), BadSignature::Signature);
    let later = now().plus_seconds(60);
    let outcome = verifier.send("AK", "wrong", STRANGER, later).await;
    assert_eq!(refused(outcome), BadSignature::Signature);
}

#[tokio::test]
async fn the_use_of_a_key_is_recorded_once_a_day() {
    let verifier = Verifier::new().await;
    let mut requests = verifier.engine.requests();
    let last_used = async || {
        let found = verifier.keys.find("AK").await.unwrap();
        found.unwrap().last_used
    };
    let updates = |requests: &mut _| {
        let counted = verifier.requests(requests);
        counted.get("UpdateItem").copied().unwrap_or_default()
    };
    // A bad signature is no use.
    verifier
        .send("AK", "wrong", ELSEWHERE, now())
        .await
        .unwrap_err();
    assert_eq!((last_used().await, updates(&mut requests)), (None, 0));
    for minutes in 0..30 {
        let at = now().plus_seconds(minutes * 60);
        verifier.send("AK", SECRET, ELSEWHERE, at).await.unwrap();
    }
    let today = Some("2025-10-09".to_owned());
    assert_eq!((last_used().await, updates(&mut requests)), (today, 1));
    let midnight = Timestamp::parse("2025-10-10T00:00:00Z").unwrap();
    for seconds in 0..10 {
        let at = midnight.plus_seconds(seconds);
        verifier.send("AK", SECRET, ELSEWHERE, at).await.unwrap();
    }
    let next = Some("2025-10-10".to_owned());
    assert_eq!(
        (last_used().await, updates(&mut requests)),
        (next.clone(), 1)
    );
    // An older instance, whose clock is behind, writes nothing.
    verifier.send("AK", SECRET, ELSEWHERE, now()).await.unwrap();
    assert_eq!(last_used().await, next);
}

#[tokio::test]
async fn a_disabled_key_is_refused_when_what_is_cached_expires() {
    let verifier = Verifier::new().await;
    verifier.send("AK", SECRET, ELSEWHERE, now()).await.unwrap();
    let disabled = verifier.keys.disable(&key("AK", "u"), "o", now()).await;
    assert_eq!(disabled.unwrap(), Ended::Now);
    let (before, after) = (now().plus_seconds(59), now().plus_seconds(60));
    // Using it meanwhile does not make it last longer.
    verifier
        .send("AK", SECRET, ELSEWHERE, before)
        .await
        .unwrap();
    let refused = verifier.send("AK", SECRET, ELSEWHERE, after).await;
    let signature = ApiError::BadSignature(BadSignature::Signature);
    assert_eq!(refused.unwrap_err(), signature);
}
