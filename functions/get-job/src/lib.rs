//! `GET /v1/{project_id}/jobs[/{job_id}]` and `GET /v1/cloudimages/job/{job_id}`: jobs, to their
//! own project (and an admin) alone. Two reads for one job.

use serde_json::{Value, json};
use shared::domain::error::ApiError;
use shared::domain::id::{JobId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::job::{JobKind, JobStatus, RESULTS_PAGE};
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::http::page;
use shared::http::routes::{Operation, ReadJobs};
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;
use shared::store::job_list::JobFilter;

/// Jobs on a page of the list, unless asked otherwise.
const PAGE_DEFAULT: usize = 25;

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
    let page = page::of_query(&http::query(request), RESULTS_PAGE)?;
    let from = match &page.marker {
        None => 0,
        Some(marker) => page::decode_marker(marker)
            .and_then(|text| text.parse().ok())
            .ok_or_else(page::bad_marker)?,
    };
    let now = app.now();
    let job = app.store().job(id, now).await?.ok_or_else(not_found)?;
    may(app, caller, ApiAction::ReadJobsOf(job.project.as_str()))?;
    if project.is_some_and(|project| project != job.project) {
        return Err(not_found());
    }
    let rows = app.store().results(&job, from, page.limit).await?;
    let next = from.saturating_add(rows.len());
    let rows: Vec<Value> = rows
        .iter()
        .map(|(image, project, outcome)| job.row(image, project, *outcome, now))
        .collect();
    let mut view = job.view(now);
    if let Some(entities) = view.get_mut("entities").and_then(Value::as_object_mut) {
        let mut info = json!({"current_count": rows.len(), "total_count": job.total});
        if next < job.total && !rows.is_empty() {
            let next = page::encode_marker(&next.to_string());
            info.as_object_mut()
                .map(|info| info.insert("next_marker".to_owned(), json!(next)));
        }
        entities.insert("results".to_owned(), Value::Array(rows));
        entities.insert("page_info".to_owned(), info);
    }
    Ok(http::json(200, &view))
}

async fn list(app: &App, project: &ProjectId, request: &Request) -> Handled {
    let query = http::query(request);
    let page = page::of_query(&query, PAGE_DEFAULT)?;
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
    let marker = match &page.marker {
        None => None,
        Some(text) => Some(JobId::parse(text).ok_or_else(page::bad_marker)?),
    };
    let now = app.now();
    let (jobs, more) = app
        .store()
        .list_jobs(project, filter, marker, page.limit, now)
        .await?;
    let mut info = json!({"current_count": jobs.len()});
    if let (true, Some(last), Some(info)) = (more, jobs.last(), info.as_object_mut()) {
        info.insert("next_marker".to_owned(), json!(last.id.to_string()));
    }
    let jobs: Vec<Value> = jobs.iter().map(|job| job.view(now)).collect();
    Ok(http::json(200, &json!({"jobs": jobs, "page_info": info})))
}
