//! The progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::api::Counts;
use crate::output::terminal::Terminal;

/// From this width on the bar shows everything.
const WIDE: u16 = 72;

/// A bar for all jobs of a command; invisible where nobody looks.
#[derive(Clone, Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar for this many entries.
    pub fn new(terminal: &Terminal, entries: usize) -> Self {
        let target = match terminal.progress {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(entries as u64), target);
        let width = console::Term::stderr().size().1;
        let template = match width >= WIDE {
            true => "{prefix}  {wide_bar:.green}  {human_pos}/{human_len}  {percent} %  {msg}",
            false => "{wide_bar:.green} {human_pos}/{human_len} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let characters = if terminal.unicode { "█▓░" } else { "=>-" };
            bar.set_style(style.progress_chars(characters));
        }
        Self(bar)
    }

    /// Names the jobs.
    pub fn name(&self, name: String) {
        self.0.set_prefix(name);
    }

    /// Sets where a bar starts that has not seen the work before: its rate is of what it sees.
    pub fn start_at(&self, done: usize) {
        self.0.set_position(done as u64);
        self.0.reset_eta();
    }

    /// Shows the counts.
    pub fn show(&self, counts: Counts) {
        self.0.set_length(counts.total as u64);
        self.0
            .set_position((counts.succeeded + counts.failed) as u64);
        let rate = self.0.per_sec();
        let mut parts = failed(counts);
        if rate >= 1.0 {
            parts.push(format!("{rate:.0}/s"));
        }
        let left = self.0.eta();
        if left > Duration::ZERO && rate > 0.0 {
            parts.push(format!("{} left", time(left)));
        }
        self.0.set_message(parts.join("  "));
    }

    /// Says something instead of the rate.
    pub fn say(&self, text: String) {
        self.0.set_message(text);
    }

    /// Leaves the bar as it is at the end, with the time that it took.
    pub fn finish(&self, counts: Counts) {
        let mut parts = failed(counts);
        parts.push(time(self.0.elapsed()));
        self.0.abandon_with_message(parts.join("  "));
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }

    /// Leaves the bar as it is.
    pub fn abandon(&self) {
        self.0.abandon();
    }
}

fn failed(counts: Counts) -> Vec<String> {
    match counts.failed {
        0 => Vec::new(),
        failed => vec![format!("{failed} failed")],
    }
}

/// A time as people say it.
fn time(time: Duration) -> String {
    match time.as_secs() {
        0..1 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 1..100 => format!("{seconds} s"),
        seconds @ 100..6000 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}
