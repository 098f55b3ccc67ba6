//! The metrics of the service: one definition for CloudWatch and for Prometheus.
//!
//! A figure is published by its [`Metric`], so neither can have a name or a unit of its own.

use std::fmt;

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in CloudWatch. The one in Prometheus is made from it.
    pub name: &'static str,
    /// What its figures are counted in.
    pub unit: Unit,
    /// How its figures are combined.
    pub kind: Kind,
    /// What it shows, for an operator.
    pub help: &'static str,
}

/// What figures are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Anything that is counted.
    Count,
    /// Time.
    Milliseconds,
}

impl Unit {
    /// CloudWatch's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// How the figures of a metric are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They are added up.
    Counter,
    /// The newest replaces the others.
    Gauge,
    /// Their distribution is of interest.
    Histogram,
}

/// A figure of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The metric.
    pub metric: &'static Metric,
    /// The part of the metric that the figure is of.
    pub part: Part,
    /// The value, in the metric's unit.
    pub value: f64,
}

/// A part of a metric. There are few of each kind, whatever clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// The answers with this HTTP status. CloudWatch's metrics are not divided by it.
    Status(u16),
    /// The entries that failed with this code. In CloudWatch it is the metric's name.
    Code(&'static str),
}

impl Metric {
    /// A figure of the whole metric.
    pub const fn of(&'static self, value: f64) -> Figure {
        self.part(Part::Whole, value)
    }

    /// A figure of a part of it.
    pub const fn part(&'static self, part: Part, value: f64) -> Figure {
        Figure {
            metric: self,
            part,
            value,
        }
    }
}

impl Figure {
    /// The name of its metric in CloudWatch.
    pub const fn name(&self) -> &'static str {
        match self.part {
            Part::Code(code) => code,
            Part::Whole | Part::Status(_) => self.metric.name,
        }
    }
}

/// Takes the figures of each unit of work.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Takes the figures of one unit of work. `operation` names the work; there are as many names as
    /// routes, functions and types of jobs.
    fn record(&self, operation: &str, figures: &[Figure]);
}

macro_rules! metrics {
    ($($(#[$what:meta])* $id:ident = $name:literal, $unit:ident, $kind:ident, $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $id: Metric = Metric {
                name: $name,
                unit: Unit::$unit,
                kind: Kind::$kind,
                help: $help,
            };
        )+

        /// All metrics.
        pub static ALL: &[&Metric] = &[$(&$id),+];
    };
}

metrics! {
    REQUESTS = "Requests", Count, Counter, "Requests, messages and runs that have ended.";
    DURATION = "Duration", Milliseconds, Histogram, "Time that a request, message or run took.";
    REFUSED = "Refused", Count, Counter, "Requests that were refused: the caller's fault.";
    FAILED = "Failed", Count, Counter, "Requests, messages and runs that failed: our fault.";
    STORE_REQUESTS = "StoreRequests", Count, Counter, "Requests to the store, retries included.";
    STORE_RETRIES = "StoreRetries", Count, Counter, "Requests to the store that were retries.";
    STORE_CONFLICTS = "StoreConflicts", Count, Counter,
        "Requests to the store that conflicted with a transaction.";
    STORE_UNITS = "StoreUnits", Count, Histogram, "Request units that the store reported.";
    ENTRIES = "Entries", Count, Counter, "Entries of batches that have a result.";
    SUCCEEDED = "Succeeded", Count, Counter, "Entries of batches that succeeded.";
    FAILED_ENTRIES = "FailedEntries", Count, Counter, "Entries of batches that failed, by code.";
    JOB_AGE = "JobAge", Milliseconds, Histogram,
        "Time from the acceptance of a job to the end of one of its chunks.";
    OVERDUE = "Overdue", Count, Gauge, "Overdue records that the newest sweep found.";
    OVERDUE_FOR = "OverdueFor", Milliseconds, Gauge,
        "How long the oldest of them had been overdue.";
}
