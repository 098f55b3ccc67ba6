//! Answers the store's requests by the engine in this process. Those that read come as the SDK's types and are
//! answered in them: writing JSON and parsing it took a quarter of a request's time. The others are JSON, as over HTTP.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::execute_statement::{
    ExecuteStatementInput, ExecuteStatementOutput,
};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dynoxide::Database;
use dynoxide::actions::batch_get_item::{
    BatchGetItemRequest, BatchGetItemResponse, KeysAndAttributes,
};
use dynoxide::actions::execute_statement::{ExecuteStatementRequest, ExecuteStatementResponse};
use dynoxide::actions::get_item::{GetItemRequest, GetItemResponse};
use dynoxide::actions::query::{QueryRequest, QueryResponse};
use dynoxide::errors::DynoxideError;
use dynoxide::types as engine;
use shared::store::{self, Answer};

use crate::engine::{Engine, select};
use crate::transport;

/// Most bytes of a partition key and of a sort key in DynamoDB.
const PARTITION_KEY_MAX: usize = 2048;
/// See [`PARTITION_KEY_MAX`].
const SORT_KEY_MAX: usize = 1024;

transport::sdk_transport!(Engine, perform_once);

impl store::Engine for Engine {
    fn read(&self, input: Input) -> Answer {
        let input = match input.downcast::<GetItemInput>() {
            Ok(get) => {
                let read = |database: &Database| database.get_item(to_get(get));
                return self.answer(self.reading("GetItem", read), got);
            }
            Err(input) => input,
        };
        let input = match input.downcast::<BatchGetItemInput>() {
            Ok(get) => {
                let read = |database: &Database| database.batch_get_item(to_batch_get(get));
                return self.answer(self.reading("BatchGetItem", read), batch_got);
            }
            Err(input) => input,
        };
        let input = match input.downcast::<ExecuteStatementInput>() {
            Ok(statement) => {
                let read = |database: &Database| select(database, to_statement(statement));
                return self.answer(self.reading("ExecuteStatement", read), selected);
            }
            Err(input) => input,
        };
        match input.downcast::<QueryInput>() {
            Ok(query) => {
                let read = |database: &Database| {
                    let query = to_query(query);
                    check_keys(&query)?;
                    database.query(query)
                };
                self.answer(self.reading("Query", read), queried)
            }
            Err(input) => Answer::AsJson(input),
        }
    }
}

impl Engine {
    fn answer<T>(&self, read: Result<T, DynoxideError>, found: impl FnOnce(T) -> Answer) -> Answer {
        read.map_or_else(
            |error| Answer::Response(transport::response(self.failed(&error))),
            found,
        )
    }
}

fn to_get(input: GetItemInput) -> GetItemRequest {
    GetItemRequest {
        table_name: input.table_name.unwrap_or_default(),
        key: from_item(input.key.unwrap_or_default()),
        consistent_read: input.consistent_read,
        projection_expression: input.projection_expression,
        expression_attribute_names: input.expression_attribute_names,
        return_consumed_capacity: wanted(input.return_consumed_capacity),
        attributes_to_get: input.attributes_to_get,
    }
}

fn to_batch_get(input: BatchGetItemInput) -> BatchGetItemRequest {
    let tables = input.request_items.unwrap_or_default().into_iter();
    let tables = tables.map(|(table, wanted)| {
        let keys = KeysAndAttributes {
            keys: wanted.keys.into_iter().map(from_item).collect(),
            projection_expression: wanted.projection_expression,
            expression_attribute_names: wanted.expression_attribute_names,
            consistent_read: wanted.consistent_read,
            attributes_to_get: wanted.attributes_to_get,
        };
        (table, keys)
    });
    BatchGetItemRequest {
        request_items: tables.collect(),
        return_consumed_capacity: wanted(input.return_consumed_capacity),
    }
}

