//! Interleaves contenders: a short window of the first, then of the next, until the time is over.
//!
//! A machine that others use too stands still now and then, for up to a second, and a mean over the
//! whole time would measure the machine. So a contender's rate is the 90th percentile of its
//! windows, and all contenders have met the same machine.

use std::time::Duration;

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
}

impl Samples {
    /// Adds a window.
    pub fn add(&mut self, turn: Window) {
        self.rates
            .push(turn.rounds.len() as f64 / turn.took.as_secs_f64());
        self.rounds.extend(turn.rounds);
        self.cpu += turn.cpu;
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

    /// The time that this share of the rounds stayed below, in milliseconds: 0.5 gives the median.
    pub fn within(&self, share: f64) -> f64 {
        let mut rounds = self.rounds.clone();
        rounds.sort_unstable();
        let place = (rounds.len() as f64 * share) as usize;
        rounds[place.min(rounds.len() - 1)].as_secs_f64() * 1e3
    }
}
