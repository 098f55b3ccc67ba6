//! Jobs: batches are split, sent, watched under one bar, and reported.
//!
//! | module | what it does |
//! |---|---|
//! | this one | runs a batch from the question to the report |
//! | [`started`] | a job that was started |
//! | [`batch`] | what is sent, in parts that the service takes |
//! | [`watch`] | waits for jobs, with a bar and Ctrl-C |
//! | [`bar`] | the bar |
//! | [`report`] | what came of the entries |
//! | [`failures`] | failed entries, by their reasons |

pub mod bar;
pub mod batch;
pub mod failures;
pub mod report;
pub mod started;
pub mod watch;

use std::io::IsTerminal as _;

use crate::api::{Client, Task};
use crate::arguments::JobOptions;
use crate::context::Context;
use crate::error::{Done, Exit, Failure, Outcome, count};
use crate::output::{self, Table};
use crate::visible::visible_lines;
use batch::{ENTRIES_MAX, Part, split};
use started::Started;
use watch::Watch;

/// The fewest entries that are asked about.
const CONFIRM_FROM: usize = 100;
/// The code for more entries than the service takes at once.
const TOO_MANY: &str = "IMG.0060";
/// Runs a batch: asks, sends, waits, and reports.
///
/// # Errors
/// If the user says no, or a part cannot be sent, or the service is away for long.
pub fn run(
    context: &Context,
    task: &Task,
    parts: Vec<Part>,
    options: &JobOptions,
) -> Outcome<Done> {
    let entries: usize = parts.iter().map(Part::entries).sum();
    if entries == 0 {
        context.note("There is nothing to do.");
        return Ok(Done::All);
    }
    let sizes = batch::sizes(&parts);
    confirm(options, entries, &format!("{} {sizes}", batch::verb(task)))?;
    context.note(&sizes);
    let names = batch::names(&parts);
    let parts: Vec<Part> = parts
        .iter()
        .flat_map(|part| split(part, ENTRIES_MAX))
        .collect();
    let watch = Watch::new(context, entries)?;
    let started = send_all(context, &watch, task, parts)?;
    if options.no_wait {
        watch.finish();
        return print_ids(context, &started);
    }
    watch.wait(&context.client, &started)?;
    watch.finish();
    report::report(context, report::words(task), &started, &names)
}

/// Sends the parts one after the other. All of them are sent before the first is waited for, so that
/// everything goes on without this command; but if the service takes no more, an earlier job has to
/// end first: a project may have so many entries open, and a repeated command would begin anew.
fn send_all(
    context: &Context,
    watch: &Watch,
    task: &Task,
    parts: Vec<Part>,
) -> Outcome<Vec<Started>> {
    let mut started: Vec<Started> = Vec::new();
    let mut ended = 0;
    let mut unsent: Vec<(Part, String)> = parts.into_iter().rev().map(keyed).collect();
    watch.unsent(unsent.len());
    while let Some((part, key)) = unsent.pop() {
        match send(&context.client, task, &part, &key) {
            Ok(Some(job)) => {
                watch.started(&job.id);
                started.push(job);
            }
            // As many entries as that do not fit after all.
            Ok(None) => {
                let halves = split(&part, part.entries().div_ceil(2));
                unsent.extend(halves.into_iter().rev().map(keyed));
            }
            Err(failure) if failure.exit == Exit::Away && ended < started.len() => {
                unsent.push((part, key));
                ended = watch.wait_for(&context.client, &started, ended + 1)?;
            }
            Err(failure) if started.is_empty() => {
                watch.finish();
                return Err(failure.and("nothing was changed"));
            }
            Err(failure) => {
                watch.finish();
                return Err(failure.and(watch::how_to_return(&started, unsent.len() + 1)));
            }
        }
        watch.unsent(unsent.len());
    }
    Ok(started)
}

/// A part and its idempotency key: a request that is sent again after an error gets the same job.
fn keyed(part: Part) -> (Part, String) {
    (part, uuid::Uuid::new_v4().simple().to_string())
}

/// Sends one part; `None` if it has too many entries and can be split.
fn send(client: &Client, task: &Task, part: &Part, key: &str) -> Outcome<Option<Started>> {
    let answer = client.start(task, &part.image_ids(), &part.project_ids(), key)?;
    if answer.status == 400 && answer.code().as_deref() == Some(TOO_MANY) && part.entries() > 1 {
        return Ok(None);
    }
    let id = Client::started(answer)?;
    Ok(Some(Started {
        id,
        total: part.entries(),
    }))
}

/// Prints the jobs that were started and are not waited for.
///
/// # Errors
/// If that cannot be printed; the jobs go on.
pub fn print_ids(context: &Context, started: &[Started]) -> Outcome<Done> {
    let mut table = Table::new(&["Job", "Entries"]);
    for job in started {
        table.push([job.id.clone().into(), job.total.into()]);
    }
    output::list(&context.terminal, &context.output, table)
        .map_err(|failure| failure.and(watch::how_to_return(started, 0)))?;
    Ok(Done::All)
}

/// Asks before many entries.
///
/// # Errors
/// If the user says no, or cannot be asked.
pub fn confirm(options: &JobOptions, entries: usize, question: &str) -> Outcome<()> {
    if options.yes || entries < CONFIRM_FROM {
        return Ok(());
    }
    let many = count(entries, "entry");
    if !attended() {
        return Err(Failure::wrong_use(format!(
            "{many} need a confirmation, and nobody can be asked here: say --yes; nothing was sent"
        )));
    }
    ask(&format!("{question}: {many}. Go on?"))
}

/// Whether a person is there who can be asked.
pub fn attended() -> bool {
    std::io::stdin().is_terminal() && console::user_attended() && console::user_attended_stderr()
}

/// Asks a question.
///
/// # Errors
/// If the answer is not yes.
pub fn ask(question: &str) -> Outcome<()> {
    let terminal = console::Term::stderr();
    let asked = terminal.write_str(&format!("{} [y/N] ", visible_lines(question)));
    let answer = asked
        .and_then(|()| terminal.read_line())
        .unwrap_or_default();
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::wrong_use("stopped: nothing was sent")),
    }
}
