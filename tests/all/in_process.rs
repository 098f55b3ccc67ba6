//! The short way to the embedded engine gives what the SDK gives, which sends it JSON and parses that.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue as Value, ConditionCheck, KeysAndAttributes, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure as OnFailure, Select, TransactWriteItem,
};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use local::engine::Engine;
use local::table::{self, Upgrade};
use local::transport;
use shared::runtime::clients::Clients;
use shared::store::Client;
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

/// Both clients of one engine with three items: on the short way, and with the SDK and JSON.
async fn clients() -> [Client; 2] {
    let engine = Engine::in_memory().unwrap();
    let client = Clients::dynamodb_in_process(engine.clone());
    table::make(&client, TABLE, Upgrade::Refuse).await.unwrap();
    for number in 0..3 {
        let put = client.put_item().table_name(TABLE);
        let put = put.set_item(Some(item(number)));
        client.send(&put).await.unwrap();
    }
    [client, Clients::dynamodb_through(Json(engine)).into()]
}

/// Sends a request with both clients and compares what they get.
macro_rules! same {
    ($clients:expr, $request:expr) => {{
        let [own, json] = &$clients;
        let request = $request(own);
        let found = own.send(&request).await;
        let json = json.send(&request).await;
        assert_eq!(found.is_ok(), json.is_ok(), "{found:?}\n{json:?}");
        match (&found, json) {
            (Ok(found), Ok(json)) => assert_eq!(*found, json),
            (Err(found), Err(json)) => {
                let [found, json] = [found.as_service_error(), json.as_service_error()];
                let (found, json) = (found.unwrap(), json.unwrap());
                assert_eq!(found.to_string(), json.to_string());
            }
            _ => unreachable!(),
        }
        found
    }};
}

#[tokio::test]
async fn an_item_is_the_same_on_both_ways() {
    let clients = clients().await;
    for number in [0, 9] {
        let get = |client: &Client| {
            let get = client.get_item().table_name(TABLE);
            let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
            get.set_key(Some(key(number)))
        };
        let found = same!(clients, get).unwrap();
        assert_eq!(found.item.is_some(), number == 0);
        assert!(found.consumed_capacity.is_some());
    }
}

#[tokio::test]
async fn a_part_of_an_item_is_the_same_on_both_ways() {
    let clients = clients().await;
    let get = |client: &Client| {
        let get = client.get_item().table_name(TABLE).consistent_read(true);
        let get = get.projection_expression("#pk").set_key(Some(key(0)));
        get.set_expression_attribute_names(names(&["#pk"]))
    };
    let found = same!(clients, get).unwrap();
    assert_eq!(found.item.unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_is_the_same_on_both_ways() {
    let clients = clients().await;
    let get = |client: &Client| {
        let keys = [0, 2, 9].map(key).to_vec();
        let keys = KeysAndAttributes::builder().set_keys(Some(keys));
        let get = client.batch_get_item();
        get.request_items(TABLE, keys.build().unwrap())
    };
    let found = same!(clients, get).unwrap();
    assert_eq!(found.responses.unwrap()[TABLE].len(), 2);
}

#[tokio::test]
async fn a_page_is_the_same_on_both_ways() {
    let clients = clients().await;
    let mut start = None;
    for (ascending, limit, more) in [(true, 2, true), (true, 5, false), (false, 5, false)] {
        let query = |client: &Client| {
            let query = client.query().table_name(TABLE).limit(limit);
            query
                .scan_index_forward(ascending)
                .key_condition_expression("#pk = :pk")
                .filter_expression("attribute_exists(#number)")
                .set_exclusive_start_key(start.clone())
                .set_expression_attribute_names(Some(HashMap::from([
                    ("#pk".to_owned(), at::PK.to_owned()),
                    ("#number".to_owned(), "number".to_owned()),
                ])))
                .expression_attribute_values(":pk", Value::S("a".to_owned()))
        };
        let found = same!(clients, query).unwrap();
        assert_eq!(found.last_evaluated_key.is_some(), more);
        start = found.last_evaluated_key;
    }
}

#[tokio::test]
async fn a_statement_is_the_same_on_both_ways() {
    let clients = clients().await;
    let words = "SELECT pk, sk FROM \"imshare\" WHERE pk IN [?, ?] ORDER BY pk ASC, sk ASC";
    for (words, limit, found) in [
        (words, 2, 2),
        (words, 5, 3),
        ("SELECT pk FROM \"imshare\"", 5, 0),
    ] {
        let select = |client: &Client| {
            let select = client.execute_statement().statement(words).limit(limit);
            let keys = ["a", "b"].map(|key| Value::S(key.to_owned()));
            select.set_parameters(Some(keys.to_vec()))
        };
        // What would read the whole table is refused.
        let rows = same!(clients, select).map(|page| page.items().len());
        assert_eq!(rows.unwrap_or_default(), found, "{words}");
    }
}

#[tokio::test]
async fn a_count_is_the_same_on_both_ways() {
    let clients = clients().await;
    let query = |client: &Client| {
        let query = client.query().table_name(TABLE).select(Select::Count);
        query
            .key_condition_expression("#pk = :pk")
            .set_expression_attribute_names(names(&["#pk"]))
            .expression_attribute_values(":pk", Value::S("a".to_owned()))
    };
    let found = same!(clients, query).unwrap();
    assert_eq!((found.count, found.items), (3, None));
}

#[tokio::test]
async fn an_error_is_the_same_on_both_ways() {
    let clients = clients().await;
    let get = |client: &Client| {
        let get = client.get_item().table_name("absent");
        get.set_key(Some(key(0)))
    };
    let error = same!(clients, get).unwrap_err();
    let error = error.into_service_error();
    assert!(error.is_resource_not_found_exception());
}

#[tokio::test]
async fn a_failed_condition_is_the_same_on_both_ways() {
    let clients = clients().await;
    let put = |client: &Client| {
        let put = client.put_item().table_name(TABLE);
        put.set_item(Some(item(0)))
            .condition_expression("attribute_not_exists(#pk)")
            .set_expression_attribute_names(names(&["#pk"]))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    };
    let error = same!(clients, put).unwrap_err().into_service_error();
    let PutItemError::ConditionalCheckFailedException(failed) = error else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item.unwrap()[at::SK], item(0)[at::SK]);
    let transact = |client: &Client| {
        let check = ConditionCheck::builder()
            .table_name(TABLE)
            .set_key(Some(key(1)))
            .condition_expression("attribute_not_exists(#pk)")
            .set_expression_attribute_names(names(&["#pk"]))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let check = TransactWriteItem::builder().condition_check(check.build().unwrap());
        let transact = client.transact_write_items();
        transact.transact_items(check.build())
    };
    let error = same!(clients, transact).unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}");
    };
    let reason = cancelled.cancellation_reasons().first().unwrap();
    assert_eq!(reason.item.as_ref().unwrap()[at::SK], item(1)[at::SK]);
}
