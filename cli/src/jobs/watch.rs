//! Waiting for jobs: one bar for all, and Ctrl-C that leaves them running.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use super::bar::Bar;
use super::started::{Started, short};
use crate::api::{Client, Counts};
use crate::context::Context;
use crate::error::{Exit, Failure, Outcome, count};
use crate::output::terminal::say;

/// The pauses between two looks at a job.
const PAUSE_MIN: Duration = Duration::from_millis(60);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a service may be away while a job is watched.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// The exit code of a command that Ctrl-C ends, as shells have it.
const INTERRUPTED: i32 = 130;

/// What Ctrl-C has to know.
#[derive(Debug, Default)]
struct State {
    started: Vec<String>,
    unsent: usize,
    finished: bool,
}

/// Watches jobs from the first that is sent to the end of the last.
#[derive(Debug)]
pub struct Watch {
    bar: Bar,
    state: Arc<Mutex<State>>,
    shown: Mutex<Counts>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Starts to watch: from here on, Ctrl-C says how to come back.
    ///
    /// # Errors
    /// If the system gives no signals.
    pub fn new(context: &Context, entries: usize) -> Outcome<Self> {
        let bar = Bar::new(&context.terminal, entries);
        let state = Arc::new(Mutex::new(State::default()));
        let mut signals = Signals::new([SIGINT])
            .map_err(|error| Failure::wrong_use(format!("cannot listen for Ctrl-C: {error}")))?;
        let (seen, shown) = (state.clone(), bar.clone());
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                shown.abandon();
                let text = interrupted(&lock(&seen));
                say(&format!("\n{text}"));
                std::process::exit(INTERRUPTED);
            }
        });
        Ok(Self {
            bar,
            state,
            shown: Mutex::default(),
        })
    }

    /// Notes how many parts are not sent yet.
    pub fn unsent(&self, parts: usize) {
        lock(&self.state).unsent = parts;
    }

    /// Notes a job that was started.
    pub fn started(&self, id: &str) {
        let mut state = lock(&self.state);
        state.started.push(id.to_owned());
        self.bar.name(match state.started.as_slice() {
            [one] => format!("job {}", short(one)),
            several => count(several.len(), "job"),
        });
    }

    /// Waits for the end of the jobs.
    ///
    /// # Errors
    /// If the service is away for a minute, or does not know a job any more.
    pub fn wait(&self, client: &Client, jobs: &[Started]) -> Outcome<()> {
        self.wait_for(client, jobs, jobs.len()).map(|_| ())
    }

    /// Waits until at least this many of the jobs have ended: how many they are by then.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for(&self, client: &Client, jobs: &[Started], enough: usize) -> Outcome<usize> {
        let mut counts: Vec<(Counts, bool)> = jobs
            .iter()
            .map(|job| {
                (
                    Counts {
                        total: job.total,
                        ..Counts::default()
                    },
                    false,
                )
            })
            .collect();
        let (mut pause, mut first, mut away_since) = (PAUSE_MIN, true, None);
        loop {
            match look(client, jobs, &mut counts) {
                Ok(()) => away_since = None,
                Err(failure) if failure.exit == Exit::Away => {
                    let since = *away_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= AWAY_MAX {
                        self.bar.abandon();
                        return Err(failure.and(how_to_return(jobs, lock(&self.state).unsent)));
                    }
                    self.bar.say("the service is away: trying again".to_owned());
                }
                Err(failure) => {
                    self.bar.abandon();
                    return Err(failure.and(how_to_return(jobs, lock(&self.state).unsent)));
                }
            }
            let sum = sum(&counts);
            *lock(&self.shown) = sum;
            let ended = counts.iter().filter(|(_, ended)| *ended).count();
            if ended >= enough {
                return Ok(ended);
            }
            if std::mem::take(&mut first) {
                self.bar.start_at(sum.succeeded + sum.failed);
            }
            if away_since.is_none() {
                self.bar.show(sum);
            }
            sleep(pause);
            pause = (pause * 3 / 2).min(PAUSE_MAX);
        }
    }

    /// Ends the bar. Ctrl-C has nothing more to say about jobs.
    pub fn finish(&self) {
        let counts = *lock(&self.shown);
        let mut state = lock(&self.state);
        state.finished = true;
        match counts.total {
            0 => self.bar.clear(),
            _ => {
                self.bar.show(counts);
                self.bar.finish(counts);
            }
        }
    }
}

/// Looks at the jobs that have not ended.
fn look(client: &Client, jobs: &[Started], counts: &mut [(Counts, bool)]) -> Outcome<()> {
    for (job, (counts, ended)) in jobs.iter().zip(counts) {
        if *ended {
            continue;
        }
        let found = client.job(&job.id)?.ok_or_else(|| {
            Failure::wrong_use(format!("there is no job {} any more", short(&job.id)))
        })?;
        *counts = found.entities;
        *ended = found.ended();
    }
    Ok(())
}

fn sum(counts: &[(Counts, bool)]) -> Counts {
    counts
        .iter()
        .fold(Counts::default(), |sum, (each, _)| Counts {
            total: sum.total + each.total,
            succeeded: sum.succeeded + each.succeeded,
            failed: sum.failed + each.failed,
        })
}

/// How to come back to jobs that go on.
pub fn how_to_return(started: &[Started], unsent: usize) -> String {
    let ids: Vec<&str> = started.iter().map(|job| job.id.as_str()).collect();
    return_to(&ids, unsent)
}

fn return_to(ids: &[&str], unsent: usize) -> String {
    let ids: Vec<&str> = ids.iter().map(|id| short(id)).collect();
    let (goes, it) = match ids.len() {
        1 => ("job goes on", "it"),
        _ => ("jobs go on", "them"),
    };
    let rest = match unsent {
        0 => String::new(),
        _ => format!(
            "; {} not sent: repeat the command for the rest, what is done already stays",
            match unsent {
                1 => "1 batch was".to_owned(),
                several => format!("{} were", count(several, "batch")),
            }
        ),
    };
    format!(
        "the {goes}, come back to {it} with: imshare job wait {}{rest}",
        ids.join(" ")
    )
}

/// What Ctrl-C says.
fn interrupted(state: &State) -> String {
    let ids: Vec<&str> = state.started.iter().map(String::as_str).collect();
    match (ids.is_empty(), state.finished) {
        (_, true) => "imshare: interrupted".to_owned(),
        (true, false) => {
            "imshare: interrupted while the first batch was sent: imshare job list shows \
                          whether it has become a job"
                .to_owned()
        }
        (false, false) => format!("imshare: interrupted; {}", return_to(&ids, state.unsent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_says_how_to_come_back() {
        let state = |ids: &[&str], unsent| State {
            started: ids.iter().map(|id| (*id).to_owned()).collect(),
            unsent,
            finished: false,
        };
        let id = "01a2154123450000a000000000000000";
        assert_eq!(
            interrupted(&state(&[id], 0)),
            "imshare: interrupted; the job goes on, come back to it with: imshare job wait 01a215412345"
        );
        let several = interrupted(&state(&[id, id], 2));
        assert!(
            several.contains("jobs go on") && several.contains("2 batches were not sent"),
            "{several}"
        );
        assert!(interrupted(&state(&[], 1)).contains("imshare job list"));
    }
}
