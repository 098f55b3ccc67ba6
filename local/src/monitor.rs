//! What an operator is told of a running server: its health in detail, and its metrics.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use shared::domain::time::Timestamp;
use shared::http::health::{
    DiskHealth, HealthDetails, HealthStatus, Kept, QueueHealth, StoreHealth, SweepHealth,
};
use shared::runtime::app::App;
use shared::store::due::GRACE_SECONDS;

use crate::engine::Engine;
use crate::prometheus::Prometheus;
use crate::queue::{Backlog, Queue};
use crate::storage;

/// How long a remote store or queue may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most overdue records of a partition of the index that are looked at.
const OVERDUE_LIMIT: i32 = 10;
/// From when on work that is overdue, or a sweep that does not succeed, needs the operator.
const LATE: Duration = Duration::from_secs(60);
/// Work that failed has been tried again by then, and would have failed again: more than
/// [`GRACE_SECONDS`] and a pause between two runs.
const RETRIED: Duration = Duration::from_secs(2 * GRACE_SECONDS.unsigned_abs());
/// The disk is low with fewer free bytes than this, or than a twentieth of it if that is less.
const LOW_BYTES: u64 = 1024 * 1024 * 1024;

/// The gauges of this server alone: name and help.
const GAUGES: [(&str, &str); 11] = [
    ("imshare_info", "Always 1; its label is the release."),
    ("imshare_writable", "0 while records cannot be written."),
    (
        "imshare_queue_messages",
        "Messages that wait or are being handled.",
    ),
    (
        "imshare_queue_oldest_seconds",
        "Age of the oldest message; 0 if there is none.",
    ),
    (
        "imshare_file_bytes",
        "Sizes of the files of the data directory.",
    ),
    (
        "imshare_disk_free_bytes",
        "Bytes that may still be written to the disk of the data directory.",
    ),
    (
        "imshare_disk_total_bytes",
        "Bytes of the disk of the data directory.",
    ),
    (
        "imshare_sweep_age_seconds",
        "Time since the sweep last succeeded.",
    ),
    (
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
    ),
    ("process_open_fds", "Number of open file descriptors."),
    ("process_threads", "Number of OS threads in the process."),
];

/// Looks after one server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Monitor {
    inner: Arc<Inner>,
}

/// What a monitor looks after.
#[derive(Debug)]
pub struct Watched {
    /// The app that all functions share.
    pub app: App,
    /// The embedded engine, if records are kept in it.
    pub engine: Option<Engine>,
    /// The embedded queue, if messages are kept in it.
    pub queue: Option<Queue>,
    /// A client of the queue, wherever it is.
    pub sqs: aws_sdk_sqs::Client,
    /// The data directory, if something is kept in files.
    pub directory: Option<PathBuf>,
    /// How often the sweep runs; `None` for never.
    pub sweep_every: Option<Duration>,
    /// The metrics, if anybody may read them.
    pub prometheus: Option<Arc<Prometheus>>,
}

#[derive(Debug)]
struct Inner {
    watched: Watched,
    started: Instant,
    sweeps: Mutex<Sweeps>,
}

/// What the runs of the sweep came to.
#[derive(Debug, Default)]
struct Sweeps {
    /// When one last succeeded, with nothing left that had failed.
    succeeded: Option<Instant>,
    /// When one last failed to do some of the work, and since when that work has been overdue.
    failed: Option<(Instant, Timestamp)>,
}

/// Free and total bytes of a disk.
#[derive(Clone, Copy, Debug)]
struct Space {
    free: u64,
    total: u64,
}

fn milliseconds(taken: Duration) -> f64 {
    (taken.as_secs_f64() * 1e6).round() / 1000.0
}

