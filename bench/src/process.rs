//! A process that is measured, and what the system says of it.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command};
use std::time::Duration;

/// A process that runs; stopped when dropped.
pub struct Process(Child);

impl Process {
    /// Starts it, as the first of a group of processes.
    pub fn start(command: &mut Command) -> Self {
        Self(
            command
                .process_group(0)
                .spawn()
                .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}")),
        )
    }

    /// What it prints, if that was piped and is not taken yet.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Resident memory now and at most, in MB.
    pub fn memory(&self) -> (f64, f64) {
        let status = told(self.0.id(), "status");
        let of = |name: &str| -> f64 {
            let line = status.lines().find(|line| line.starts_with(name));
            let kib = line.and_then(|line| line.split_whitespace().nth(1));
            kib.and_then(|kib| kib.parse::<f64>().ok())
                .unwrap_or_default()
                / 1024.0
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Processor time that its group has spent so far, user and system.
    pub fn cpu(&self) -> Duration {
        let all = std::fs::read_dir("/proc").expect("processes");
        let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.filter(|id| stat(*id).get(GROUP) == Some(&self.0.id().to_string()))
            .map(cpu)
            .sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time that a process has spent so far, user and system.
pub fn cpu(id: u32) -> Duration {
    let stat = stat(id);
    let ticks = stat.iter().skip(USER).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Where the process group stands in `stat`.
const GROUP: usize = 2;
/// Where the user's time stands, in hundredths of a second; the system's is the next.
const USER: usize = 11;

/// The fields of `/proc/ID/stat` that come after the name, which stands in parentheses.
fn stat(id: u32) -> Vec<String> {
    let stat = told(id, "stat");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().map(str::to_owned).collect()
}

fn told(id: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
}
