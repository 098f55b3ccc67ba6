//! Measures how the service grows: the same lists with ten images and with 100,000, and what that
//! many records cost in memory, on the disk and at the start.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::{Call, GROWING};
use crate::data::{GrowthStep, ListFigures};
use crate::interleave::median;
use crate::load::Connections;
use crate::server::Server;
use crate::stock::Stock;
use crate::{Glance, Options};

/// Members of each image.
const MEMBERS: usize = 10;
/// The most images that Glance has.
const GLANCE_MOST: usize = 1000;
/// Connections of the rates.
const CONNECTIONS: usize = 16;
/// Starts of the server whose median counts.
const STARTS: usize = 5;

/// Measures all sizes.
pub async fn measure(options: &Options, mut glance: Option<&mut Glance>) -> Vec<GrowthStep> {
    let data = tempfile::tempdir().expect("a directory");
    let mut stock = Stock::default();
    let mut steps = Vec::new();
    for images in options.growth_sizes() {
        let began = Instant::now();
        let server = Server::imshare(&options.binary, data.path());
        let created = stock.grow_all(&server, images, MEMBERS).await;
        server.stop();
        let seeding = began.elapsed();
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
            seeded_per_second: created as f64 / seeding.as_secs_f64(),
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
        "{} images, {} memberships: {:.0} records/s, {:.0} MB, copied in {:.1} s, ready after {:.0} ms, {:.0} MB \
         resident",
        step.images,
        step.memberships,
        step.seeded_per_second,
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
        let together = connections.measure(call, CONNECTIONS, time).await;
        all.push(ListFigures {
            call: call.name().to_owned(),
            rate: together.rate,
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
