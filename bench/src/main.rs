//! Measures the service as its users meet it: the real binary, real connections, data in files.
//!
//! ```sh
//! cargo build --release --workspace --bins && target/release/bench
//! ```

mod client;
mod functions;
mod limit;
mod process;
mod server;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum as _};
use client::{Client, Who};
use functions::Stage;
use limit::{Limit, Loop};
use serde_json::{Value, json};
use server::Server;

const MEMBER: &str = "edc89b490d7d4392898e19b2deb34797";
/// Members of the image that is listed.
const LISTED: usize = 10;

#[derive(Debug, Parser)]
#[command(about = "Measures the service on this machine")]
struct Options {
    /// The server to measure; the functions' binaries are looked for beside it.
    #[arg(long, default_value = "target/release/imshare")]
    binary: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Entries of the largest batch.
    #[arg(long, default_value_t = 10_000)]
    entries: usize,
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
    /// The functions' starts and their processor time, beside those of the least function.
    Functions,
    /// The sizes of the binaries.
    Sizes,
}

/// What the connections send.
#[derive(Clone, Copy, Debug)]
enum Work {
    Show,
    List,
    Accept,
    Add,
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
                Part::Requests => requests(&options).await,
                Part::Batches => batches(&options).await,
                Part::Functions => functions(&options).await,
                Part::Sizes => sizes(&options),
            }
        }
    });
}

/// From the start of the process to the first answer.
async fn start(options: &Options) {
    let mut ready = Vec::new();
    let mut first = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..7 {
        let data = tempfile::tempdir().expect("a directory");
        let began = Instant::now();
        let server = Server::start(&options.binary, data.path());
        let mut client = Client::new(&server.address).await;
        let list = "/v2/images";
        client.send(Who::Owner, "GET", list, String::new()).await;
        first.push(began.elapsed());
        ready.push(server.ready_after);
        resident.push(server.memory().0);
    }
    first.sort();
    ready.sort();
    resident.sort_by(f64::total_cmp);
    println!(
        "start, new data directory, median of 7: ready after {:.0} ms, first answer after {:.0} ms, \
         {:.0} MB resident\n",
        ready[3].as_secs_f64() * 1e3,
        first[3].as_secs_f64() * 1e3,
        resident[3],
    );
}

/// Requests a second with one connection and with sixteen, beside the bare loops.
async fn requests(options: &Options) {
    let time = Duration::from_secs(options.seconds);
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start(&options.binary, data.path());
    let limit_data = tempfile::tempdir().expect("a directory");
    let limit = Limit::new(limit_data.path(), 16).await;
    println!(
        "| operation | connections | requests/s | p50 ms | p99 ms | server CPU ms | bare loop/s | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (work, bare) in [
        (Work::Show, Loop::Show),
        (Work::List, Loop::List),
        (Work::Accept, Loop::Accept),
        (Work::Add, Loop::Add),
    ] {
        for connections in [1, 16] {
            let cpu = server.cpu();
            let (rate, mut times) = load(&server.address, work, connections, time).await;
            let cpu = (server.cpu() - cpu).as_secs_f64() * 1e3 / times.len() as f64;
            let limit = limit.run(bare, connections, time).await;
            times.sort_unstable();
            let at = |share: f64| {
                let place = (times.len() as f64 * share) as usize;
                times[place.min(times.len() - 1)].as_secs_f64() * 1e3
            };
            println!(
                "| {work:?} | {connections} | {rate:.0} | {:.2} | {:.2} | {cpu:.2} | {limit:.0} | {:.2} |",
                at(0.5),
                at(0.99),
                rate / limit
            );
        }
    }
    let (now, most) = server.memory();
    println!("\nmemory of the server after it: {now:.0} MB resident, {most:.0} MB at most\n");
}

/// Requests a second and how long each took.
async fn load(
    address: &str,
    work: Work,
    connections: usize,
    time: Duration,
) -> (f64, Vec<Duration>) {
    let mut callers = Vec::new();
    for _ in 0..connections {
        let mut client = Client::new(address).await;
        let image = new_image(&mut client).await;
        let members = format!("/v2/images/{image}/members");
        for member in (1..LISTED).map(|k| format!("member-{k}")) {
            add(&mut client, &members, &member).await;
        }
        add(&mut client, &members, MEMBER).await;
        callers.push((client, members));
    }
    let began = Instant::now();
    let tasks = callers.into_iter().map(|(mut client, members)| {
        tokio::spawn(async move {
            let mut times = Vec::new();
            let row = format!("{members}/{MEMBER}");
            while began.elapsed() < time {
                let sent = Instant::now();
                match work {
                    Work::Show => client.send(Who::Member, "GET", &row, String::new()).await,
                    Work::List => {
                        client
                            .send(Who::Owner, "GET", &members, String::new())
                            .await
                    }
                    Work::Accept => {
                        let status = ["accepted", "rejected"][times.len() % 2];
                        let body = json!({"status": status}).to_string();
                        client.send(Who::Member, "PUT", &row, body).await
                    }
                    Work::Add => {
                        let member = uuid::Uuid::new_v4().simple().to_string();
                        let body = json!({"member": member}).to_string();
                        client.send(Who::Owner, "POST", &members, body).await
                    }
                };
                times.push(sent.elapsed());
            }
            times
        })
    });
    let times = futures::future::join_all(tasks).await;
    let elapsed = began.elapsed().as_secs_f64();
    let times: Vec<_> = times.into_iter().flat_map(|t| t.expect("a task")).collect();
    (times.len() as f64 / elapsed, times)
}

