//! The real binary as a process of its own, and what the system says of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process;

/// A server that runs, with its data in a directory; stopped when dropped.
pub struct Server {
    child: Child,
    /// `host:port`.
    pub address: String,
    /// From the start of the process to its ready line.
    pub ready_after: Duration,
}

impl Server {
    /// Starts the binary with no member quota and waits for its ready line.
    pub fn start(binary: &Path, data: &Path) -> Self {
        let began = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--member-quota=-1"])
            .arg("--data-dir")
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", binary.display()));
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("a ready line").expect("text");
            if let Some(url) = line.strip_prefix("listening on http://") {
                break url.to_owned();
            }
        };
        let ready_after = began.elapsed();
        // What it prints from now on is read and thrown away, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            ready_after,
        }
    }

    /// Resident memory now and at most, in MB.
    pub fn memory(&self) -> (f64, f64) {
        process::memory(self.child.id())
    }

    /// Processor time spent so far, user and system.
    pub fn cpu(&self) -> Duration {
        process::cpu(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
