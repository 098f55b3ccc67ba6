//! A measured server in a process of its own: imshare's binary, or a real Glance.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::Process;

/// A running server.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// `host:port`.
    pub address: String,
    /// Whether it is Glance, which imshare is compared with.
    pub is_glance: bool,
    /// From the start of the process to its ready line.
    pub ready_after: Duration,
}

/// How imshare is started. Its limits of jobs are counted and never reached.
const SERVE: [&str; 7] = [
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--member-quota=-1",
    "--job-quota=1000000",
    "--entry-quota=100000000",
    "--log=error",
];

impl Server {
    /// Starts this binary of imshare with limits that are never reached, and waits until it is ready.
    pub fn imshare(binary: &Path, data: &Path) -> Self {
        let mut command = Command::new(binary);
        command.args(SERVE).arg("--data-dir").arg(data);
        Self::start(&mut command, false)
    }

    /// Like `imshare`, with its table in the DynamoDB at this endpoint.
    pub fn imshare_on(binary: &Path, data: &Path, dynamodb: &str) -> Self {
        let mut command = Command::new(binary);
        command
            .args(SERVE)
            .args(["--dynamodb-endpoint", dynamodb])
            .arg("--data-dir")
            .arg(data);
        Self::start(&mut command, false)
    }

    /// Starts Glance, after installing it if need be, and waits until it is ready.
    pub fn glance(data: &Path) -> Self {
        // Glance cannot listen on port 0.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.expect("a free port").port().to_string();
        let mut command = Command::new("bench/glance/serve.sh");
        command.arg(data).arg(port);
        Self::start(&mut command, true)
    }

    /// Stops it, and waits until it has finished its work.
    pub fn stop(self) {
        self.process.stop();
    }

    fn start(command: &mut Command, is_glance: bool) -> Self {
        let began = Instant::now();
        let mut process = Process::start(command.stdout(Stdio::piped()));
        let mut lines = BufReader::new(process.take_output().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("a ready line").expect("text");
            if let Some(url) = line.strip_prefix("listening on http://") {
                break url.to_owned();
            }
        };
        let ready_after = began.elapsed();
        // Discard what it prints from now on: a full pipe would block it.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            address,
            is_glance,
            ready_after,
        }
    }
}
