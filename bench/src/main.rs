//! Measures the service as its users meet it: optimized binaries, real connections, data in files.
//! The figures go to JSON files, and the page and the plots of `docs/performance.md` are made from
//! those.
//!
//! ```sh
//! cargo build --release --workspace --bins
//! cargo build --profile server -p cli -p bench && target/server/bench all --glance
//! ```

mod batches;
mod call;
mod client;
mod command;
mod costs;
mod data;
mod functions;
mod growth;
mod interleave;
mod limit;
mod load;
mod process;
mod report;
mod requests;
mod seed;
mod server;
mod start;
mod stock;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use client::{Client, Request, Who};
use data::{Measured, Run};
use server::Server;
use stock::Stock;

/// The allocator of the server, so that the bare loops run with the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEMBER: &str = "edc89b490d7d4392898e19b2deb34797";

/// Images of the lists that are compared with Glance's.
const LISTED_IMAGES: usize = 1000;

#[derive(Debug, Parser)]
#[command(about = "Measures the service on this machine, and writes docs/performance.md")]
struct Options {
    /// The server to measure.
    #[arg(long, default_value = "target/server/imshare")]
    binary: PathBuf,
    /// The directory of the functions' binaries, and of the minimal one.
    #[arg(long, default_value = "target/release")]
    functions: PathBuf,
    /// Seconds that each contender of a measurement has.
    #[arg(long)]
    seconds: Option<u64>,
    /// Compare with a real Glance, which is installed from PyPI.
    #[arg(long)]
    glance: bool,
    /// Measure small sizes for a short time, to see that everything works; writes to
    /// target/performance.
    #[arg(long)]
    quick: bool,
    /// The directory of the figures and the plots; the page is written beside it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// What to measure. `report` measures nothing: it makes the page from the figures.
    #[arg(default_value = "all")]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// All parts.
    All,
    /// The start of the server, the functions beside a minimal function, the sizes of the binaries.
    Start,
    /// Calls about one image or one job.
    Requests,
    /// Lists of 1,000 images.
    Lists,
    /// Batches, by number of entries.
    Batches,
    /// Lists, memory, disk and start, by number of images.
    Growth,
    /// Requests to DynamoDB and their units.
    Costs,
    /// The command line.
    Command,
    /// The page and the plots, from the figures.
    Report,
}

impl Part {
    /// All but `all`, in the order in which Glance's images grow.
    const EACH: [Self; 8] = [
        Self::Start,
        Self::Costs,
        Self::Requests,
        Self::Growth,
        Self::Lists,
        Self::Batches,
        Self::Command,
        Self::Report,
    ];
}

impl Options {
    fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 2 })
    }

    fn out(&self) -> PathBuf {
        let usual = ["docs/performance", "target/performance"][usize::from(self.quick)];
        self.out.clone().unwrap_or_else(|| usual.into())
    }

    /// Numbers of images of the lists.
    fn growth_sizes(&self) -> Vec<usize> {
        let sizes = [10, 100, 1000, 10_000, 100_000];
        sizes[..if self.quick { 3 } else { 5 }].to_vec()
    }

    /// Entries of the batches.
    fn batch_sizes(&self) -> Vec<usize> {
        let sizes = [1, 10, 100, 1000, 10_000];
        sizes[..if self.quick { 4 } else { 5 }].to_vec()
    }

    /// The parts to run; one that is named makes the page too.
    fn parts(&self) -> Vec<Part> {
        if self.parts.contains(&Part::All) {
            return Part::EACH.to_vec();
        }
        let named = |part: &Part| *part == Part::Report || self.parts.contains(part);
        Part::EACH.into_iter().filter(named).collect()
    }

    fn run(&self) -> Run {
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = memory.split_whitespace().nth(1).map(str::parse);
        let kib: f64 = kib.and_then(Result::ok).unwrap_or_default();
        let now = shared::domain::time::Clock::System.now().stored();
        Run {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            date: now.chars().take(10).collect(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gb: (kib / 1024.0 / 1024.0).round(),
            seconds: self.seconds(),
            quick: self.quick,
        }
    }

    fn save<T: serde::Serialize>(&self, name: &str, figures: T) {
        let run = self.run();
        data::write(&self.out(), name, &Measured { run, figures });
    }
}

/// A running Glance with the images of lists.
struct Glance {
    server: Server,
    stock: Arc<Stock>,
    _data: tempfile::TempDir,
}

impl Glance {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        Self {
            server: Server::glance(data.path()),
            stock: Arc::default(),
            _data: data,
        }
    }

    /// Creates images until there are so many.
    async fn grow(&mut self, images: usize) {
        if self.stock.len() < images {
            let stock = Arc::get_mut(&mut self.stock).expect("no connection is open");
            stock.grow(&self.server, images).await;
        }
    }
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run(&options));
}

async fn run(options: &Options) {
    let compares = |part| {
        let parts = [Part::Requests, Part::Growth, Part::Lists, Part::Batches];
        options.glance && parts.contains(part)
    };
    let parts = options.parts();
    // One Glance for all parts, because it takes long to give it images. The calls about one image
    // have their own, which has no other images.
    let mut glance = parts.iter().any(compares).then(Glance::start);
    for part in parts {
        eprintln!("\n{part:?}");
        let began = std::time::Instant::now();
        measure(options, part, glance.as_mut()).await;
        eprintln!("{part:?} took {:.0} s", began.elapsed().as_secs_f64());
    }
}

async fn measure(options: &Options, part: Part, mut glance: Option<&mut Glance>) {
    if let (Some(glance), Part::Lists | Part::Batches) = (&mut glance, part) {
        glance.grow(LISTED_IMAGES).await;
    }
    match part {
        Part::All => unreachable!("it is replaced by the others"),
        Part::Start => options.save("start", start::measure(options).await),
        Part::Costs => options.save("costs", costs::count(options).await),
        Part::Requests => {
            let own = options.glance.then(Glance::start);
            options.save("requests", requests::single(options, own.as_ref()).await);
        }
        Part::Growth => options.save("growth", growth::measure(options, glance).await),
        Part::Lists => {
            let lists = requests::lists(options, glance.as_deref(), LISTED_IMAGES).await;
            options.save("lists", lists);
        }
        Part::Batches => {
            let batches = batches::measure(options, glance.as_deref()).await;
            options.save("batches", batches);
        }
        Part::Command => {
            if let Some(command) = command::measure(options).await {
                options.save("command", command);
            }
        }
        Part::Report => report::write(&options.out()),
    }
}

async fn new_image(client: &mut Client) -> String {
    let body = serde_json::json!({"name": "one"});
    let image = client.json(Request::new(Who::Owner, "POST", "/v2/images", body));
    image.await["id"].as_str().expect("an id").to_owned()
}
