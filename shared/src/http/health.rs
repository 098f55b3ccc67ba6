//! The body of `GET /healthcheck?detailed`, which the local server alone answers.

use serde::Serialize;

/// How well a server does.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthDetails {
    /// Always true.
    pub detailed: bool,
    /// The whole in one word.
    pub status: HealthStatus,
    /// `OK`, or what is not.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub reasons: Vec<String>,
    /// The release that runs.
    pub version: &'static str,
    /// Seconds since the server started.
    pub uptime_seconds: u64,
    /// The records.
    pub store: StoreHealth,
    /// The queue of batches.
    pub queue: QueueHealth,
    /// The disk of the data directory; null if nothing is kept in files.
    pub disk: Option<DiskHealth>,
    /// The sweep, which does work that was left undone.
    pub sweep: SweepHealth,
}

/// How well a server does, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HealthStatus {
    /// Everything works.
    Ok,
    /// Requests are answered, and something needs the operator.
    Degraded,
    /// Records cannot be read or written; the HTTP status is 503.
    Failing,
}

/// Where records or messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Kept {
    /// In files of this server.
    Files,
    /// In its memory.
    Memory,
    /// In DynamoDB or SQS, or what stands in for them.
    Remote,
}

/// The records, as a read and a write have just found them.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreHealth {
    /// Where they are.
    pub kept: Kept,
    /// Whether they can be read.
    pub reads: bool,
    /// Whether they can be written, as far as a write to the data directory shows; always true if they
    /// are kept elsewhere.
    pub writes: bool,
    /// How long the read took, in milliseconds; null if it failed.
    pub read_ms: Option<f64>,
    /// How long it took to write 1 MiB to the disk of the data directory, in milliseconds; null
    /// without one.
    pub write_ms: Option<f64>,
}

/// The queue of batches.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueHealth {
    /// Where it is.
    pub kept: Kept,
    /// Messages that wait or are being handled; null if the queue does not tell.
    pub messages: Option<u64>,
    /// The age of the oldest of them, in seconds; null if there is none, or the queue does not tell.
    pub oldest_seconds: Option<f64>,
    /// Messages that were given up and wait for the end of their jobs; null if the queue does not tell.
    pub dead_letters: Option<u64>,
}

/// The disk of the data directory.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiskHealth {
    /// The data directory.
    pub directory: String,
    /// Bytes that the server may still write.
    pub free_bytes: u64,
    /// Bytes of the whole disk.
    pub total_bytes: u64,
    /// With fewer free bytes the server is degraded.
    pub low_below_bytes: u64,
}

/// The sweep.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SweepHealth {
    /// Seconds since the end of its newest run that succeeded; null if none has.
    pub succeeded_seconds_ago: Option<f64>,
    /// Records that are overdue now, at most 10 of each of the index's partitions; null if they cannot
    /// be read.
    pub overdue: Option<u64>,
    /// How long the oldest work has been overdue, in seconds, also if it failed and waits for its next try; null if
    /// none is.
    pub oldest_overdue_seconds: Option<f64>,
}
