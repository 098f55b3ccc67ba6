//! Measures the service as its users meet it: the release binary, real connections, data in files.
//!
//! ```sh
//! cargo build --release --workspace --bins && target/release/bench
//! ```

mod batches;
mod client;
mod functions;
mod interleave;
mod limit;
mod process;
mod requests;
mod server;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum as _};
use client::{Client, Who};
use functions::FunctionRunner;
use server::Server;

/// The allocator of the server, so that the bare loops run with the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEMBER: &str = "edc89b490d7d4392898e19b2deb34797";

#[derive(Debug, Parser)]
#[command(about = "Measures the service on this machine")]
struct Options {
    /// The server to measure; the functions' binaries are looked for beside it.
    #[arg(long, default_value = "target/release/imshare")]
    binary: PathBuf,
    /// Seconds that each contender of a measurement has.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Entries of the largest batch.
    #[arg(long, default_value_t = 10_000)]
    entries: usize,
    /// Compare the requests with those of a real Glance, which is installed from PyPI.
    #[arg(long)]
    glance: bool,
    /// What to measure; all of it unless some is named.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The start of the server.
    Start,
    /// Requests a second.
    Requests,
    /// Entries a second.
    Batches,
    /// The functions' starts and their CPU time, beside those of the minimal function.
    Functions,
    /// The sizes of the binaries.
    Sizes,
}

impl Options {
    /// How many windows each contender has in a measurement.
    fn windows(&self) -> u64 {
        (self.seconds * 1000 / interleave::WINDOW_LENGTH.as_millis() as u64).max(1)
    }
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let parts = match options.parts.as_slice() {
            [] => Part::value_variants(),
            some => some,
        };
        for part in parts {
            match part {
                Part::Start => start(&options).await,
                Part::Requests => requests::measure(&options).await,
                Part::Batches => batches::measure(&options).await,
                Part::Functions => functions(&options).await,
                Part::Sizes => sizes(&options),
            }
        }
    });
}

/// Measures the time from the start of the process to the first response.
async fn start(options: &Options) {
    let mut ready = Vec::new();
    let mut first = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..7 {
        let data = tempfile::tempdir().expect("a directory");
        let began = Instant::now();
        let server = Server::imshare(&options.binary, data.path());
        let mut client = Client::new(&server).await;
        let list = "/v2/images";
        client.send(Who::Owner, "GET", list, String::new()).await;
        first.push(began.elapsed());
        ready.push(server.ready_after);
        resident.push(server.process.memory().0);
    }
    resident.sort_by(f64::total_cmp);
    println!(
        "start, new data directory, median of 7: ready after {:.0} ms, first answer after {:.0} ms, \
         {:.0} MB resident\n",
        median(ready),
        median(first),
        resident[3],
    );
}

async fn new_image(client: &mut Client) -> String {
    let image = client.json(Who::Owner, "POST", "/v2/images", "{}".to_owned());
    image.await["id"].as_str().expect("an id").to_owned()
}

/// Measures the starts of the functions and the CPU time of a request, beside the minimal function.
async fn functions(options: &Options) {
    const STARTS: usize = 15;
    const ROUNDS: usize = 15;
    const REQUESTS: u32 = 200;
    let directory = options.binary.parent().expect("a directory");
    let runner = FunctionRunner::new().await;
    let compared = ["minimal", "read-members"];
    let mut inits: [Vec<Duration>; 2] = Default::default();
    let mut firsts: [Vec<Duration>; 2] = Default::default();
    let mut cpus: [Vec<Duration>; 2] = Default::default();
    // Interleaved, so that whatever slows the machine down affects both.
    for _ in 0..STARTS {
        for (at, name) in compared.iter().enumerate() {
            let function = runner.start(&directory.join(name)).await;
            inits[at].push(function.init);
            firsts[at].push(function.first);
        }
    }
    let mut running = Vec::new();
    for name in compared {
        let mut function = runner.start(&directory.join(name)).await;
        function.cpu(REQUESTS).await;
        running.push(function);
    }
    for _ in 0..ROUNDS {
        for (function, cpus) in running.iter_mut().zip(&mut cpus) {
            cpus.push(function.cpu(REQUESTS).await);
        }
    }
    println!(
        "| function, medians | asks for its first event after | first answer after | CPU a request | memory at most |"
    );
    println!("|---|---|---|---|---|");
    let (firsts, cpus) = (firsts.map(median), cpus.map(median));
    for (at, init) in inits.map(median).into_iter().enumerate() {
        println!(
            "| {} | {init:.1} ms | {:.1} ms | {:.2} ms | {:.0} MB |",
            compared[at],
            firsts[at],
            cpus[at],
            running[at].memory()
        );
    }
    println!(
        "| ratio | | {:.2} | {:.2} | |",
        firsts[1] / firsts[0],
        cpus[1] / cpus[0]
    );
    for name in names().filter(|name| name != "read-members") {
        let mut inits = Vec::new();
        for _ in 0..7 {
            inits.push(runner.init(&directory.join(&name)).await);
        }
        println!("| {name} | {:.1} ms | | | |", median(inits));
    }
    println!();
}

/// The median in milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// The names of the functions, one for each directory.
fn names() -> impl Iterator<Item = String> {
    let mut names: Vec<_> = std::fs::read_dir("functions")
        .expect("to be run in the project's directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names.into_iter()
}

/// Prints the sizes of the binaries.
fn sizes(options: &Options) {
    let directory = options.binary.parent().expect("a directory");
    println!("| binary | MB |\n|---|---|");
    for name in names().chain(["imshare".to_owned()]) {
        if let Ok(file) = std::fs::metadata(directory.join(&name)) {
            println!("| {name} | {:.1} |", file.len() as f64 / 1e6);
        }
    }
}