fn seconds(taken: Duration) -> f64 {
    (taken.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Monitor {
    /// Looks after a server that has just started.
    pub fn of(watched: Watched) -> Self {
        if let Some(prometheus) = &watched.prometheus {
            for (name, help) in GAUGES {
                prometheus.describe(name, help);
            }
        }
        Self {
            inner: Arc::new(Inner {
                watched,
                started: Instant::now(),
                sweeps: Mutex::default(),
            }),
        }
    }

    /// The app of the server.
    pub fn app(&self) -> &App {
        &self.inner.watched.app
    }

    /// Takes note of a run of the sweep that could read what is due.
    pub fn swept(&self, run: &sweep::Run) {
        let mut sweeps = self.sweeps();
        if let Some(since) = run.failing_since() {
            sweeps.failed = Some((Instant::now(), since));
        } else if sweeps.failed.is_none_or(|(at, _)| at.elapsed() > RETRIED) {
            *sweeps = Sweeps {
                succeeded: Some(Instant::now()),
                failed: None,
            };
        }
    }

    fn sweeps(&self) -> MutexGuard<'_, Sweeps> {
        let sweeps = self.inner.sweeps.lock();
        sweeps.unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the sweep last succeeded, if it has.
    fn since_sweep(&self) -> Option<Duration> {
        self.sweeps().succeeded.map(|at| at.elapsed())
    }

    /// Reads, writes, and reports how that went.
    pub async fn details(&self) -> HealthDetails {
        let mut reasons = Vec::new();
        let (read, sweep) = self.sweep().await;
        let (writes, write) = self.write().await;
        let reads = read.is_some();
        if !reads {
            reasons.push("Records cannot be read.".to_owned());
        }
        if !writes {
            reasons.push("Records cannot be written.".to_owned());
        }
        let failing = !reasons.is_empty();
        reasons.extend(self.late(&sweep));
        let disk = self.disk();
        if let Some(disk) = disk
            .as_ref()
            .filter(|it| it.free_bytes < it.low_below_bytes)
        {
            let free = disk.free_bytes / 1024 / 1024;
            reasons.push(format!("The disk has only {free} MiB left."));
        }
        let queue = self.queue().await;
        if queue.messages.is_none() {
            reasons.push("The queue does not answer.".to_owned());
        }
        let status = match (failing, reasons.is_empty()) {
            (true, _) => HealthStatus::Failing,
            (false, false) => HealthStatus::Degraded,
            (false, true) => HealthStatus::Ok,
        };
        if reasons.is_empty() {
            reasons.push("OK".to_owned());
        }
        let watched = &self.inner.watched;
        HealthDetails {
            detailed: true,
            status,
            reasons,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.inner.started.elapsed().as_secs(),
            store: StoreHealth {
                kept: self.kept(watched.engine.is_some()),
                reads,
                writes,
                read_ms: read.map(milliseconds),
                write_ms: write.map(milliseconds),
            },
            queue,
            disk,
            sweep,
        }
    }

    fn kept(&self, embedded: bool) -> Kept {
        match (embedded, &self.inner.watched.directory) {
            (false, _) => Kept::Remote,
            (true, Some(_)) => Kept::Files,
            (true, None) => Kept::Memory,
        }
    }

    /// What is overdue, and how long it took to find out; without a time if it could not be read.
    async fn sweep(&self) -> (Option<Duration>, SweepHealth) {
        let app = self.app();
        let (now, began) = (app.now(), Instant::now());
        let read = tokio::time::timeout(PATIENCE, app.store().overdue(now, OVERDUE_LIMIT)).await;
        let taken = began.elapsed();
        let overdue = read.ok().and_then(Result::ok);
        let listed = overdue.iter().flatten().map(|it| it.due);
        let failed = self.sweeps().failed.map(|(_, since)| since);
        let oldest = listed.chain(failed).min();
        let sweep = SweepHealth {
            succeeded_seconds_ago: self.since_sweep().map(seconds),
            overdue: overdue.as_ref().map(|all| all.len() as u64),
            oldest_overdue_seconds: oldest.map(|due| (now.micros() - due.micros()) as f64 / 1e6),
        };
        (overdue.map(|_| taken), sweep)
    }

    /// The sentences about a sweep that is late.
    fn late(&self, sweep: &SweepHealth) -> Vec<String> {
        let mut late = Vec::new();
        let overdue = sweep.oldest_overdue_seconds.unwrap_or_default();
        if overdue > LATE.as_secs_f64() {
            late.push(format!("Work has been overdue for {overdue:.0} s."));
        }
        let since = self.since_sweep().unwrap_or(self.inner.started.elapsed());
        if self.inner.watched.sweep_every.is_some() && since > LATE {
            late.push(format!(
                "The sweep has not succeeded for {} s.",
                since.as_secs()
            ));
        }
        late
    }

    /// Whether records can be written, and how long a write to their disk took.
    async fn write(&self) -> (bool, Option<Duration>) {
        let Some(engine) = self.inner.watched.engine.clone() else {
            return (true, None);
        };
        let examined = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let fault = engine.examine();
            (fault, began.elapsed())
        });
        match examined.await {
            Ok((fault, taken)) => {
                let writes = !matches!(fault, Some(Some(_)));
                (writes, fault.map(|_| taken))
            }
            Err(_) => (false, None),
        }
    }

    async fn queue(&self) -> QueueHealth {
        let watched = &self.inner.watched;
        let kept = self.kept(watched.queue.is_some());
        let backlog = match &watched.queue {
            Some(queue) => queue.backlog().ok(),
            None => self.remote_backlog().await,
        };
        QueueHealth {
            kept,
            messages: backlog.as_ref().map(|it| it.messages),
            oldest_seconds: backlog.as_ref().and_then(|it| it.oldest).map(seconds),
            dead_letters: backlog.and_then(|it| it.dead_letters),
        }
    }

    /// The backlog of a remote queue, as far as it tells.
    async fn remote_backlog(&self) -> Option<Backlog> {
        let watched = &self.inner.watched;
        let asked = watched
            .sqs
            .get_queue_attributes()
            .queue_url(&watched.app.config().queue_url)
            .attribute_names(Attribute::ApproximateNumberOfMessages)
            .attribute_names(Attribute::ApproximateNumberOfMessagesNotVisible)
            .send();
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
        let number = |name| answer.attributes()?.get(&name)?.parse::<u64>().ok();
        Some(Backlog {
            messages: number(Attribute::ApproximateNumberOfMessages)?
                + number(Attribute::ApproximateNumberOfMessagesNotVisible)?,
            oldest: None,
            dead_letters: None,
        })
    }

    fn space(&self) -> Option<Space> {
        let disk = rustix::fs::statvfs(self.inner.watched.directory.as_ref()?).ok()?;
        Some(Space {
            free: disk.f_bavail * disk.f_frsize,
            total: disk.f_blocks * disk.f_frsize,
        })
    }

    fn disk(&self) -> Option<DiskHealth> {
        let space = self.space()?;
        Some(DiskHealth {
            directory: self.inner.watched.directory.as_ref()?.display().to_string(),
            free_bytes: space.free,
            total_bytes: space.total,
            low_below_bytes: LOW_BYTES.min(space.total / 20),
        })
    }

    /// The metrics in Prometheus's text format, if anybody may read them. Nothing is written for this.
    pub async fn metrics(&self) -> Option<String> {
        let prometheus = self.inner.watched.prometheus.clone()?;
        self.set_gauges(&prometheus).await;
        set_process_gauges(&prometheus);
        Some(prometheus.render())
    }

    async fn set_gauges(&self, to: &Prometheus) {
        let watched = &self.inner.watched;
        let version = ("version", env!("CARGO_PKG_VERSION"));
        to.set("imshare_info", Some(version), 1.0);
        let broken = watched.engine.as_ref().and_then(Engine::known_fault);
        to.set(
            "imshare_writable",
            None,
            f64::from(u8::from(broken.is_none())),
        );
        let queue = self.queue().await;
        for (name, messages) in [
            ("batches", queue.messages),
            ("dead-letters", queue.dead_letters),
        ] {
            if let Some(messages) = messages {
                let label = Some(("queue", name));
                to.set("imshare_queue_messages", label, messages as f64);
            }
        }
        if queue.messages.is_some() {
            let oldest = queue.oldest_seconds.unwrap_or_default();
            to.set("imshare_queue_oldest_seconds", None, oldest);
        }
        if let Some(since) = self.since_sweep() {
            to.set("imshare_sweep_age_seconds", None, since.as_secs_f64());
        }
        if let Some(space) = self.space() {
            to.set("imshare_disk_free_bytes", None, space.free as f64);
            to.set("imshare_disk_total_bytes", None, space.total as f64);
        }
        for file in storage::files() {
            let path = watched.directory.as_ref().map(|it| it.join(&file));
            if let Some(Ok(file_status)) = path.map(std::fs::metadata) {
                let label = Some(("file", file.as_str()));
                to.set("imshare_file_bytes", label, file_status.len() as f64);
            }
        }
    }

    /// Keeps the memory of metrics small.
    pub fn upkeep(&self) {
        if let Some(prometheus) = &self.inner.watched.prometheus {
            prometheus.upkeep();
        }
    }
}

/// Sets the gauges of this process, under the names that all clients of Prometheus use.
#[cfg(target_os = "linux")]
fn set_process_gauges(to: &Prometheus) {
    let Ok(process) = procfs::process::Process::myself() else {
        return;
    };
    if let Ok(stat) = process.stat() {
        let bytes = stat.rss * procfs::page_size();
        to.set("process_resident_memory_bytes", None, bytes as f64);
        to.set("process_threads", None, stat.num_threads as f64);
    }
    if let Ok(open) = process.fd_count() {
        to.set("process_open_fds", None, open as f64);
    }
}

/// Elsewhere there is no `/proc` to read them from.
#[cfg(not(target_os = "linux"))]
fn set_process_gauges(_: &Prometheus) {}
