//! `GET /v1/{project_id}/jobs[/{job_id}]` and `GET /v1/cloudimages/job/{job_id}`: jobs, to their
//! own project (and an admin) alone. Two reads for one job.

use shared::domain::error::ApiError;
use shared::domain::id::{JobId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::job::view::{JobView, ResultRow};
use shared::domain::job::{JobKind, JobStatus, RESULTS_PAGE};
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::http::answers::{JobWithResults, Jobs, Results};
use shared::http::page::{self, PageInfo, PageRequest};
use shared::http::routes::{Operation, ReadJobs};
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;
use shared::store::job_list::JobFilter;

/// Jobs on a page of the list, unless asked otherwise.
pub const PAGE_DEFAULT: usize = 25;

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
    let page = PageRequest::of_query(&http::query(request), RESULTS_PAGE, |marker| {
        page::decode_marker(marker)?.parse().ok()
    })?;
    let from: usize = page.after.unwrap_or(0);
    let now = app.now();
    let job = app.store().job(id, now).await?.ok_or_else(not_found)?;
    may(app, caller, ApiAction::ReadJobsOf(job.project.as_str()))?;
    if project.is_some_and(|project| project != job.project) {
        return Err(not_found());
    }
    let rows = app.store().results(&job, from, page.limit).await?;
    let next = from.saturating_add(rows.len());
    let more = next < job.total && !rows.is_empty();
    let results: Vec<ResultRow<'_>> = rows
        .iter()
        .map(|(image, project, outcome)| job.row(image, project, *outcome, now))
        .collect();
    let page_info = PageInfo {
        current_count: results.len(),
        total_count: Some(job.total),
        next_marker: more.then(|| page::encode_marker(&next.to_string())),
    };
    let JobView { summary, entities } = job.view(now);
    let entities = Results {
        counts: entities,
        results,
        page_info,
    };
    Ok(http::json(200, &JobWithResults { summary, entities }))
}

async fn list(app: &App, project: &ProjectId, request: &Request) -> Handled {
    let query = http::query(request);
    let page = PageRequest::of_query(&query, PAGE_DEFAULT, JobId::parse)?;
    let bad = |message: &str| ApiError::ims_because(ImsCode::BadRequest, message);
    let asked = |wanted: &str| query.iter().rev().find(|(name, _)| name == wanted);
    let filter = JobFilter {
        status: match asked("status") {
            None => None,
            Some((_, word)) => Some(
                JobStatus::parse(word)
                    .ok_or_else(|| bad("status must be INIT, RUNNING, SUCCESS or FAIL."))?,
            ),
        },
        kind: match asked("job_type").or_else(|| asked("type")) {
            None => None,
            Some((_, word)) => Some(
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
