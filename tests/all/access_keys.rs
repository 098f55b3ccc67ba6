//! Access keys: managing them, recording their use, and what bad signatures change.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use lambda_http::Body;
use local::engine::Engine;
use local::options::{Data, Options};
use serde_json::{Value, json};
use shared::auth::Authentication;
use shared::auth::failures::SourceAddress;
use shared::auth::signature::{DATE, Signable, sign};
use shared::domain::error::{ApiError, BadSignature};
use shared::domain::id::ProjectId;
use shared::domain::policy::Caller;
use shared::domain::roles::RoleNames;
use shared::domain::secret::Secret;
use shared::domain::time::Timestamp;
use shared::http::Request;
use shared::runtime::clients::Clients;
use shared::store::access_keys::AccessKeys;
use shared::store::key_management::{Created, Ended, KeyRecord, KeyTable};

use crate::cli::Shell;
use crate::harness::{Harness, HttpResponse, ManualClock, OWNER, Who, options};

const TABLE: &str = "access-keys";
const SECRET: &str = "a-secret-of-a-test-0123456789abcdef";
/// The start of the manual clock.
const NOW: &str = "20251009T085320Z";

/// An empty table of access keys in memory.
async fn table() -> (Engine, aws_sdk_dynamodb::Client) {
    let engine = Engine::in_memory().unwrap();
    let client = Clients::dynamodb_in_process(engine.clone());
    let create = json!({
        "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    });
    let (status, body) = engine.perform("CreateTable", &create.to_string()).await;
    assert_eq!(status, 200, "{body}");
    (engine, client)
}

fn key(access: &str, user: &str) -> KeyRecord {
    KeyRecord {
        access: access.to_owned(),
        user: user.to_owned(),
        project: ProjectId::parse(OWNER).unwrap(),
        roles: vec!["member".to_owned()],
        disabled: false,
        disabled_by: None,
        created_at: Some("2025-10-09T08:53:20.000000Z".to_owned()),
        created_by: Some("operator".to_owned()),
        last_used: None,
    }
}

fn secret() -> Secret {
    Secret::new(SECRET.to_owned())
}

fn now() -> Timestamp {
    Timestamp::parse("2025-10-09T08:53:20Z").unwrap()
}

#[tokio::test]
async fn a_user_has_two_enabled_keys_for_a_project_and_no_third() {
    let (_, client) = table().await;
    let keys = KeyTable::new(client, TABLE.to_owned());
    for access in ["AK1", "AK2"] {
        let created = keys.create(&key(access, "u"), &secret()).await.unwrap();
        assert_eq!(created, Created::New);
    }
    let third = keys.create(&key("AK3", "u"), &secret()).await.unwrap();
    let both = vec!["AK1".to_owned(), "AK2".to_owned()];
    assert_eq!(third, Created::TooMany(both));
    assert_eq!(keys.find("AK3").await.unwrap(), None);
    // Another user has two of its own, and an id is nobody else's.
    let other = keys.create(&key("AK1", "v"), &secret()).await.unwrap();
    assert_eq!(other, Created::Taken);
    let other = keys.create(&key("AK4", "v"), &secret()).await.unwrap();
    assert_eq!(other, Created::New);

    // A disabled key makes room, once and for good.
    let first = key("AK1", "u");
    let ended = keys.disable(&first, "somebody", now()).await.unwrap();
    assert_eq!(ended, Ended::Now);
    let again = keys.disable(&first, "somebody else", now()).await.unwrap();
    assert_eq!(again, Ended::Before);
    let unknown = keys.disable(&key("AK9", "u"), "x", now()).await.unwrap();
    assert_eq!(unknown, Ended::Absent);
    let third = keys.create(&key("AK3", "u"), &secret()).await.unwrap();
    assert_eq!(third, Created::New);
    let fourth = keys.create(&key("AK5", "u"), &secret()).await.unwrap();
    assert!(matches!(fourth, Created::TooMany(_)));

    let listed = keys.list().await.unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|key| (key.access.as_str(), key.user.as_str(), key.disabled))
        .collect();
    let expected = [
        ("AK1", "u", true),
        ("AK2", "u", false),
        ("AK3", "u", false),
        ("AK4", "v", false),
    ];
    assert_eq!(shown, expected);
    assert_eq!(listed[0].disabled_by.as_deref(), Some("somebody"));
    assert!(!format!("{listed:?}").contains(SECRET));

    // Only the record of a disabled key is deleted.
    assert_eq!(keys.delete("AK2").await.unwrap(), Ended::Enabled);
    assert_eq!(keys.delete("AK1").await.unwrap(), Ended::Now);
    assert_eq!(keys.delete("AK1").await.unwrap(), Ended::Absent);
    assert_eq!(keys.list().await.unwrap().len(), 3);
}

#[tokio::test]
async fn of_many_creations_at_once_two_succeed() {
    let (_, client) = table().await;
    let keys = KeyTable::new(client, TABLE.to_owned());
    let ids: Vec<String> = (0..20).map(|number| format!("AK{number}")).collect();
    let creations = ids.iter().map(|access| {
        let keys = keys.clone();
        async move { keys.create(&key(access, "u"), &secret()).await.unwrap() }
    });
    let outcomes = futures::future::join_all(creations).await;
    let new = outcomes.iter().filter(|outcome| **outcome == Created::New);
    assert_eq!(new.count(), 2, "{outcomes:?}");
    assert_eq!(keys.list().await.unwrap().len(), 2);
}

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

/// A server with its data in a directory, and a manual clock.
async fn server(directory: &Path, clock: &ManualClock) -> Harness {
    Harness::with(Options {
        data: Data::Directory(directory.to_owned()),
        clock: clock.clock(),
        ..options()
    })
    .await
}

/// Sends a signed request to a server.
async fn signed(harness: &Harness, access: &str, secret: &str) -> HttpResponse {
    let host = harness.address().to_string();
    let mut headers = lambda_http::http::HeaderMap::new();
    headers.insert("host", host.parse().unwrap());
    headers.insert(DATE, NOW.parse().unwrap());
    let signable = Signable {
        method: "GET",
        path: "/v2/images",
        query: "",
        headers: &headers,
        body: b"",
    };
    let secret = Secret::new(secret.to_owned());
    let value = sign(signable, &["host", DATE], access, &secret).unwrap();
    let sent = [(DATE, NOW), ("authorization", &value)];
    harness
        .send_with(Who::NoToken, "GET", "/v2/images", &sent, None)
        .await
}

/// The real command beside a running server: create, use, rotate, disable.
#[tokio::test]
async fn a_key_is_managed_beside_a_running_server() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let clock = ManualClock::default();
    let harness = server(&data, &clock).await;
    let shell = Shell::new(&[
        ("IMSHARE_DATA_DIR", data.to_str().unwrap()),
        ("USER", "operator"),
    ]);
    let run = async |arguments: &[&str]| {
        let all: Vec<&str> = ["access-key"].iter().chain(arguments).copied().collect();
        shell.run(&all).await
    };
    let user = ["--project", OWNER, "--user", "u-ci"];
    let create: Vec<&str> = ["create", "-f", "json"].into_iter().chain(user).collect();
    let created = run(&create).await.expect(0);
    assert!(created.err.contains("shown this once"), "{created:?}");
    let first = created.json();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let (old, old_secret) = (text(&first, "Access Key"), text(&first, "Secret"));
    assert_eq!(text(&first, "Created By"), "operator");
    assert_eq!((old.len(), old_secret.len()), (20, 64));
    signed(&harness, &old, &old_secret).await.expect(200);
    signed(&harness, &old, "not it").await.expect(401);

    let rotated = run(&["rotate", &old, "-f", "json"]).await.expect(0);
    assert!(
        rotated.err.contains(&format!("disable {old}")),
        "{rotated:?}"
    );
    let second = rotated.json();
    let (new, new_secret) = (text(&second, "Access Key"), text(&second, "Secret"));
    signed(&harness, &new, &new_secret).await.expect(200);
    signed(&harness, &old, &old_secret).await.expect(200);
    let third = run(&create).await;
    third.says(3, &["two enabled access keys", &old, &new, "disable one"]);

    run(&["disable", &old]).await.expect(0);
    clock.forward(1);
    signed(&harness, &old, &old_secret).await.expect(401);
    signed(&harness, &new, &new_secret).await.expect(200);
    let listed = run(&["list", "-f", "json"]).await.expect(0);
    for secret in [&old_secret, &new_secret] {
        assert!(!listed.out.contains(secret.as_str()), "{listed:?}");
    }
    let listed = listed.json();
    let states: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(states.len(), 2);
    for key in states {
        let disabled = key["Access Key"] == old.as_str();
        let state = if disabled { "disabled" } else { "enabled" };
        assert_eq!(key["State"], state);
        assert_eq!(key["Last Used"], "2025-10-09");
        assert_eq!(key["Project"], OWNER);
    }
    run(&["delete", &new]).await.says(3, &["is enabled"]);
    run(&["delete", &old]).await.expect(0);
    run(&["delete", &old])
        .await
        .says(2, &["there is no access key"]);
    run(&["rotate", "NOBODYS"])
        .await
        .says(2, &["there is no access key"]);
    harness.server.stop().await;

    // The keys are those of the directory, and survive the server.
    let harness = server(&data, &clock).await;
    signed(&harness, &new, &new_secret).await.expect(200);
    harness.server.stop().await;
}

