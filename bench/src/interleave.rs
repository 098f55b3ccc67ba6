//! Who is compared takes turns: a short window of the one, then of the next, until the time is over.
//!
//! A machine that others use too stands still now and then, for up to a second. A rate over the whole
//! time would tell of the machine; so a contender's rate is the one that a tenth of its windows
//! exceed, and all of them have met the same machine.

use std::time::Duration;

/// How long a window is.
pub const WINDOW: Duration = Duration::from_millis(100);

/// What was done in one window.
pub struct Turn {
    /// How long each round took.
    pub rounds: Vec<Duration>,
    /// How long the window was: rounds that had begun are ended.
    pub took: Duration,
    /// Processor time spent in it.
    pub cpu: Duration,
}

/// The turns of one contender.
#[derive(Default)]
pub struct Score {
    rates: Vec<f64>,
    rounds: Vec<Duration>,
    cpu: Duration,
}

impl Score {
    /// One more turn.
    pub fn add(&mut self, turn: Turn) {
        self.rates
            .push(turn.rounds.len() as f64 / turn.took.as_secs_f64());
        self.rounds.extend(turn.rounds);
        self.cpu += turn.cpu;
    }

    /// Rounds a second, which a tenth of the windows exceed.
    pub fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() * 9 / 10]
    }

    /// Processor time of a round, in milliseconds.
    pub fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.rounds.len() as f64
    }

    /// The time that this share of the rounds stayed below, in milliseconds.
    pub fn within(&self, share: f64) -> f64 {
        let mut rounds = self.rounds.clone();
        rounds.sort_unstable();
        let place = (rounds.len() as f64 * share) as usize;
        rounds[place.min(rounds.len() - 1)].as_secs_f64() * 1e3
    }
}
