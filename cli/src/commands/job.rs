//! `imshare job`: follow jobs, and repeat what failed.

use crate::api::{Job, Task};
use crate::arguments::{JobCommand, JobStatus};
use crate::context::Context;
use crate::error::{Done, Failure, Outcome, count};
use crate::jobs::batch::{Names, of_entries};
use crate::jobs::started::{Started, short};
use crate::jobs::watch::Watch;
use crate::jobs::{self, report};
use crate::output::{self, Table};

/// The digits of an id.
const ID_DIGITS: usize = 32;
/// The fewest digits that are looked for.
const PREFIX_MIN: usize = 6;

/// The types of jobs in the API.
const SHARE: &str = "imsAddImageMembersJob";
const UNSHARE: &str = "imsDelImageMembersJob";
const ANSWER: &str = "imsUpdateImageMembersJob";
const REPLACE: &str = "imsReplaceImageMembersJob";

/// Runs a command about jobs.
pub fn run(context: &Context, asked: JobCommand) -> Outcome<Done> {
    match asked {
        JobCommand::List { status, limit, .. } => list(context, status, limit),
        JobCommand::Show {
            job,
            entries,
            failed,
            ..
        } => match (entries, failed) {
            (false, false) => show(context, &job),
            (_, failed) => show_entries(context, &job, failed.then_some("failed")),
        },
        JobCommand::Wait { jobs, .. } => wait(context, &jobs),
        JobCommand::Retry {
            job,
            accept,
            reject,
            vault,
            options,
            ..
        } => {
            let job = find(context, &job)?;
            let failed = context.client.entries(&job.job_id, Some("failed"))?;
            if failed.is_empty() {
                context.note(match job.ended() {
                    true => "No entry of the job failed.",
                    false => "No entry of the job has failed yet.",
                });
                return Ok(Done::All);
            }
            let task = task_of(&job, accept, reject, vault)?;
            let entries = failed
                .into_iter()
                .map(|entry| (entry.image_id, entry.project_id));
            let answers = matches!(task, Task::Answer { .. });
            jobs::run(context, &task, of_entries(entries, answers), &options)
        }
    }
}

/// What a job does, in words.
fn kind(job: &Job) -> &str {
    match job.job_type.as_str() {
        SHARE => "share",
        UNSHARE => "unshare",
        ANSWER => "answer",
        REPLACE => "set-members",
        other => other,
    }
}

fn list(context: &Context, status: Option<JobStatus>, limit: usize) -> Outcome<Done> {
    let columns = [
        "Job",
        "Kind",
        "Status",
        "Entries",
        "Succeeded",
        "Failed",
        "Begun At",
        "Ended At",
    ];
    let mut table = Table::new(&columns);
    let mut marker: Option<String> = None;
    while table.len() < limit {
        let rest = limit - table.len();
        let status = status.map(JobStatus::as_str);
        let (jobs, next) = context.client.jobs(status, rest, marker.as_deref())?;
        for job in jobs {
            let kind = kind(&job).to_owned();
            table.push([
                job.job_id.into(),
                kind.into(),
                job.status.into(),
                job.entities.total.into(),
                job.entities.succeeded.into(),
                job.entities.failed.into(),
                job.begin_time.into(),
                job.end_time.into(),
            ]);
        }
        marker = next;
        if marker.is_none() {
            break;
        }
    }
    if table.is_empty() {
        context.note("There are no jobs: they are kept for 7 days after their end.");
    }
    output::list(&context.terminal, &context.output, table)?;
    Ok(Done::All)
}

fn show(context: &Context, text: &str) -> Outcome<Done> {
    let job = find(context, text)?;
    let kind = kind(&job).to_owned();
    let fields = vec![
        ("Job", job.job_id.into()),
        ("Kind", kind.into()),
        ("Status", job.status.into()),
        ("Entries", job.entities.total.into()),
        ("Succeeded", job.entities.succeeded.into()),
        ("Failed", job.entities.failed.into()),
        ("Begun At", job.begin_time.into()),
        ("Ended At", job.end_time.into()),
        ("Reason", job.fail_reason.into()),
    ];
    output::record(&context.terminal, &context.output, fields)?;
    Ok(Done::All)
}