#[tokio::test]
async fn a_wrong_command_about_keys_is_one_sentence() {
    let shell = Shell::new(&[("IMSHARE_DATA_DIR", "nothing-here")]);
    let list = shell.run(&["access-key", "list"]).await;
    list.says(2, &["there is no data directory of a server"]);
    // What leaves no record of somebody asks for no name.
    for command in [&["list"][..], &["delete", "K"]] {
        let by = [&["access-key"], command, &["--by", "ops"]].concat();
        let told = shell.run(&by).await.expect(2);
        assert!(told.err.contains("unexpected argument '--by'"), "{told:?}");
    }
    let url = "http://127.0.0.1:1";
    let away = [
        "access-key",
        "list",
        "--table",
        "t",
        "--dynamodb-endpoint",
        url,
    ];
    shell
        .run(&away)
        .await
        .says(4, &["cannot reach the table t"]);
    let which = ["access-key", "list", "--dynamodb-endpoint", url];
    shell
        .run(&which)
        .await
        .says(2, &["which table?", "AccessKeyTableName"]);
    let region = ["access-key", "list", "--table", "t"];
    shell.run(&region).await.says(2, &["AWS_REGION"]);
    let home = shell.home.path().join("data");
    std::fs::create_dir(&home).unwrap();
    let shell = shell.with("IMSHARE_DATA_DIR", home.to_str().unwrap());
    // Nothing is created in a directory of something else.
    shell
        .run(&["access-key", "list"])
        .await
        .says(2, &["start one"]);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    std::fs::write(home.join("table.sqlite"), "").unwrap();
    for (project, user, word) in [
        ("", "u", "--project"),
        ("p", "", "--user"),
        ("p", "a\nb", "--user"),
    ] {
        let create = ["access-key", "create", "--project", project, "--user", user];
        shell.run(&create).await.says(2, &[word]);
    }
}

