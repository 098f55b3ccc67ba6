//! What the embedded engine hands to the SDK as it is equals what the SDK parses from its JSON.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue as Value, KeysAndAttributes};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use local::engine::Engine;
use local::table::{self, Upgrade};
use local::transport;
use shared::runtime::clients::Clients;
use shared::store::expression::names;
use shared::store::keys as at;

const TABLE: &str = "imshare";

/// The engine's JSON, as it is served on a port.
#[derive(Clone, Debug)]
struct Json(Engine);

impl HttpConnector for Json {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.0.clone();
        HttpConnectorFuture::new(async move {
            let (operation, body) = transport::parts(&request).unwrap();
            transport::response(engine.perform(operation, body).await)
        })
    }
}

fn key(number: usize) -> HashMap<String, Value> {
    HashMap::from([
        (at::PK.to_owned(), Value::S("a".to_owned())),
        (at::SK.to_owned(), Value::S(number.to_string())),
    ])
}

/// An item with a value of every type.
fn item(number: usize) -> HashMap<String, Value> {
    let text = |text: &str| Value::S(text.to_owned());
    let texts = || vec!["x".to_owned(), "\u{1}ü\"".to_owned()];
    let list = vec![Value::Null(true), Value::Bool(false), text("")];
    let map = HashMap::from([("in".to_owned(), Value::L(list.clone()))]);
    let more = [
        ("number", Value::N("1234567890.5".to_owned())),
        ("bytes", Value::B(Blob::new([0, 255]))),
        ("texts", Value::Ss(texts())),
        ("numbers", Value::Ns(vec!["2".to_owned(), "10".to_owned()])),
        ("blobs", Value::Bs(vec![Blob::new([1]), Blob::new([2])])),
        ("list", Value::L(list)),
        ("map", Value::M(map)),
    ];
    let mut item = key(number);
    item.extend(more.map(|(name, value)| (name.to_owned(), value)));
    item
}

/// Both clients of one engine with three items: without JSON, and with it.
async fn clients() -> (Client, Client) {
    let engine = Engine::in_memory().unwrap();
    let client = Clients::dynamodb_in_process(engine.clone());
    table::make(&client, TABLE, Upgrade::Refuse).await.unwrap();
    for number in 0..3 {
        let put = client.put_item().table_name(TABLE);
        put.set_item(Some(item(number))).send().await.unwrap();
    }
    (client, Clients::dynamodb_in_process(Json(engine)))
}

#[tokio::test]
async fn an_item_is_the_same_with_and_without_json() {
    let (own, json) = clients().await;
    for number in [0, 9] {
        let get = |client: &Client| {
            let get = client.get_item().table_name(TABLE);
            get.set_key(Some(key(number))).send()
        };
        let found = get(&own).await.unwrap();
        assert_eq!(found, get(&json).await.unwrap());
        assert_eq!(found.item.is_some(), number == 0);
        assert!(found.consumed_capacity.is_some());
    }
}

#[tokio::test]
async fn a_batch_is_the_same_with_and_without_json() {
    let (own, json) = clients().await;
    let get = |client: &Client| {
        let keys = [0, 2, 9].map(key).to_vec();
        let keys = KeysAndAttributes::builder().set_keys(Some(keys));
        let get = client.batch_get_item();
        get.request_items(TABLE, keys.build().unwrap()).send()
    };
    let found = get(&own).await.unwrap();
    assert_eq!(found, get(&json).await.unwrap());
    assert_eq!(found.responses.unwrap()[TABLE].len(), 2);
}

#[tokio::test]
async fn a_page_is_the_same_with_and_without_json() {
    let (own, json) = clients().await;
    for (limit, more) in [(2, true), (5, false)] {
        let query = |client: &Client| {
            let query = client.query().table_name(TABLE).limit(limit);
            query
                .key_condition_expression("#pk = :pk")
                .set_expression_attribute_names(names(&["#pk"]))
                .expression_attribute_values(":pk", Value::S("a".to_owned()))
                .send()
        };
        let found = query(&own).await.unwrap();
        assert_eq!(found, query(&json).await.unwrap());
        assert_eq!(found.last_evaluated_key.is_some(), more);
    }
}

#[tokio::test]
async fn an_error_is_the_same_with_and_without_json() {
    let (own, json) = clients().await;
    let get = |client: &Client| {
        let get = client.get_item().table_name("absent");
        get.set_key(Some(key(0))).send()
    };
    let errors = [get(&own).await.unwrap_err(), get(&json).await.unwrap_err()];
    let errors = errors.map(|error| error.into_service_error());
    assert!(
        errors
            .iter()
            .all(|error| error.is_resource_not_found_exception())
    );
    assert_eq!(errors[0].to_string(), errors[1].to_string());
}
