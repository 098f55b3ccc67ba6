//! Access keys: managing them, recording their use, and what bad signatures change.

mod server;
mod verifier;

use local::engine::Engine;
use serde_json::json;
use shared::domain::id::ProjectId;
use shared::domain::secret::Secret;
use shared::domain::time::Timestamp;
use shared::runtime::clients::Clients;
use shared::store::key_management::{Created, Ended, KeyRecord, KeyTable};

use crate::harness::OWNER;

const TABLE: &str = "access-keys";
const SECRET: &str = "a-secret-of-a-test-0123456789abcdef";

/// An empty table of access keys in memory.
async fn table() -> (Engine, shared::store::Client) {
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
