//! The figures, as they are kept in JSON: one file for each part of the benchmark.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How the figures of one file were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The release.
    pub version: String,
    /// The day, as `2026-01-31`.
    pub date: String,
    pub cores: usize,
    pub memory_gb: f64,
    /// Seconds that each contender of a measurement had.
    pub seconds: u64,
    /// Whether sizes and times were cut down, which makes figures unfit for a comparison.
    pub quick: bool,
}

/// A file: a run and what it found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured<T> {
    pub run: Run,
    pub figures: T,
}

/// How long requests took: percentiles, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    pub p1: f64,
    pub p5: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p95: f64,
    pub p99: f64,
}

/// What one server did with one kind of request.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// Requests per second.
    pub rate: f64,
    /// CPU time of a request, in milliseconds: all processes of the server.
    pub cpu_ms: f64,
    pub latency: Latency,
}

/// One kind of request at one number of connections, by all contenders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallFigures {
    pub call: String,
    pub connections: usize,
    pub imshare: Load,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glance: Option<Load>,
    /// The bare loop of the same DynamoDB requests, over a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bare_over_socket: Option<Load>,
    /// The same, without a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bare_in_process: Option<Load>,
}

impl CallFigures {
    /// How many times Glance's rate imshare's is.
    pub fn to_glance(&self) -> Option<f64> {
        Some(self.imshare.rate / self.glance?.rate)
    }

    /// The share of the bare loop over a socket.
    pub fn to_bare(&self) -> Option<f64> {
        Some(self.imshare.rate / self.bare_over_socket?.rate)
    }
}

/// The calls of a part of the benchmark.
pub type Calls = Vec<CallFigures>;

/// The lists at one number of images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrowthStep {
    /// Images of the owner, all shared with the member, half of them accepted.
    pub images: usize,
    /// Images of another project that everybody sees.
    pub public: usize,
    /// Memberships in all.
    pub memberships: usize,
    pub database_mb: f64,
    /// A copy of the files of a stopped server, written to the disk.
    pub copy_seconds: f64,
    pub ready_ms: f64,
    pub memory_start_mb: f64,
    pub memory_after_mb: f64,
    pub lists: Vec<ListFigures>,
    /// Glance with the same images, where it was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub glance: Vec<ListFigures>,
}

/// One list at one number of images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListFigures {
    pub call: String,
    /// Requests per second over 16 connections.
    pub rate: f64,
    /// On one connection, in milliseconds.
    pub p50_ms: f64,
    /// On one connection, in milliseconds.
    pub p99_ms: f64,
}

/// Batches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batches {
    pub sizes: Vec<BatchFigures>,
    /// Accepts as single requests over 16 connections, by number of images.
    pub puts: Vec<PutFigures>,
    /// Memory of the server after all of them, at most.
    pub memory_most_mb: f64,
}

/// A batch of one kind and size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchFigures {
    /// `share`, `accept` or `unshare`.
    pub kind: String,
    pub entries: usize,
    /// From the request to the end of the job.
    pub seconds: f64,
    /// A bare loop of the same writes on the same engine, in process.
    pub bare_seconds: f64,
    /// CPU time of the server for an entry, in milliseconds.
    pub cpu_ms: f64,
}

/// So many accepts, each by a request of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutFigures {
    pub entries: usize,
    pub imshare_seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glance_seconds: Option<f64>,
    /// Whether Glance's time is that of fewer requests, multiplied.
    #[serde(default)]
    pub glance_is_scaled: bool,
}

/// The start of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    pub ready_ms: f64,
    pub first_answer_ms: f64,
    pub memory_mb: f64,
    pub functions: Vec<FunctionFigures>,
    /// Sizes of the binaries, in MB.
    pub sizes: BTreeMap<String, f64>,
}

/// A function's start and its requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionFigures {
    pub name: String,
    /// From the start of its process until it asks for its first event.
    pub init_ms: f64,
    /// From the start of its process until its first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_answer_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<f64>,
}

/// What a call asks of DynamoDB.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub call: String,
    /// Requests by operation.
    pub requests: BTreeMap<String, f64>,
    /// Read units by place: `table`, or the name of an index.
    pub reads: BTreeMap<String, f64>,
    /// Write units by place.
    pub writes: BTreeMap<String, f64>,
}

impl Cost {
    pub fn read_units(&self) -> f64 {
        self.reads.values().sum()
    }

    pub fn write_units(&self) -> f64 {
        self.writes.values().sum()
    }
}

/// The command line's `share`, from its start to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    pub share: Latency,
}

/// Where the time of one request goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Where {
    /// How it was found.
    pub how: String,
    /// What is counted: `instructions`.
    pub unit: String,
    pub bars: Vec<WhereBar>,
}

/// One request, taken apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhereBar {
    pub name: String,
    /// How much each part takes, in the order of the bar.
    pub parts: Vec<(String, f64)>,
}

/// Reads a file of figures; `None` if it does not exist.
///
/// # Panics
/// If it does not parse.
pub fn read<T: DeserializeOwned>(directory: &Path, name: &str) -> Option<T> {
    let path = directory.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).ok()?;
    let parsed = serde_json::from_str(&text);
    Some(parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Writes a file of figures, with four digits that count in each number.
pub fn write<T: Serialize>(directory: &Path, name: &str, measured: &T) {
    let mut value = serde_json::to_value(measured).expect("JSON");
    round(&mut value);
    std::fs::create_dir_all(directory).expect("a directory for the figures");
    let text = serde_json::to_string_pretty(&value).expect("JSON") + "\n";
    std::fs::write(directory.join(format!("{name}.json")), text).expect("a file of figures");
}

fn round(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) if number.is_f64() => {
            let rounded = significant(number.as_f64().unwrap_or_default());
            *value = serde_json::json!(rounded);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(round),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(round),
        _ => {}
    }
}

/// The number with four digits that count.
fn significant(number: f64) -> f64 {
    format!("{number:.3e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(significant(12_345.678), 12_350.0);
        assert_eq!(significant(0.001_234_56), 0.001_235);
        assert_eq!(significant(0.0), 0.0);
    }
}