fn to_query(input: QueryInput) -> QueryRequest {
    QueryRequest {
        table_name: input.table_name.unwrap_or_default(),
        index_name: input.index_name,
        key_condition_expression: input.key_condition_expression,
        filter_expression: input.filter_expression,
        projection_expression: input.projection_expression,
        expression_attribute_names: input.expression_attribute_names,
        expression_attribute_values: input.expression_attribute_values.map(from_item),
        scan_index_forward: input.scan_index_forward.unwrap_or(true),
        limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
        exclusive_start_key: input.exclusive_start_key.map(from_item),
        select: input.select.map(|select| select.as_str().to_owned()),
        consistent_read: input.consistent_read,
        return_consumed_capacity: wanted(input.return_consumed_capacity),
        attributes_to_get: input.attributes_to_get,
        ..QueryRequest::default()
    }
}

fn to_statement(input: ExecuteStatementInput) -> ExecuteStatementRequest {
    let parameters = input.parameters;
    ExecuteStatementRequest {
        statement: input.statement.unwrap_or_default(),
        parameters: parameters.map(|all| all.into_iter().map(from_value).collect()),
        limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
        next_token: input.next_token,
        consistent_read: input.consistent_read,
        return_consumed_capacity: wanted(input.return_consumed_capacity),
        ..ExecuteStatementRequest::default()
    }
}

fn wanted(capacity: Option<ReturnConsumedCapacity>) -> Option<String> {
    capacity.map(|capacity| capacity.as_str().to_owned())
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

fn got(found: GetItemResponse) -> Answer {
    let found = GetItemOutput::builder()
        .set_item(found.item.map(item))
        .set_consumed_capacity(found.consumed_capacity.map(capacity))
        .build();
    Answer::Found(Output::erase(found))
}

fn batch_got(found: BatchGetItemResponse) -> Answer {
    if !found.unprocessed_keys.is_empty() {
        // The keys are in JSON. This is rare: more than 16 MB were asked for.
        let body = serde_json::to_string(&found).unwrap_or_default();
        return Answer::Response(transport::response((200, body)));
    }

    let tables = found.responses.into_iter();
    let tables = tables.map(|(table, items)| (table, items.into_iter().map(item).collect()));
    let capacities = found.consumed_capacity;
    let found = BatchGetItemOutput::builder()
        .set_responses(Some(tables.collect()))
        .set_unprocessed_keys(Some(HashMap::new()))
        .set_consumed_capacity(capacities.map(|all| all.into_iter().map(capacity).collect()))
        .build();
    Answer::Found(Output::erase(found))
}

fn queried(found: QueryResponse) -> Answer {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let items = found.items;
    let found = QueryOutput::builder()
        .set_items(items.map(|items| items.into_iter().map(item).collect()))
        .count(number(found.count))
        .scanned_count(number(found.scanned_count))
        .set_last_evaluated_key(found.last_evaluated_key.map(item))
        .set_consumed_capacity(found.consumed_capacity.map(capacity))
        .build();
    Answer::Found(Output::erase(found))
}

fn selected(found: ExecuteStatementResponse) -> Answer {
    let items = found.items;
    let found = ExecuteStatementOutput::builder()
        .set_items(items.map(|items| items.into_iter().map(item).collect()))
        .set_next_token(found.next_token)
        .set_consumed_capacity(found.consumed_capacity.map(capacity))
        .build();
    Answer::Found(Output::erase(found))
}

/// An item of the SDK as the engine has it.
fn from_item(item: HashMap<String, AttributeValue>) -> engine::Item {
    let attributes = item.into_iter();
    attributes
        .map(|(name, it)| (name, from_value(it)))
        .collect()
}

fn from_value(value: AttributeValue) -> engine::AttributeValue {
    use engine::AttributeValue as Engine;
    let bytes = |all: Vec<Blob>| all.into_iter().map(Blob::into_inner).collect();
    match value {
        AttributeValue::S(text) => Engine::S(text),
        AttributeValue::N(number) => Engine::N(number),
        AttributeValue::B(it) => Engine::B(it.into_inner()),
        AttributeValue::Bool(is) => Engine::BOOL(is),
        AttributeValue::Ss(texts) => Engine::SS(texts),
        AttributeValue::Ns(numbers) => Engine::NS(numbers),
        AttributeValue::Bs(all) => Engine::BS(bytes(all)),
        AttributeValue::L(list) => Engine::L(list.into_iter().map(from_value).collect()),
        AttributeValue::M(map) => Engine::M(from_item(map)),
        // What is left is null, or a type that DynamoDB has not yet.
        _ => Engine::NULL(true),
    }
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
