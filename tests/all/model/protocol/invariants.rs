//! What must hold in every state of the protocol, and the search through all of them.

use std::collections::HashMap;

use shared::domain::job::JobStatus;

use super::super::cell::Cell;
use super::super::{Reported, possible, wrong_refusal};
use super::{CHUNKS, Call, Scenario, State};

impl Scenario {
    /// Checks the invariants of a step and returns what is wrong.
    fn check_step(&self, old: &State, new: &State) -> Result<(), String> {
        for job in (0..2).filter(|job| old.counters[*job] != new.counters[*job]) {
            let (before, after) = (self.status(old, job), self.status(new, job));
            let ended = matches!(before, JobStatus::Success | JobStatus::Fail);
            if before > after || ended && before != after {
                return Err(format!("job {job} went from {before:?} to {after:?}"));
            }
            let rows = (0..CHUNKS).filter(|chunk| self.job_of(*chunk) == job);
            let rows: Vec<Reported> = rows
                .filter_map(|chunk| new.results[chunk])
                .flatten()
                .flatten()
                .collect();
            let good = rows
                .iter()
                .filter(|row| **row == Reported::Succeeded)
                .count();
            let (succeeded, failed) = new.counters[job];
            if (usize::from(succeeded), usize::from(failed)) != (good, rows.len() - good) {
                return Err(format!(
                    "job {job}: the counters are not those of the results"
                ));
            }
        }
        for (before, after) in old.cells.iter().zip(&new.cells) {
            match (before, after) {
                (Cell::Gone { op, .. }, Cell::Present { added, .. }) if added < op => {
                    return Err("an older request brought back what was taken away".to_owned());
                }
                (Cell::Present { shared: old, .. }, Cell::Gone { op, .. }) if op < old => {
                    return Err("an older request took away what was shared anew".to_owned());
                }
                (
                    Cell::Present {
                        status: was,
                        op: old,
                        ..
                    },
                    Cell::Present {
                        status: is,
                        op: new,
                        ..
                    },
                ) if was != is && new < old => {
                    return Err("an older answer overwrote a newer one".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks the final state and returns what is wrong.
    fn check_last(&self, state: &State) -> Result<(), String> {
        for cell in 0..2 {
            let mut requests = Vec::new();
            for job in 0..2 {
                if !matches!(
                    self.status(state, job),
                    JobStatus::Success | JobStatus::Fail
                ) {
                    return Err(format!("job {job} did not end"));
                }
                let chunk = job * self.chunks_of_a_job() + cell / self.chunk_rows;
                let result = state.results[chunk].and_then(|rows| rows[cell % self.chunk_rows]);
                let reported = result.unwrap_or(Reported::GaveUp);
                requests.push((self.job_op(job), self.jobs[job], reported));
            }
            let entries = requests.clone();
            for (intent, call) in self.direct.iter().zip(&state.calls) {
                if let (0, Call::Applied(op)) = (cell, call) {
                    requests.push((*op, *intent, Reported::Succeeded));
                }
            }
            let before = self.before;
            if let Some(intent) = wrong_refusal(before, &entries, &requests) {
                return Err(format!("{intent:?} was refused in {requests:?}"));
            }
            let seen = state.cells[cell].seen();
            if !possible(before, self.rule, requests.clone()).contains(&seen) {
                return Err(format!("it is {seen:?} after {:?}", requests));
            }
        }
        Ok(())
    }

    /// Visits every state. Returns their number, or what is wrong and the steps that lead there.
    pub fn check(&self) -> Result<usize, String> {
        let start = self.start();
        let mut number = HashMap::from([(start, 0_usize)]);
        let mut states = vec![start];
        let mut came_from: Vec<Vec<usize>> = vec![Vec::new()];
        let mut at = 0;
        while at < states.len() {
            let state = states[at];
            for next in self.next(&state) {
                let to = *number.entry(next).or_insert_with(|| {
                    states.push(next);
                    came_from.push(Vec::new());
                    states.len() - 1
                });
                came_from[to].push(at);
                self.check_step(&state, &next)
                    .map_err(|why| self.story(&why, to, &states, &came_from))?;
            }
            if self.is_last(&state) {
                self.check_last(&state)
                    .map_err(|why| self.story(&why, at, &states, &came_from))?;
            }
            at += 1;
        }
        // The final state is reachable from every state.
        let mut ends = vec![false; states.len()];
        let mut todo: Vec<usize> = (0..states.len())
            .filter(|at| self.is_last(&states[*at]))
            .collect();
        while let Some(at) = todo.pop() {
            if !std::mem::replace(&mut ends[at], true) {
                todo.extend(&came_from[at]);
            }
        }
        match ends.iter().position(|ends| !ends) {
            Some(stuck) => Err(self.story("this never ends", stuck, &states, &came_from)),
            None => Ok(states.len()),
        }
    }

    fn story(
        &self,
        why: &str,
        mut at: usize,
        states: &[State],
        came_from: &[Vec<usize>],
    ) -> String {
        let mut steps = vec![format!("{:?}", states[at])];
        while at != 0 {
            at = came_from[at][0];
            steps.push(format!("{:?}", states[at]));
        }
        steps.reverse();
        format!("{why}\n{self:?}\n{}", steps.join("\n"))
    }
}