async fn new_image(client: &mut Client) -> String {
    let image = client.json(Who::Owner, "POST", "/v2/images", "{}".to_owned());
    image.await["id"].as_str().expect("an id").to_owned()
}

async fn add(client: &mut Client, members: &str, member: &str) {
    let body = json!({"member": member}).to_string();
    client.send(Who::Owner, "POST", members, body).await;
}

/// From the request of a batch to the end of its job, beside the bare loop of its writes.
async fn batches(options: &Options) {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start(&options.binary, data.path());
    let makers = (0..16).map(|maker| {
        let (address, entries) = (server.address.clone(), options.entries);
        tokio::spawn(async move {
            let mut client = Client::new(&address).await;
            let mut images = Vec::new();
            for _ in (maker..entries).step_by(16) {
                images.push(new_image(&mut client).await);
            }
            images
        })
    });
    let images = futures::future::join_all(makers).await;
    let images: Vec<_> = images
        .into_iter()
        .flat_map(|i| i.expect("a task"))
        .collect();
    let mut client = Client::new(&server.address).await;
    let limit_data = tempfile::tempdir().expect("a directory");
    let limit = Limit::new(limit_data.path(), 16).await;
    let bare = limit
        .run(Loop::Entry, 16, Duration::from_secs(options.seconds))
        .await;
    println!(
        "| batch | entries | time to the job's end | entries/s | of {bare:.0} bare `UpdateItem`/s |"
    );
    println!("|---|---|---|---|---|");
    for entries in [1, 100, options.entries] {
        let images = &images[..entries];
        let share = json!({"images": images, "projects": [MEMBER]});
        let accept = json!({"images": images, "project_id": MEMBER, "status": "accepted"});
        for (name, who, method, body) in [
            ("share", Who::Owner, "POST", &share),
            ("accept", Who::Member, "PUT", &accept),
            ("unshare", Who::Owner, "DELETE", &share),
        ] {
            let took = batch(&mut client, who, method, body).await.as_secs_f64();
            let rate = entries as f64 / took;
            println!(
                "| {name} | {entries} | {:.0} ms | {rate:.0} | {:.2} |",
                took * 1e3,
                rate / bare
            );
        }
    }
    let (now, most) = server.memory();
    println!("\nmemory of the server after it: {now:.0} MB resident, {most:.0} MB at most\n");
}

async fn batch(client: &mut Client, who: Who, method: &str, body: &Value) -> Duration {
    let began = Instant::now();
    let path = "/v1/cloudimages/members";
    let job = client.json(who, method, path, body.to_string()).await;
    let job = job["job_id"].as_str().expect("a job").to_owned();
    let path = format!("/v1/cloudimages/job/{job}?limit=1");
    loop {
        let job = client.json(who, "GET", &path, String::new()).await;
        match job["status"].as_str() {
            Some("SUCCESS") => return began.elapsed(),
            Some("FAIL") => panic!("the job failed: {job}"),
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Starts of the functions, and what a request takes one of them, beside the least function.
async fn functions(options: &Options) {
    const STARTS: usize = 15;
    const MORE: u32 = 500;
    let directory = options.binary.parent().expect("a directory");
    let stage = Stage::new().await;
    // In turns, so that whatever slows the machine down meets both.
    let mut least = Vec::new();
    let mut ours = Vec::new();
    for start in 0..STARTS {
        let more = if start == 0 { MORE } else { 0 };
        least.push(stage.measure(&directory.join("least"), more).await);
        ours.push(stage.measure(&directory.join("read-members"), more).await);
    }
    println!(
        "| function | asks for its first event after | first answer after | CPU a request | memory at most |"
    );
    println!("|---|---|---|---|---|");
    let mut firsts = Vec::new();
    for (name, all) in [("least", &mut least), ("read-members", &mut ours)] {
        let (cpu, memory) = (all[0].cpu, all[0].memory);
        all.sort_by_key(|one| one.init);
        let init = all[STARTS / 2].init;
        all.sort_by_key(|one| one.first);
        let first = all[STARTS / 2].first;
        println!(
            "| {name} | {:.1} ms | {:.1} ms | {:.2} ms | {memory:.0} MB |",
            init.as_secs_f64() * 1e3,
            first.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e3,
        );
        firsts.push((first, cpu));
    }
    let ratio = |of: fn(&(Duration, Duration)) -> Duration| {
        of(&firsts[1]).as_secs_f64() / of(&firsts[0]).as_secs_f64()
    };
    println!(
        "| ratio | | {:.2} | {:.2} | |",
        ratio(|one| one.0),
        ratio(|one| one.1)
    );
    for name in names().filter(|name| name != "read-members") {
        let mut inits = Vec::new();
        for _ in 0..7 {
            inits.push(stage.init(&directory.join(&name)).await);
        }
        inits.sort();
        println!("| {name} | {:.1} ms | | | |", inits[3].as_secs_f64() * 1e3);
    }
    println!();
}

/// The functions, one a directory.
fn names() -> impl Iterator<Item = String> {
    let mut names: Vec<_> = std::fs::read_dir("functions")
        .expect("to be run in the project's directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names.into_iter()
}

/// The sizes of the binaries.
fn sizes(options: &Options) {
    let directory = options.binary.parent().expect("a directory");
    println!("| binary | MB |\n|---|---|");
    for name in names().chain(["imshare".to_owned()]) {
        if let Ok(file) = std::fs::metadata(directory.join(&name)) {
            println!("| {name} | {:.1} |", file.len() as f64 / 1e6);
        }
    }
}
