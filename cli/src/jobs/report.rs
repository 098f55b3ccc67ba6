//! What came of the entries of jobs.

use super::batch::Names;
use super::failures::{self, Labels};
use super::started::{Started, short};
use crate::api::{Entry, Task};
use crate::context::Context;
use crate::error::{Done, Outcome, grouped};
use crate::output::{self, Form, Table};
use crate::visible::visible_lines;

/// What is said of entries: of those that changed, and of those that were so already.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    done: &'static str,
    already: &'static str,
    retry: Retry,
    /// Whether the entries are the caller's own answers.
    answers: bool,
}

/// How failed entries are repeated.
#[derive(Clone, Copy, Debug)]
enum Retry {
    /// By `imshare job retry`, with this behind the job.
    With(&'static str),
    /// By `imshare set-members` with the same list.
    Declare,
}

impl Words {
    /// The word for an entry that did not fail.
    fn of<'a>(&self, entry: &'a Entry) -> &'a str
    where
        Self: 'a,
    {
        match (&entry.result, entry.changed) {
            (Some(result), _) => result,
            (None, Some(false)) => self.already,
            (None, _) => self.done,
        }
    }
}

/// The words for a task.
pub fn words(task: &Task) -> Words {
    let (done, already, retry) = match task {
        Task::Share => ("shared", "shared already", ""),
        Task::Unshare => ("no longer shared", "not shared before", ""),
        Task::Answer { accept: true, .. } => ("accepted", "accepted already", " --accept"),
        Task::Answer { accept: false, .. } => ("rejected", "rejected already", " --reject"),
    };
    Words {
        done,
        already,
        retry: Retry::With(retry),
        answers: matches!(task, Task::Answer { .. }),
    }
}

/// The words for a job that somebody else may have started.
pub const ANY: Words = Words {
    done: "done",
    already: "so already",
    retry: Retry::With(""),
    answers: false,
};

/// The words for a job that answered: its record does not say what.
pub const ANSWERED: Words = Words {
    done: "answered",
    already: "answered so already",
    retry: Retry::With(" --accept (or --reject)"),
    answers: true,
};

/// The words for a declared set of members, of which each entry tells what became of it.
pub const DECLARED: Words = Words {
    done: "added or removed",
    already: "so already",
    retry: Retry::Declare,
    answers: false,
};

/// Reads the entries of jobs and prints what came of them.
///
/// # Errors
/// If they cannot be read or printed.
pub fn report(context: &Context, words: Words, jobs: &[Started], names: &Names) -> Outcome<Done> {
    let mut entries = Vec::new();
    for job in jobs {
        entries.push((job, context.client.entries(&job.id, None)?));
    }
    let all = || entries.iter().flat_map(|(_, entries)| entries);
    let failures = all().filter(|entry| failed(entry)).count();
    let printed = match context.output.format {
        Form::Table => {
            let text = visible_lines(&in_words(words, &entries, names));
            context.terminal.print(&text)
        }
        _ => output::list(&context.terminal, &context.output, table(all(), names)),
    };
    printed.map_err(|failure| failure.and(done_already(jobs)))?;
    Ok(if failures == 0 {
        Done::All
    } else {
        Done::SomeFailed
    })
}

/// Entries as a table.
pub fn table<'a>(entries: impl Iterator<Item = &'a Entry>, names: &Names) -> Table {
    let columns = [
        "Image",
        "Image Name",
        "Project",
        "Project Name",
        "Status",
        "Changed",
        "Result",
        "Code",
        "Reason",
    ];
    let mut table = Table::new(&columns);
    for entry in entries {
        table.push([
            entry.image_id.clone().into(),
            names.get(&entry.image_id).cloned().into(),
            entry.project_id.clone().into(),
            names.get(&entry.project_id).cloned().into(),
            entry.status.clone().into(),
            entry.changed.into(),
            entry.result.clone().into(),
            entry.error_code.clone().into(),
            entry.fail_reason.clone().into(),
        ]);
    }
    table
}

/// "28 shared, 2 failed", the failures, and how to repeat them.
fn in_words(words: Words, jobs: &[(&Started, Vec<Entry>)], names: &Names) -> String {
    let all: Vec<&Entry> = jobs.iter().flat_map(|(_, entries)| entries).collect();
    let (failed, done): (Vec<&Entry>, Vec<&Entry>) = all.iter().partition(|each| failed(each));
    let mut shown: Vec<String> = Vec::new();
    for word in [words.done, words.already, "added", "removed", "unchanged"] {
        match done.iter().filter(|entry| words.of(entry) == word).count() {
            0 => {}
            number => shown.push(format!("{} {word}", grouped(number))),
        }
    }
    if shown.is_empty() {
        shown.push(format!("0 {}", words.done));
    }
    if failed.is_empty() {
        return shown.join(", ") + "\n";
    }
    shown.push(format!("{} failed", grouped(failed.len())));
    let mut text = shown.join(", ") + "\n";
    let labels = Labels::new(&all, names, words.answers);
    let (lines, whole) = failures::by_reason(&failed, &labels);
    text.push_str(&lines);
    for (job, entries) in jobs {
        let failed = || entries.iter().filter(|entry| self::failed(entry));
        let job = short(&job.id);
        if !whole && failed().next().is_some() {
            text.push_str(&format!("All of them: imshare job show {job} --failed\n"));
        }
        if failed().any(failures::may_pass) {
            let again = match words.retry {
                Retry::With(option) => format!("imshare job retry {job}{option}"),
                Retry::Declare => "the same imshare set-members".to_owned(),
            };
            text.push_str(&format!("Repeat them with: {again}\n"));
        }
    }
    text
}

fn failed(entry: &Entry) -> bool {
    entry.status == "failed"
}

/// What is said if the outcome of jobs cannot be printed.
fn done_already(jobs: &[Started]) -> String {
    let shows = jobs
        .iter()
        .map(|job| format!("imshare job show {}", short(&job.id)));
    let was = if jobs.len() == 1 {
        "job was"
    } else {
        "jobs were"
    };
    format!("the {was} done: {}", shows.collect::<Vec<_>>().join(", "))
}
