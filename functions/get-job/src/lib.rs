//! `GET /v1/{project_id}/jobs[/{job_id}]` and `GET /v1/cloudimages/job/{job_id}`: jobs, to their
//! own project (and an admin) alone. Two reads for one job.

use shared::domain::error::ApiError;
use shared::domain::id::{JobId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::job::view::{JobView, ResultRow, ResultStatus};
use shared::domain::job::{Job, JobKind, JobStatus, RESULTS_PAGE};
use shared::domain::outcome::Outcome;
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::http::answers::{JobWithResults, Jobs, Results};
use shared::http::page::{self, PageInfo, PageRequest};
use shared::http::routes::{Operation, ReadJobs};
use shared::http::{self, Arguments, Handled, Request};
use shared::runtime::app::App;
use shared::store::job_list::JobFilter;

/// Jobs on a page of the list, unless asked otherwise.
pub const PAGE_DEFAULT: usize = 25;

/// The image, the project and the recorded outcome of an entry.
type Row = (String, ProjectId, Option<Outcome>);

/// Shows one job with a page of its results, or lists the project's jobs.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    http::no_body(&request)?;
    let Operation::Jobs(operation) = http::operation(&request)? else {
        return Err(ApiError::no_such_resource());
    };
    may(&app, &caller, ApiAction::ReadJobs)?;
    match operation {
        ReadJobs::Show => show(&app, &caller, None, &request).await,
        ReadJobs::ShowOfProject => {
            let project = project_of(&app, &caller, &request)?;
            show(&app, &caller, Some(project), &request).await
        }
        ReadJobs::List => {
            let project = project_of(&app, &caller, &request)?;
            list(&app, &project, &request).await
        }
    }
}

fn may(app: &App, caller: &Caller, action: ApiAction<'_>) -> Result<(), ApiError> {
    let decided = app.policy().decide(caller, Action::Api(action));
    decided.map_err(|denied| denied.ims())
}

/// The project that the path names, if the caller may read its jobs.
fn project_of(app: &App, caller: &Caller, request: &Request) -> Result<ProjectId, ApiError> {
    let text = http::path(request, "project_id")?;
    may(app, caller, ApiAction::ReadJobsOf(&text))?;
    ProjectId::parse(text).map_err(|_| ApiError::ims(ImsCode::JobNotFound))
}

async fn show(
    app: &App,
    caller: &Caller,
    project: Option<ProjectId>,
    request: &Request,
) -> Handled {
    let not_found = || ApiError::ims(ImsCode::JobNotFound);
    let id = JobId::parse(&http::path(request, "job_id")?).ok_or_else(not_found)?;
    let query = http::query(request);
    let page = PageRequest::of_query(&query, RESULTS_PAGE, |marker| {
        page::decode_marker(marker)?.parse().ok()
    })?;
    let wanted = match Arguments(&query).last("status") {
        None => None,
        Some(word) => Some(ResultStatus::parse(word).ok_or_else(|| {
            let message = "status must be success, failed or running.";
            ApiError::ims_because(ImsCode::BadRequest, message)
        })?),
    };
    let from: usize = page.after.unwrap_or(0);
    let now = app.now();
    let job = app.store().job(id, now).await?.ok_or_else(not_found)?;
    may(app, caller, ApiAction::ReadJobsOf(job.project.as_str()))?;
    if project.is_some_and(|project| project != job.project) {
        return Err(not_found());
    }
    let (rows, next) = results(app, &job, wanted, from, page.limit).await?;
    let results: Vec<ResultRow<'_>> = rows
        .iter()
        .map(|(number, (image, project, outcome))| {
            job.row(*number, (image, project), *outcome, now)
        })
        .collect();
    let page_info = PageInfo {
        current_count: results.len(),
        total_count: Some(wanted.map_or(job.total, |status| job.count(status, now))),
        next_marker: next.map(|next| page::encode_marker(&next.to_string())),
    };
    let JobView { summary, entities } = job.view(now);
    let entities = Results {
        counts: entities,
        results,
        page_info,
    };
    Ok(http::json(200, &JobWithResults { summary, entities }))
}

/// A page of a job's results in one status, or in any, from a row on: each with its number, and the row
/// from which the next page goes on, if there is one.
///
/// Rows are read a thousand at a time. Where the record tells that none has failed, none is read for those
/// that have.
async fn results(
    app: &App,
    job: &Job,
    wanted: Option<ResultStatus>,
    from: usize,
    limit: usize,
) -> Result<(Vec<(usize, Row)>, Option<usize>), ApiError> {
    let (mut shown, mut row) = (Vec::new(), from);
    let now = app.now();
    while row < job.total {
        let end = match wanted {
            None if shown.len() == limit => return Ok((shown, Some(row))),
            None => row.saturating_add(limit),
            // The end of a stored page.
            Some(_) => (row / RESULTS_PAGE + 1) * RESULTS_PAGE,
        };
        let end = end.min(job.total);
        if wanted == Some(ResultStatus::Failed) && !job.may_have_failed(row..end, now) {
            row = end;
            continue;
        }
        let found = app.store().results(job, row, end - row).await?;
        for (number, found) in (row..end).zip(found) {
            let status = ResultStatus::of(job.outcome(number, found.2, now));
            if wanted.is_some_and(|wanted| wanted != status) {
                continue;
            }
            if shown.len() == limit {
                return Ok((shown, Some(number)));
            }
            shown.push((number, found));
        }
        row = end;
    }
    Ok((shown, None))
}

async fn list(app: &App, project: &ProjectId, request: &Request) -> Handled {
    let query = http::query(request);
    let page = PageRequest::of_query(&query, PAGE_DEFAULT, JobId::parse)?;
    let bad = |message: &str| ApiError::ims_because(ImsCode::BadRequest, message);
    let asked = Arguments(&query);
    let filter = JobFilter {
        status: match asked.last("status") {
            None => None,
            Some(word) => Some(
                JobStatus::parse(word)
                    .ok_or_else(|| bad("status must be INIT, RUNNING, SUCCESS or FAIL."))?,
            ),
        },
        kind: match asked.last("job_type").or(asked.last("type")) {
            None => None,
            Some(word) => Some(
                JobKind::parse(word).ok_or_else(|| bad("job_type is not one that there is."))?,
            ),
        },
    };
    let now = app.now();
    let (jobs, more) = app
        .store()
        .list_jobs(project, filter, page.after, page.limit, now)
        .await?;
    let last = jobs.last().filter(|_| more);
    let page_info = PageInfo {
        current_count: jobs.len(),
        total_count: None,
        next_marker: last.map(|last| last.id.to_string()),
    };
    let jobs: Vec<JobView> = jobs.iter().map(|job| job.view(now)).collect();
    Ok(http::json(200, &Jobs { jobs, page_info }))
}
