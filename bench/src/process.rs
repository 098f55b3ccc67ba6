//! What the system says of a process.

use std::time::Duration;

fn proc(id: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
}

/// Resident memory now and at most, in MB.
pub fn memory(id: u32) -> (f64, f64) {
    let status = proc(id, "status");
    let of = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<f64>().ok())
            .unwrap_or_default()
            / 1024.0
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Processor time spent so far, user and system.
pub fn cpu(id: u32) -> Duration {
    let stat = proc(id, "stat");
    // The fields after the name, which stands in parentheses: utime and stime are the 14th and
    // 15th of all, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