fn show_entries(context: &Context, text: &str, status: Option<&str>) -> Outcome<Done> {
    let job = find(context, text)?;
    let entries = context.client.entries(&job.job_id, status)?;
    let table = report::table(entries.iter(), &Names::new());
    // Names are not in a job.
    let table = table.without(&["Image Name", "Project Name"]);
    output::list(&context.terminal, &context.output, table)?;
    Ok(Done::All)
}

fn wait(context: &Context, texts: &[String]) -> Outcome<Done> {
    let mut jobs: Vec<Job> = Vec::new();
    for text in texts {
        let job = find(context, text)?;
        // One that is named twice is one job.
        if jobs.iter().all(|each| each.job_id != job.job_id) {
            jobs.push(job);
        }
    }
    let started: Vec<Started> = jobs
        .iter()
        .map(|job| Started {
            id: job.job_id.clone(),
            total: job.entities.total,
        })
        .collect();
    let watch = Watch::new(context, started.iter().map(|job| job.total).sum())?;
    for job in &started {
        watch.started(&job.id);
    }
    watch.wait(&context.client, &started)?;
    watch.finish();
    report::report(context, words(&jobs), &started, &Names::new())
}

/// The words for jobs of one kind.
fn words(jobs: &[Job]) -> report::Words {
    let kinds: std::collections::HashSet<&str> = jobs.iter().map(|job| &*job.job_type).collect();
    match (kinds.len() == 1, kinds.iter().next().copied()) {
        (true, Some(SHARE)) => report::words(&Task::Share),
        (true, Some(UNSHARE)) => report::words(&Task::Unshare),
        (true, Some(ANSWER)) => report::ANSWERED,
        (true, Some(REPLACE)) => report::DECLARED,
        _ => report::ANY,
    }
}

/// What a retry does. The service does not tell what a job has answered.
fn task_of(job: &Job, accept: bool, reject: bool, vault: Option<String>) -> Outcome<Task> {
    let short = short(&job.job_id);
    match (job.job_type.as_str(), accept || reject) {
        (SHARE, false) => Ok(Task::Share),
        (UNSHARE, false) => Ok(Task::Unshare),
        (ANSWER, true) => Ok(Task::Answer { accept, vault }),
        (ANSWER, false) => Err(Failure::wrong_use(format!(
            "the job {short} answered, and the service does not tell what: say --accept or --reject"
        ))),
        (REPLACE, _) => Err(Failure::wrong_use(format!(
            "the job {short} set the members of an image: repeat imshare set-members, which changes what \
             is missing"
        ))),
        (SHARE | UNSHARE, true) => Err(Failure::wrong_use(format!(
            "the job {short} did not answer: leave --accept and --reject out"
        ))),
        (other, _) => Err(Failure::wrong_use(format!(
            "the job {short} is of a kind that this command does not know, {other:?}"
        ))),
    }
}

/// Finds a job by its id or the start of it.
fn find(context: &Context, text: &str) -> Outcome<Job> {
    let id = text.to_lowercase();
    let unknown = || {
        Failure::wrong_use(format!(
            "there is no job {text:?} of this project: imshare job list shows them, for 7 days after \
             their end"
        ))
    };
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) || id.len() > ID_DIGITS {
        return Err(unknown());
    }
    if id.len() == ID_DIGITS {
        return context.client.job(&id)?.ok_or_else(unknown);
    }
    if id.len() < PREFIX_MIN {
        return Err(Failure::wrong_use(format!(
            "{text:?} is too short for a job: give {PREFIX_MIN} digits or more"
        )));
    }
    let mut found = by_prefix(context, &id)?;
    match (found.pop(), found.len()) {
        (Some(job), 0) => Ok(job),
        (Some(_), more) => Err(Failure::wrong_use(format!(
            "{} begin with {text:?}: give more digits",
            count(more + 1, "job")
        ))),
        (None, _) => Err(unknown()),
    }
}

/// The jobs whose ids begin so. The list is the newest first, and so are ids: behind those that are
/// older than the prefix nothing can come.
fn by_prefix(context: &Context, prefix: &str) -> Outcome<Vec<Job>> {
    let mut found = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let (jobs, next) = context.client.jobs(None, usize::MAX, marker.as_deref())?;
        let past = jobs.iter().any(|job| job.job_id.as_str() < prefix);
        found.extend(
            jobs.into_iter()
                .filter(|job| job.job_id.starts_with(prefix)),
        );
        marker = next;
        if past || marker.is_none() {
            return Ok(found);
        }
    }
}
