//! Counts the store's requests of each unit of work, and publishes its metrics.
//!
//! The store counts its requests; [`measured`] asks it to, and [`Metrics::report`] publishes the counts.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use tracing::Instrument as _;

use super::metric::{self, Figure, Part, Sink};
use crate::domain::time::Timestamp;
use crate::store::requests::{counted, counted_with_caller};

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
    let work = AssertUnwindSafe(work).catch_unwind();
    let (output, counts) = counted(work).await;
    let usage = Usage {
        requests: counts.requests,
        retries: counts.requests.saturating_sub(counts.operations),
        conflicts: counts.conflicts,
        units: counts.units,
        taken: started.elapsed(),
    };
    (output.ok(), usage)
}

/// Makes a task that is spawned a part of the present unit of work: its requests are counted with it, and
/// its lines in the log are of the same span.
pub fn as_part<F: Future>(work: F) -> impl Future<Output = F::Output> {
    counted_with_caller(work.in_current_span())
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
