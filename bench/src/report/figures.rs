//! All figures, and the questions that the report asks of them.

use std::path::Path;

use crate::data::{
    self, Batches, CallFigures, Calls, Command, Cost, GrowthStep, Load, Measured, Run, Start, Where,
};

/// The files of figures; a part that was not measured has none.
#[derive(Default)]
pub struct Figures {
    pub start: Option<Measured<Start>>,
    pub costs: Option<Measured<Vec<Cost>>>,
    pub requests: Option<Measured<Calls>>,
    pub lists: Option<Measured<Calls>>,
    pub growth: Option<Measured<Vec<GrowthStep>>>,
    pub batches: Option<Measured<Batches>>,
    pub command: Option<Measured<Command>>,
    pub time: Option<Where>,
    /// What was tried and did not help, in Markdown.
    pub tried: Option<String>,
}

impl Figures {
    /// Reads all files of a directory.
    pub fn read(directory: &Path) -> Self {
        Self {
            start: data::read(directory, "start"),
            costs: data::read(directory, "costs"),
            requests: data::read(directory, "requests"),
            lists: data::read(directory, "lists"),
            growth: data::read(directory, "growth"),
            batches: data::read(directory, "batches"),
            command: data::read(directory, "command"),
            time: data::read(directory, "time"),
            tried: std::fs::read_to_string(directory.join("tried.md")).ok(),
        }
    }

    /// The runs of all parts, each once.
    pub fn runs(&self) -> Vec<&Run> {
        let all = [
            self.start.as_ref().map(|part| &part.run),
            self.costs.as_ref().map(|part| &part.run),
            self.requests.as_ref().map(|part| &part.run),
            self.lists.as_ref().map(|part| &part.run),
            self.growth.as_ref().map(|part| &part.run),
            self.batches.as_ref().map(|part| &part.run),
            self.command.as_ref().map(|part| &part.run),
        ];
        let mut runs = Vec::new();
        for run in all.into_iter().flatten() {
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
        runs
    }

    /// All calls and lists.
    pub fn calls(&self) -> Calls {
        let parts = [&self.requests, &self.lists].into_iter().flatten();
        parts.flat_map(|part| part.figures.clone()).collect()
    }

    /// Those that were compared with Glance over 16 connections.
    pub fn beside_glance(&self) -> Vec<&CallFigures> {
        let parts = [&self.requests, &self.lists].into_iter().flatten();
        let calls = parts.flat_map(|part| &part.figures);
        calls
            .filter(|call| call.connections == 16 && call.glance.is_some())
            .collect()
    }

    /// A call over 16 connections.
    pub fn call(&self, name: &str) -> Option<&CallFigures> {
        let parts = [&self.requests, &self.lists].into_iter().flatten();
        let mut calls = parts.flat_map(|part| &part.figures);
        calls.find(|call| call.connections == 16 && call.call == name)
    }

    /// How many times Glance's rate is reached at least, in these calls.
    pub fn to_glance(&self, names: &[&str]) -> Option<f64> {
        least(names.iter().map(|name| self.call(name)?.to_glance()))
    }

    /// The share of the bare loop that is reached at least, in these calls.
    pub fn to_bare(&self, names: &[&str]) -> Option<f64> {
        least(names.iter().map(|name| self.call(name)?.to_bare()))
    }

    /// Glance's CPU time divided by imshare's, at least, in these calls.
    pub fn cpu_to_glance(&self, names: &[&str]) -> Option<f64> {
        let cpu = |load: &Load| load.cpu_ms;
        least(names.iter().map(|name| {
            let call = self.call(name)?;
            Some(cpu(call.glance.as_ref()?) / cpu(&call.imshare))
        }))
    }

    pub fn cost(&self, name: &str) -> Option<&Cost> {
        self.costs
            .as_ref()?
            .figures
            .iter()
            .find(|cost| cost.call == name)
    }

    /// How many times slower the median of these lists is with the most images than with 1,000.
    pub fn growth_of(&self, names: &[&str]) -> Option<f64> {
        let steps = &self.growth.as_ref()?.figures;
        let many = steps.last()?;
        let few = steps.iter().rfind(|step| step.images <= 1000)?;
        let median = |step: &GrowthStep, name: &str| {
            let list = step.lists.iter().find(|list| list.call == name)?;
            Some(list.p50_ms)
        };
        let slower = names
            .iter()
            .map(|name| Some(median(many, name)? / median(few, name)?));
        most(slower)
    }

    /// The largest size divided by the smallest, of a figure of the growing store.
    pub fn growth_ratio(&self, value: fn(&GrowthStep) -> f64) -> Option<f64> {
        let steps = &self.growth.as_ref()?.figures;
        Some(value(steps.last()?) / value(steps.first()?))
    }

    /// The share of the bare loop that a batch of 1,000 reaches.
    pub fn batch_to_bare(&self, kind: &str) -> Option<f64> {
        let sizes = &self.batches.as_ref()?.figures.sizes;
        let batch = sizes
            .iter()
            .find(|batch| batch.kind == kind && batch.entries == 1000)?;
        Some(batch.bare_seconds / batch.seconds)
    }

    /// How many times the time of the largest batch of accepts as many PUTs to Glance take.
    pub fn puts_to_batch(&self) -> Option<f64> {
        let batches = &self.batches.as_ref()?.figures;
        let puts = batches.puts.last()?;
        let mut sizes = batches.sizes.iter();
        let batch = sizes.find(|batch| batch.kind == "accept" && batch.entries == puts.entries)?;
        Some(puts.glance_seconds? / batch.seconds)
    }

    /// A figure of `read-members` divided by that of the minimal function.
    pub fn to_minimal(&self, value: fn(&data::FunctionFigures) -> Option<f64>) -> Option<f64> {
        let functions = &self.start.as_ref()?.figures.functions;
        let of = |name: &str| value(functions.iter().find(|function| function.name == name)?);
        Some(of("read-members")? / of("minimal")?)
    }
}

fn least(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.reduce(|one, other| Some(one?.min(other?))).flatten()
}

fn most(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.reduce(|one, other| Some(one?.max(other?))).flatten()
}
