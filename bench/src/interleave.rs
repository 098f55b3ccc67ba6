//! Interleaves contenders: a short window of the first, then of the next, until the time is over.
//!
//! A machine that others use too stands still now and then, for up to a second, and a mean over the
//! whole time would measure the machine. So a contender's rate is the 90th percentile of its
//! windows, and all contenders have met the same machine.

use std::time::Duration;

use crate::data::{Latency, Load};

/// The length of a window.
pub const WINDOW_LENGTH: Duration = Duration::from_millis(100);

/// The rounds of one window.
pub struct Window {
    /// How long each round took.
    pub rounds: Vec<Duration>,
    /// How long the window took: rounds that have begun are finished.
    pub took: Duration,
    /// CPU time spent in it.
    pub cpu: Duration,
}

/// All windows of one contender.
#[derive(Default)]
pub struct Samples {
    rates: Vec<f64>,
    rounds: Vec<Duration>,
    cpu: Duration,
    /// How long all windows took.
    pub took: Duration,
    /// Rounds of the largest window.
    pub most: usize,
}

impl Samples {
    /// Adds a window.
    pub fn add(&mut self, window: Window) {
        let rounds = window.rounds.len();
        self.rates.push(rounds as f64 / window.took.as_secs_f64());
        self.rounds.extend(window.rounds);
        self.cpu += window.cpu;
        self.took += window.took;
        self.most = self.most.max(rounds);
    }

    /// The figures of all windows; `None` if there are none.
    pub fn load(&self) -> Option<Load> {
        (!self.rounds.is_empty()).then(|| Load {
            rate: self.rate(),
            cpu_ms: self.cpu(),
            latency: latency(&self.rounds),
        })
    }

    /// Rounds per second: the 90th percentile of the windows.
    pub fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() * 9 / 10]
    }

    /// CPU time of a round, in milliseconds.
    pub fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.rounds.len() as f64
    }
}

/// The percentiles of these times.
pub fn latency(times: &[Duration]) -> Latency {
    let mut times = times.to_vec();
    times.sort_unstable();
    let within = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times[place.min(times.len() - 1)].as_secs_f64() * 1e3
    };
    Latency {
        p1: within(0.01),
        p5: within(0.05),
        p25: within(0.25),
        p50: within(0.5),
        p75: within(0.75),
        p95: within(0.95),
        p99: within(0.99),
    }
}

/// The median in milliseconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
