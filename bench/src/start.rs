//! Measures the start of the server, the functions beside the minimal function, and the sizes of the
//! binaries.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Options;
use crate::client::{Client, Request, Who};
use crate::data::{FunctionFigures, Start};
use crate::functions::FunctionRunner;
use crate::interleave::median;
use crate::server::Server;

/// The functions whose requests are compared: the minimal one first.
const COMPARED: [&str; 2] = ["minimal", "read-members"];

/// Measures all of it.
pub async fn measure(options: &Options) -> Start {
    let (mut ready, mut first, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..7 {
        let data = tempfile::tempdir().expect("a directory");
        let began = Instant::now();
        let server = Server::imshare(&options.binary, data.path());
        let mut client = Client::new(&server).await;
        client.ask(Request::get(Who::Owner, "/v2/images")).await;
        first.push(began.elapsed());
        ready.push(server.ready_after);
        resident.push(server.process.memory().0);
    }
    resident.sort_by(f64::total_cmp);
    let directory = &options.functions;
    let start = Start {
        ready_ms: median(ready),
        first_answer_ms: median(first),
        memory_mb: resident[resident.len() / 2],
        functions: functions(directory, options.quick).await,
        sizes: sizes(options),
    };
    eprintln!("{start:#?}");
    start
}

/// Measures the starts of the functions and the CPU time of a request, beside those of the minimal
/// function. They are interleaved, so that whatever slows the machine down affects both.
async fn functions(directory: &Path, quick: bool) -> Vec<FunctionFigures> {
    let rounds = if quick { 3 } else { 15 };
    const REQUESTS: u32 = 200;
    let runner = FunctionRunner::new().await;
    let mut inits: [Vec<Duration>; 2] = Default::default();
    let mut firsts: [Vec<Duration>; 2] = Default::default();
    let mut cpus: [Vec<Duration>; 2] = Default::default();
    for _ in 0..rounds {
        for (at, name) in COMPARED.iter().enumerate() {
            let function = runner.start(&directory.join(name)).await;
            inits[at].push(function.init);
            firsts[at].push(function.first);
        }
    }
    let mut running = Vec::new();
    for name in COMPARED {
        let mut function = runner.start(&directory.join(name)).await;
        function.cpu(REQUESTS).await;
        running.push(function);
    }
    for _ in 0..rounds {
        for (function, cpus) in running.iter_mut().zip(&mut cpus) {
            cpus.push(function.cpu(REQUESTS).await);
        }
    }
    let (inits, firsts, cpus) = (inits.map(median), firsts.map(median), cpus.map(median));
    let compared = COMPARED.iter().enumerate();
    let mut all: Vec<_> = compared
        .map(|(at, name)| FunctionFigures {
            name: (*name).to_owned(),
            init_ms: inits[at],
            first_answer_ms: Some(firsts[at]),
            cpu_ms: Some(cpus[at]),
            memory_mb: Some(running[at].memory()),
        })
        .collect();
    for name in names().filter(|name| !COMPARED.contains(&name.as_str())) {
        let mut inits = Vec::new();
        for _ in 0..7 {
            inits.push(runner.init(&directory.join(&name)).await);
        }
        all.push(FunctionFigures {
            name,
            init_ms: median(inits),
            first_answer_ms: None,
            cpu_ms: None,
            memory_mb: None,
        });
    }
    all
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

/// The sizes of the binaries.
fn sizes(options: &Options) -> BTreeMap<String, f64> {
    let functions = names().map(|name| (options.functions.join(&name), name));
    let server = (options.binary.clone(), "imshare".to_owned());
    let sizes = functions.chain([server]).filter_map(|(path, name)| {
        let file = std::fs::metadata(path).ok()?;
        Some((name, file.len() as f64 / 1e6))
    });
    sizes.collect()
}
