//! Makes the engine an HTTP client of the AWS SDK. Requests are the SDK's, in JSON. What reads find is
//! handed over as it is: writing it as JSON and parsing that took a quarter of a request's time.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use dynoxide::actions::batch_get_item::BatchGetItemResponse;
use dynoxide::actions::get_item::GetItemResponse;
use dynoxide::actions::query::{QueryRequest, QueryResponse};
use dynoxide::errors::DynoxideError;
use dynoxide::types as engine;
use shared::runtime::in_process::response;

use crate::engine::Engine;
use crate::transport;

/// Most bytes of a partition key and of a sort key in DynamoDB.
const PARTITION_KEY_MAX: usize = 2048;
/// See [`PARTITION_KEY_MAX`].
const SORT_KEY_MAX: usize = 1024;

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let read = transport::parts(&request).and_then(|(name, body)| read(self, name, body));
        if let Some(read) = read {
            return HttpConnectorFuture::ready(match read {
                Ok(found) => Ok(found),
                Err(error) => transport::response(self.failed(&error)),
            });
        }
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            transport::response(match transport::parts(&request) {
                Some((operation, body)) => engine.perform_once(operation, body).await,
                None => transport::unreadable(),
            })
        })
    }
}

/// Performs an operation that reads; `None` if it is none.
fn read(
    engine: &Engine,
    operation: &str,
    body: &str,
) -> Option<Result<HttpResponse, DynoxideError>> {
    let answer = match operation {
        "GetItem" => engine
            .reading(operation, body, |database, it| database.get_item(it))
            .map(|found| response(got(found))),
        "BatchGetItem" => engine
            .reading(operation, body, |database, it| database.batch_get_item(it))
            .and_then(batch_got),
        "Query" => engine
            .reading(operation, body, |database, it: QueryRequest| {
                check_keys(&it)?;
                database.query(it)
            })
            .map(|found| response(queried(found))),
        _ => return None,
    };
    Some(answer)
}

/// Refuses a query by keys that DynamoDB does not take and the engine does: what makes such a key of a request's
/// text would be an error of ours there.
fn check_keys(query: &QueryRequest) -> Result<(), DynoxideError> {
    let condition = query.key_condition_expression.as_deref();
    let (partition, sort) = condition
        .and_then(|condition| condition.split_once(" AND "))
        .unwrap_or((condition.unwrap_or_default(), ""));
    for (name, value) in query.expression_attribute_values.iter().flatten() {
        let engine::AttributeValue::S(key) = value else {
            continue;
        };
        let names = |part: &str| {
            let mut words = part.split([' ', ',', '(', ')']);
            words.any(|word| word == name)
        };
        let most = match (names(partition), names(sort)) {
            (true, _) => PARTITION_KEY_MAX,
            (false, true) => SORT_KEY_MAX,
            (false, false) => continue,
        };
        if !(1..=most).contains(&key.len()) {
            let words = format!("a key of {} bytes", key.len());
            return Err(DynoxideError::ValidationException(words));
        }
    }
    Ok(())
}

fn got(found: GetItemResponse) -> GetItemOutput {
    GetItemOutput::builder()
        .set_item(found.item.map(item))
        .set_consumed_capacity(found.consumed_capacity.map(capacity))
        .build()
}

fn batch_got(found: BatchGetItemResponse) -> Result<HttpResponse, DynoxideError> {
    if !found.unprocessed_keys.is_empty() {
        // The keys are in JSON, as the request had them. This is rare: more than 16 MB were asked for.
        let body = serde_json::to_string(&found)
            .map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        return transport::response((200, body))
            .map_err(|error| DynoxideError::InternalServerError(error.to_string()));
    }
    let tables = found.responses.into_iter();
    let tables = tables.map(|(table, items)| (table, items.into_iter().map(item).collect()));
    let capacities = found.consumed_capacity;
    let found = BatchGetItemOutput::builder()
        .set_responses(Some(tables.collect()))
        .set_unprocessed_keys(Some(HashMap::new()))
        .set_consumed_capacity(capacities.map(|all| all.into_iter().map(capacity).collect()))
        .build();
    Ok(response(found))
}

fn queried(found: QueryResponse) -> QueryOutput {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let items = found.items;
    QueryOutput::builder()
        .set_items(items.map(|items| items.into_iter().map(item).collect()))
        .count(number(found.count))
        .scanned_count(number(found.scanned_count))
        .set_last_evaluated_key(found.last_evaluated_key.map(item))
        .set_consumed_capacity(found.consumed_capacity.map(capacity))
        .build()
}

/// An item of the engine as the SDK has it.
pub(crate) fn item(item: engine::Item) -> HashMap<String, AttributeValue> {
    let attributes = item.into_iter();
    attributes.map(|(name, it)| (name, value(it))).collect()
}

fn value(value: engine::AttributeValue) -> AttributeValue {
    use engine::AttributeValue as Engine;
    match value {
        Engine::S(text) => AttributeValue::S(text),
        Engine::N(number) => AttributeValue::N(number),
        Engine::B(bytes) => AttributeValue::B(Blob::new(bytes)),
        Engine::BOOL(is) => AttributeValue::Bool(is),
        Engine::NULL(is) => AttributeValue::Null(is),
        Engine::SS(texts) => AttributeValue::Ss(texts),
        Engine::NS(numbers) => AttributeValue::Ns(numbers),
        Engine::BS(all) => AttributeValue::Bs(all.into_iter().map(Blob::new).collect()),
        Engine::L(list) => AttributeValue::L(list.into_iter().map(self::value).collect()),
        Engine::M(map) => AttributeValue::M(item(map)),
    }
}

/// The total. The service asks for no more.
fn capacity(used: engine::ConsumedCapacity) -> ConsumedCapacity {
    ConsumedCapacity::builder()
        .table_name(used.table_name)
        .capacity_units(used.capacity_units)
        .build()
}
