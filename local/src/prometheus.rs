//! The metrics of one server in Prometheus's form, under the names that they have in CloudWatch.
//!
//! Each server has a recorder of its own: one process may run several of them in tests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use shared::runtime::metric::{self, Figure, Kind, Metric, Part, Sink, Unit};

/// The content type of [`Prometheus::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the buckets of durations, in seconds.
const DURATIONS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 4.0, 30.0,
];
/// Upper bounds of the buckets of a job's age, in seconds: a job has a day.
const AGES: [f64; 10] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 14_400.0, 86_400.0,
];
/// Upper bounds of the buckets of everything else.
const COUNTS: [f64; 9] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0];

const METADATA: Metadata<'_> = Metadata::new("imshare", Level::INFO, None);

/// Collects the metrics of one server.
pub struct Prometheus {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// What has been recorded before, so that a request makes no name and no label.
    known: RwLock<HashMap<String, Vec<Series>>>,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prometheus")
    }
}

/// One series of an operation.
struct Series {
    metric: &'static Metric,
    part: Part,
    handle: Handle,
}

enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Series {
    fn is_of(&self, figure: &Figure) -> bool {
        std::ptr::eq(self.metric, figure.metric) && self.part == figure.part
    }

    fn add(&self, value: f64) {
        let value = match self.metric.unit {
            Unit::Count => value,
            Unit::Milliseconds => value / 1000.0,
        };
        match &self.handle {
            Handle::Counter(counter) => counter.increment(value as u64),
            Handle::Gauge(gauge) => gauge.set(value),
            Handle::Histogram(histogram) => histogram.record(value),
        }
    }
}

/// The name of a metric in Prometheus: `StoreRequests` is `imshare_store_requests_total`, and
/// `Duration`, in milliseconds, is `imshare_duration_seconds`.
pub fn name_of(metric: &Metric) -> String {
    let mut name = "imshare".to_owned();
    for letter in metric.name.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    if metric.unit == Unit::Milliseconds {
        name.push_str("_seconds");
    }
    if metric.kind == Kind::Counter {
        name.push_str("_total");
    }
    name
}

fn buckets(metric: &Metric) -> &'static [f64] {
    match (metric.unit, metric.name) {
        (_, "JobAge") => &AGES,
        (Unit::Milliseconds, _) => &DURATIONS,
        (Unit::Count, _) => &COUNTS,
    }
}

impl Prometheus {
    /// Starts without figures.
    ///
    /// # Errors
    /// If a metric cannot be described, which depends on this file alone.
    pub fn new() -> Result<Self, String> {
        let mut builder = PrometheusBuilder::new();
        for metric in metric::ALL.iter().filter(|it| it.kind == Kind::Histogram) {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(name_of(metric)), buckets(metric))
                .map_err(|error| format!("metrics: {error}"))?;
        }
        let recorder = builder.build_recorder();
        for metric in metric::ALL {
            let (name, help) = (name_of(metric).into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
        Ok(Self {
            handle: recorder.handle(),
            recorder,
            known: RwLock::default(),
        })
    }

    /// Describes a gauge that [`Self::set`] sets.
    pub fn describe(&self, name: &'static str, help: &'static str) {
        self.recorder.describe_gauge(name.into(), None, help.into());
    }

    /// Sets a gauge that is not a metric of the service as a whole.
    pub fn set(&self, name: &'static str, label: Option<(&'static str, &str)>, value: f64) {
        let label = label.map(|(name, value)| Label::new(name, value.to_owned()));
        let key = Key::from_parts(name, label.into_iter().collect::<Vec<_>>());
        self.recorder.register_gauge(&key, &METADATA).set(value);
    }

    /// All metrics in the text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Sums up what histograms have taken. Without this they would keep every value until the next
    /// [`Self::render`].
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn series(&self, operation: &str, figure: &Figure) -> Series {
        let mut labels = vec![Label::new("operation", operation.to_owned())];
        match figure.part {
            Part::Whole => {}
            Part::Status(status) => labels.push(Label::new("status", status.to_string())),
            Part::Code(code) => labels.push(Label::from_static_parts("code", code)),
        }
        let key = Key::from_parts(name_of(figure.metric), labels);
        let recorder = &self.recorder;
        Series {
            metric: figure.metric,
            part: figure.part,
            handle: match figure.metric.kind {
                Kind::Counter => Handle::Counter(recorder.register_counter(&key, &METADATA)),
                Kind::Gauge => Handle::Gauge(recorder.register_gauge(&key, &METADATA)),
                Kind::Histogram => Handle::Histogram(recorder.register_histogram(&key, &METADATA)),
            },
        }
    }
}

impl Sink for Prometheus {
    fn record(&self, operation: &str, figures: &[Figure]) {
        let mut unknown = Vec::new();
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let series = known.get(operation).map_or(&[][..], Vec::as_slice);
            for figure in figures {
                match series.iter().find(|series| series.is_of(figure)) {
                    Some(series) => series.add(figure.value),
                    None => unknown.push(self.series(operation, figure)),
                }
            }
        }
        if unknown.is_empty() {
            return;
        }
        // Another request may have registered the same series meanwhile; the recorder counts both as one.
        for series in &unknown {
            let value = figures.iter().find(|figure| series.is_of(figure));
            series.add(value.map_or(0.0, |figure| figure.value));
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let all = known.entry(operation.to_owned()).or_default();
        for series in unknown {
            let same = |other: &Series| other.metric == series.metric && other.part == series.part;
            if !all.iter().any(same) {
                all.push(series);
            }
        }
    }
}
