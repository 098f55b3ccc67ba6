//! A measured process: its memory and its CPU time, as `/proc` shows them.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command};
use std::time::Duration;

/// A running process, killed when dropped.
pub struct Process(Child);

impl Process {
    /// Starts it as the leader of a process group.
    pub fn start(command: &mut Command) -> Self {
        Self(
            command
                .process_group(0)
                .spawn()
                .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}")),
        )
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(mut self) {
        let id = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.is_ok_and(|status| status.success()), "cannot stop");
        let _ = self.0.wait();
    }

    /// Takes its standard output, if that was piped.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Resident memory, now and at its peak, in MB.
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

    /// CPU time of its process group so far, user and system.
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

/// CPU time of a process so far, user and system.
pub fn cpu(id: u32) -> Duration {
    let stat = stat(id);
    let ticks = stat.iter().skip(USER).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The index of the process group in `stat`.
const GROUP: usize = 2;
/// The index of the user time in `stat`, in hundredths of a second; the system time is next.
const USER: usize = 11;

/// The fields of `/proc/ID/stat` after the process's name, which is in parentheses.
fn stat(id: u32) -> Vec<String> {
    let stat = told(id, "stat");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().map(str::to_owned).collect()
}

fn told(id: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
}
