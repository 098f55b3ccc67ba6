//! Counts the store's requests of each unit of work, and publishes its metrics.
//!
//! A [`RequestCounter`] in the store's client adds to the counters of the current task; [`measured`]
//! sets them up and [`Metrics::report`] publishes them.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
    FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use tracing::Instrument as _;

use super::metric::{self, Figure, Part, Sink};
use crate::domain::time::Timestamp;

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

/// What a unit of work used of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Requests, retries included.
    pub requests: u64,
    /// Requests that were retries.
    pub retries: u64,
    /// Requests that conflicted with a transaction.
    pub conflicts: u64,
    /// Request units that the store reported, reads and writes. It reports none for failed conditions.
    pub units: f64,
    /// The time that the work took.
    pub taken: Duration,
}

/// The result of a unit of work.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The log's word for it.
    pub how: &'static str,
    /// The HTTP status, if it was a request.
    pub status: Option<u16>,
    /// Whether it was refused: the caller's fault.
    pub refused: bool,
    /// Whether it failed: our fault.
    pub failed: bool,
}

/// Runs a unit of work and counts its requests to the store. Returns `None` for its output if it panicked.
pub async fn measured<F: Future>(work: F) -> (Option<F::Output>, Usage) {
    let started = Instant::now();
    let counters = Arc::new(Counters::default());
    let work = AssertUnwindSafe(work).catch_unwind();
    let output = COUNTERS.scope(Arc::clone(&counters), work).await;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let requests = count(&counters.requests);
    let usage = Usage {
        requests,
        retries: requests.saturating_sub(count(&counters.operations)),
        conflicts: count(&counters.conflicts),
        units: count(&counters.milliunits) as f64 / 1000.0,
        taken: started.elapsed(),
    };
    (output.ok(), usage)
}

/// Makes a task that is spawned a part of the present unit of work: its requests are counted with it, and
/// its lines in the log are of the same span.
pub fn as_part<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let counters = COUNTERS.try_with(Arc::clone).unwrap_or_default();
    COUNTERS.scope(counters, work.in_current_span())
}

/// Publishes metrics: to CloudWatch by standard output, to a [`Sink`], or nowhere.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    namespace: Option<Arc<str>>,
    sink: Option<Arc<dyn Sink>>,
}

impl Metrics {
    /// Metrics under a namespace of CloudWatch; `None` writes none.
    pub fn new(namespace: Option<String>) -> Self {
        Self {
            namespace: namespace.map(Arc::from),
            sink: None,
        }
    }

    /// Metrics that this sink takes.
    pub fn to(sink: Arc<dyn Sink>) -> Self {
        Self {
            namespace: None,
            sink: Some(sink),
        }
    }

    /// Reports a unit of work: one line in the log, and metrics if somebody takes them.
    ///
    /// `operation` names the work; for the rest see [`Self::publish`].
    pub fn report(
        &self,
        now: Timestamp,
        usage: &Usage,
        ended: &Ended,
        properties: &[(&str, &str)],
        operation: impl FnOnce() -> String,
    ) {
        tracing::info!(
            http.status = ended.status,
            ok = !ended.failed,
            duration_us = u64::try_from(usage.taken.as_micros()).unwrap_or(u64::MAX),
            store.requests = usage.requests,
            store.retries = usage.retries,
            store.conflicts = usage.conflicts,
            store.units = usage.units,
            "{}",
            ended.how
        );
        if self.namespace.is_none() && self.sink.is_none() {
            return;
        }
        let count = |value: bool| f64::from(u8::from(value));
        let milliseconds = usage.taken.as_secs_f64() * 1000.0;
        let requests = ended.status.map_or(Part::Whole, Part::Status);
        let figures = [
            metric::REQUESTS.part(requests, 1.0),
            metric::DURATION.of(milliseconds),
            metric::REFUSED.of(count(ended.refused)),
            metric::FAILED.of(count(ended.failed)),
            metric::STORE_REQUESTS.of(usage.requests as f64),
            metric::STORE_RETRIES.of(usage.retries as f64),
            metric::STORE_CONFLICTS.of(usage.conflicts as f64),
            metric::STORE_UNITS.of(usage.units),
        ];
        self.publish(now, &operation(), &figures, properties);
    }

