//! Counts the store's requests, and the units that they consume, for each unit of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
    FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::execute_statement::{
    ExecuteStatementInput, ExecuteStatementOutput,
};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

tokio::task_local! {
    static COUNTERS: Arc<Counters>;
}

#[derive(Debug, Default)]
struct Counters {
    operations: AtomicU64,
    requests: AtomicU64,
    conflicts: AtomicU64,
    milliunits: AtomicU64,
}

/// What a unit of work asked of the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// What it asked for, however often that had to be sent.
    pub operations: u64,
    /// Requests, retries included.
    pub requests: u64,
    /// Requests that conflicted with a transaction.
    pub conflicts: u64,
    /// Request units that the store reported, reads and writes. It reports none for failed conditions.
    pub units: f64,
}

/// Runs a unit of work and counts its requests.
pub async fn counted<F: Future>(work: F) -> (F::Output, Counts) {
    let counters = Arc::new(Counters::default());
    let output = COUNTERS.scope(Arc::clone(&counters), work).await;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counts = Counts {
        operations: count(&counters.operations),
        requests: count(&counters.requests),
        conflicts: count(&counters.conflicts),
        units: count(&counters.milliunits) as f64 / 1000.0,
    };
    (output, counts)
}

/// Counts the requests of a task that is spawned with those of the present unit of work.
pub fn counted_with_caller<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let counters = COUNTERS.try_with(Arc::clone).unwrap_or_default();
    COUNTERS.scope(counters, work)
}

/// Counts the requests of an SDK's client, and asks for the units that each consumes.
#[derive(Debug)]
pub struct RequestCounter;

/// Adds to the counters of the current task, if [`counted`] has set any up.
fn count(what: impl Fn(&Counters)) {
    let _ = COUNTERS.try_with(|counters| what(counters));
}

macro_rules! ask_for_capacity {
    ($input:expr, $($type:ty),+) => {
        $(if let Some(input) = $input.downcast_mut::<$type>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        })+
    };
}

macro_rules! capacities {
    ($output:expr, one: $($one:ty),+; many: $($many:ty),+) => {{
        let mut found: &[ConsumedCapacity] = &[];
        $(if let Some(output) = $output.downcast_ref::<$one>() {
            found = output.consumed_capacity.as_slice();
        })+
        $(if let Some(output) = $output.downcast_ref::<$many>() {
            found = output.consumed_capacity();
        })+
        found
    }};
}

/// Counts an operation that is about to be asked for, and asks for the units that it consumes.
fn begin_operation(input: &mut Input) {
    ask_for_capacity!(
        input,
        BatchGetItemInput,
        DeleteItemInput,
        ExecuteStatementInput,
        GetItemInput,
        PutItemInput,
        QueryInput,
        TransactWriteItemsInput,
        UpdateItemInput
    );
    count(|counters| {
        counters.operations.fetch_add(1, Ordering::Relaxed);
    });
}

/// Counts a request, be it the first of its operation or a retry.
fn count_request() {
    count(|counters| {
        counters.requests.fetch_add(1, Ordering::Relaxed);
    });
}

/// The same for a request that is never retried.
pub(crate) fn begin_request(input: &mut Input) {
    begin_operation(input);
    count_request();
}

/// Counts the units that an operation has consumed.
pub(crate) fn end_request(output: &Output) {
    let capacities = capacities!(
        output,
        one: DeleteItemOutput, ExecuteStatementOutput, GetItemOutput, PutItemOutput, QueryOutput, UpdateItemOutput;
        many: BatchGetItemOutput, TransactWriteItemsOutput
    );
    let units: f64 = capacities.iter().filter_map(|c| c.capacity_units()).sum();
    count(|counters| {
        counters
            .milliunits
            .fetch_add((units * 1000.0).round() as u64, Ordering::Relaxed);
    });
}

/// Counts a conflict, if the response says that there was one.
pub(crate) fn fail_request(response: &HttpResponse) {
    // The error of a single write and the reason of a cancelled transaction both have it.
    const CONFLICT: &[u8] = b"TransactionConflict";
    let body = response.body().bytes().unwrap_or_default();
    if body.windows(CONFLICT.len()).any(|part| part == CONFLICT) {
        count(|counters| {
            counters.conflicts.fetch_add(1, Ordering::Relaxed);
        });
    }
}

impl Intercept for RequestCounter {
    fn name(&self) -> &'static str {
        "RequestCounter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        begin_operation(context.input_mut());
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match context.output_or_error() {
            Ok(output) => end_request(output),
            Err(_) => fail_request(context.response()),
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        count_request();
        Ok(())
    }
}
