//! Reads of the embedded engine beside its writes, on connections of their own.

use aws_sdk_dynamodb::types::AttributeValue;
use local::engine::Engine;
use local::storage::Health;
use local::table::{self, Upgrade};
use serde_json::json;
use shared::runtime::clients::Clients;
use shared::store::Client;
use shared::store::keys as at;

const TABLE: &str = "imshare";

async fn engine(directory: &tempfile::TempDir) -> (Engine, Client) {
    let path = directory.path();
    let engine = Engine::in_file(&path.join("table.sqlite"), Health::of(path)).unwrap();
    let client = Clients::dynamodb_in_process(engine.clone());
    table::make(&client, TABLE, Upgrade::Refuse).await.unwrap();
    (engine, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_was_answered_reads_the_write() {
    let directory = tempfile::tempdir().unwrap();
    let (_, client) = engine(&directory).await;
    let writers = (0..8).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            let text = |number: usize| AttributeValue::S(number.to_string());
            for value in 0..50 {
                let put = client.put_item().table_name(TABLE);
                let put = put.item(at::PK, text(writer)).item(at::SK, text(0));
                put.item("value", text(value)).send().await.unwrap();
                let get = client.get_item().table_name(TABLE);
                let get = get.key(at::PK, text(writer)).key(at::SK, text(0));
                let found = get.consistent_read(true).send().await.unwrap();
                assert_eq!(found.item.unwrap()["value"], text(value));
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
}

/// A connection remembers the definition of a table, so it must not outlive the definition.
#[tokio::test]
async fn a_new_index_can_be_read_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, _) = engine(&directory).await;
    let query = json!({
        "TableName": TABLE,
        "IndexName": "by_colour",
        "KeyConditionExpression": "colour = :red",
        "ExpressionAttributeValues": {":red": {"S": "red"}},
    });
    let put = json!({
        "TableName": TABLE,
        "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}, "colour": {"S": "red"}},
    });
    let create = json!({
        "TableName": TABLE,
        "AttributeDefinitions": [{"AttributeName": "colour", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": {
            "IndexName": "by_colour",
            "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }}],
    });
    let steps = [
        ("PutItem", &put, 200),
        ("Query", &query, 400),
        ("UpdateTable", &create, 200),
        ("Query", &query, 200),
    ];
    let mut answer = String::new();
    for (operation, body, status) in steps {
        let answered = engine.perform(operation, &body.to_string()).await;
        assert_eq!(answered.0, status, "{operation}: {}", answered.1);
        answer = answered.1;
    }
    let found: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(found["Count"], 1, "{found}");
}