    /// Publishes the figures of a unit of work. For CloudWatch this is one line on standard output, in
    /// the embedded metric format.
    ///
    /// `operation` is the dimension of some, see `OF_OPERATIONS`; `properties` are searchable texts.
    pub fn publish(
        &self,
        now: Timestamp,
        operation: &str,
        figures: &[Figure],
        properties: &[(&str, &str)],
    ) {
        if let Some(sink) = &self.sink {
            sink.record(operation, figures);
        }
        if let Some(namespace) = &self.namespace {
            let line = line(namespace, now, operation, figures, properties);
            // The work is done, whether or not its metrics can be written.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}

/// The metrics of each operation. The others are metrics of the whole service, because CloudWatch
/// charges for each metric of each operation; the line has the values of all.
const OF_OPERATIONS: [&str; 6] = [
    "Duration",
    "Entries",
    "JobAge",
    "Overdue",
    "OverdueFor",
    "Succeeded",
];
/// The metrics of the whole service.
const OF_SERVICE: [&str; 7] = [
    "Failed",
    "Refused",
    "Requests",
    "StoreConflicts",
    "StoreRequests",
    "StoreRetries",
    "StoreUnits",
];

/// One document of the embedded metric format:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
/// A value whose name is in neither list, such as the count of a code, is in the line alone.
fn line(
    namespace: &str,
    now: Timestamp,
    operation: &str,
    figures: &[Figure],
    properties: &[(&str, &str)],
) -> Value {
    let directive = |dimension: &str, names: &[&str]| {
        let figures = figures.iter();
        let named = figures.filter(|figure| names.contains(&figure.name()));
        let named: Vec<Value> = named
            .map(|figure| json!({"Name": figure.name(), "Unit": figure.metric.unit.as_str()}))
            .collect();
        let has_any = !named.is_empty();
        let directive =
            json!({"Namespace": namespace, "Dimensions": [[dimension]], "Metrics": named});
        has_any.then_some(directive)
    };
    let directives = [
        directive("Operation", &OF_OPERATIONS),
        directive("Service", &OF_SERVICE),
    ];
    let directives: Vec<Value> = directives.into_iter().flatten().collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({"Timestamp": now.micros() / 1000, "CloudWatchMetrics": directives}),
    );
    line.insert("Operation".to_owned(), operation.into());
    line.insert("Service".to_owned(), "imshare".into());
    for figure in figures {
        line.insert(figure.name().to_owned(), figure.value.into());
    }
    for (name, value) in properties {
        line.insert((*name).to_owned(), (*value).into());
    }
    Value::Object(line)
}

/// Counts the store's requests, and asks for the units that each consumes.
#[derive(Debug)]
pub struct RequestCounter;

/// Adds to the counters of the current task, if [`measured`] has set any up.
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
        ask_for_capacity!(
            context.input_mut(),
            BatchGetItemInput,
            DeleteItemInput,
            GetItemInput,
            PutItemInput,
            QueryInput,
            TransactWriteItemsInput,
            UpdateItemInput
        );
        count(|counters| {
            counters.operations.fetch_add(1, Ordering::Relaxed);
        });
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(output) = context.output_or_error() {
            let capacities = capacities!(
                output,
                one: DeleteItemOutput, GetItemOutput, PutItemOutput, QueryOutput, UpdateItemOutput;
                many: BatchGetItemOutput, TransactWriteItemsOutput
            );
            let units: f64 = capacities.iter().filter_map(|c| c.capacity_units()).sum();
            count(|counters| {
                counters
                    .milliunits
                    .fetch_add((units * 1000.0).round() as u64, Ordering::Relaxed);
            });
        } else if let Some(body) = context.response().body().bytes() {
            // The error of a single write and the reason of a cancelled transaction both have it.
            const CONFLICT: &[u8] = b"TransactionConflict";
            if body.windows(CONFLICT.len()).any(|part| part == CONFLICT) {
                count(|counters| {
                    counters.conflicts.fetch_add(1, Ordering::Relaxed);
                });
            }
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        count(|counters| {
            counters.requests.fetch_add(1, Ordering::Relaxed);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_spawned_is_a_part_of_its_unit_of_work() {
        let _log = tracing::subscriber::set_default(tracing_subscriber::registry());
        let span = tracing::info_span!("message");
        let asks = async || {
            count(|counters| {
                counters.requests.fetch_add(1, Ordering::Relaxed);
            });
            tracing::Span::current().id()
        };
        let spawns = async || tokio::spawn(as_part(asks())).await.unwrap();
        let (found, usage) = measured(spawns().instrument(span.clone())).await;
        assert!(span.id().is_some());
        assert_eq!((found, usage.requests), (Some(span.id()), 1));
        // There need not be one.
        assert_eq!(spawns().await, None);
    }

    #[test]
    fn a_line_names_its_metrics_and_has_their_values() {
        let line = line(
            "stack",
            Timestamp::from_micros(1_700_000_000_123_456),
            "GET /v2/images",
            &[
                metric::DURATION.of(1.5),
                metric::REQUESTS.part(Part::Status(200), 1.0),
                metric::FAILED_ENTRIES.part(Part::Code("IMG.0027"), 2.0),
            ],
            &[("RequestId", "req-1")],
        );
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_123_i64);
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let of = |position: usize| {
            let names = directives[position]["Metrics"].as_array().unwrap().iter();
            let names: Vec<&Value> = names.map(|metric| &metric["Name"]).collect();
            (&directives[position]["Dimensions"][0][0], names)
        };
        assert_eq!(of(0), (&json!("Operation"), vec![&json!("Duration")]));
        assert_eq!(of(1), (&json!("Service"), vec![&json!("Requests")]));
        // What is only in the line costs nothing.
        assert_eq!((directives.len(), &line["IMG.0027"]), (2, &json!(2.0)));
        for directive in directives {
            assert_eq!(directive["Namespace"], "stack");
            for metric in directive["Metrics"].as_array().unwrap() {
                assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{line}");
            }
            for dimension in directive["Dimensions"][0].as_array().unwrap() {
                assert!(line[dimension.as_str().unwrap()].is_string(), "{line}");
            }
        }
        assert_eq!(line["RequestId"], "req-1");
        // Its dashboards and alarms know these names and units.
        let named = &directives[0]["Metrics"];
        assert_eq!(
            named[0],
            json!({"Name": "Duration", "Unit": "Milliseconds"})
        );
    }
}
