//! Measures how the service grows: the same lists with ten images and with 100,000, and what that
//! many records cost in memory, on the disk and at the start.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::{Call, GROWING};
use crate::data::{GrowthStep, ListFigures};
use crate::interleave::median;
use crate::load::Connections;
use crate::seed::{MEMBERS, Seed};
use crate::server::Server;
use crate::stock::Stock;
use crate::{Glance, Options};

/// The most images that Glance has.
const GLANCE_MOST: usize = 1000;
/// Connections of the rates.
const CONNECTIONS: usize = 16;
/// From this median on, in milliseconds, one connection is enough for the rate.
const SLOW_MS: f64 = 200.0;
/// Starts of the server whose median counts.
const STARTS: usize = 5;

/// Measures all sizes.
pub async fn measure(options: &Options, mut glance: Option<&mut Glance>) -> Vec<GrowthStep> {
    let data = tempfile::tempdir().expect("a directory");
    let seed = Seed::new(&options.binary, data.path()).await;
    let mut stock = Stock::default();
    let mut steps = Vec::new();
    for images in options.growth_sizes() {
        let began = Instant::now();
        let created = seed.grow(&mut stock, images).await;
        eprintln!(
            "{created} records in {:.0} s",
            began.elapsed().as_secs_f64()
        );
        let (copy_seconds, database_mb) = copy(data.path());
        let mut starts = Vec::new();
        for _ in 1..STARTS {
            let server = Server::imshare(&options.binary, data.path());
            starts.push(server.ready_after);
            server.stop();
        }
        let server = Server::imshare(&options.binary, data.path());
        starts.push(server.ready_after);
        let memory_start_mb = server.process.memory().0;
        let shared = Arc::new(std::mem::take(&mut stock));
        let lists = lists(options, &server, &shared, false).await;
        let theirs = match &mut glance {
            Some(glance) if images <= GLANCE_MOST => {
                glance.grow(images).await;
                let stock = glance.stock.clone();
                self::lists(options, &glance.server, &stock, true).await
            }
            _ => Vec::new(),
        };
        let step = GrowthStep {
            images,
            public: images,
            memberships: images * MEMBERS,
            database_mb,
            copy_seconds,
            ready_ms: median(starts),
            memory_start_mb,
            memory_after_mb: server.process.memory().0,
            lists,
            glance: theirs,
        };
        report(&step);
        steps.push(step);
        server.stop();
        stock = Arc::into_inner(shared).expect("no connection is open");
    }
    steps
}

/// One line about a size, for who watches the run.
fn report(step: &GrowthStep) {
    eprintln!(
        "{} images, {} memberships: {:.0} MB, copied in {:.1} s, ready after {:.0} ms, {:.0} MB \
         resident",
        step.images,
        step.memberships,
        step.database_mb,
        step.copy_seconds,
        step.ready_ms,
        step.memory_after_mb
    );
    for list in &step.lists {
        let (rate, p50) = (list.rate, list.p50_ms);
        eprintln!("    {}: {rate:.0}/s, p50 {p50:.2} ms", list.call);
    }
}

/// Measures the lists: latency on one connection, then the rate over several.
async fn lists(
    options: &Options,
    server: &Server,
    stock: &Arc<Stock>,
    glance: bool,
) -> Vec<ListFigures> {
    let mut connections = Connections::new(server, CONNECTIONS, stock).await;
    let time = Duration::from_millis(options.seconds() * 400);
    let mut all = Vec::new();
    for call in GROWING.iter().map(Call::List) {
        if glance && !call.on_glance() || !connections.knows(call).await {
            continue;
        }
        let alone = connections.measure(call, 1, time).await;
        // More connections only wait for a list that keeps the server busy for so long.
        let rate = match alone.latency.p50 < SLOW_MS {
            true => connections.measure(call, CONNECTIONS, time).await.rate,
            false => alone.rate,
        };
        all.push(ListFigures {
            call: call.name().to_owned(),
            rate,
            p50_ms: alone.latency.p50,
            p99_ms: alone.latency.p99,
        });
    }
    all
}

/// Copies the files of a stopped server, and returns how long that took, with the time until the copy
/// is on the disk, and the size of the files in MB.
fn copy(data: &Path) -> (f64, f64) {
    let backup = tempfile::tempdir().expect("a directory");
    let began = Instant::now();
    let mut bytes = 0;
    for entry in std::fs::read_dir(data).expect("the data") {
        let from = entry.expect("a file").path();
        let to = backup.path().join(from.file_name().expect("a name"));
        bytes += std::fs::copy(&from, &to).expect("a copy");
        let copied = std::fs::File::open(&to).and_then(|file| file.sync_all());
        copied.expect("a copy on the disk");
    }
    (began.elapsed().as_secs_f64(), bytes as f64 / 1e6)
}