/// The command and a server on one DynamoDB: here, the engine of another server.
#[tokio::test]
async fn keys_may_be_in_a_table_of_dynamodb() {
    let store = Harness::with(Options {
        dynamodb_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..options()
    })
    .await;
    let address = store.server.dynamodb_address.unwrap();
    let endpoint = format!("http://{address}");
    let clock = ManualClock::default();
    let harness = Harness::with(Options {
        dynamodb_endpoint: Some(endpoint.clone()),
        access_key_table: Some("keys".to_owned()),
        clock: clock.clock(),
        ..options()
    })
    .await;
    let shell = Shell::new(&[
        ("IMSHARE_DYNAMODB_ENDPOINT", &endpoint),
        ("IMSHARE_ACCESS_KEY_TABLE", "keys"),
    ]);
    let create = [
        "access-key",
        "create",
        "-f",
        "value",
        "-c",
        "Access Key",
        "-c",
        "Secret",
        "--project",
        OWNER,
        "--user",
        "u-ci",
    ];
    let created = shell.run(&create).await.expect(0);
    let [access, secret] = created.lines()[..] else {
        panic!("{created:?}")
    };
    signed(&harness, access, secret).await.expect(200);
    shell
        .run(&["access-key", "disable", access])
        .await
        .expect(0);
    clock.forward(1);
    signed(&harness, access, secret).await.expect(401);
    let absent = shell.with("IMSHARE_ACCESS_KEY_TABLE", "other");
    let list = absent.run(&["access-key", "list"]).await;
    list.says(2, &["there is no table other"]);
}

/// Repeated bad signatures over HTTP.
#[tokio::test]
async fn many_bad_signatures_are_told_to_wait() {
    let (harness, _) = Harness::with_clock().await;
    for _ in 0..10 {
        signed(&harness, "OWNERAKOWNERAKOWNERA", "no")
            .await
            .expect(401);
    }
    let told = signed(&harness, "OWNERAKOWNERAKOWNERA", "no")
        .await
        .expect(429);
    assert_eq!(told.header("retry-after"), Some("60"));
    assert!(told.header("www-authenticate").is_none());
    assert!(told.body.contains("429 Too Many Requests"), "{}", told.body);
    let owner = "owner-secret-key-0123456789abcdef0123456";
    signed(&harness, "OWNERAKOWNERAKOWNERA", owner)
        .await
        .expect(200);
}
