//! `GET` and `PUT /v1/{project_id}/cloudimages/trusted-owners`: the rules by which a project answers in
//! advance for images that some owners share with it.

use shared::domain::actor::Origin;
use shared::domain::bodies::trust_rules;
use shared::domain::error::ApiError;
use shared::domain::id::ProjectId;
use shared::domain::ims_code::ImsCode;
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::domain::trust::TrustedOwners;
use shared::http::answers::TrustRules;
use shared::http::routes::{OnTrustedOwners, Operation};
use shared::http::{self, Handled, IfMatch, Request, Response};
use shared::runtime::app::{App, origin};
use shared::store::change_log::Line;

/// How often rules that another request changes at the same time are read again.
const TRIES: usize = 8;

/// Shows the rules of a project, or sets all of them.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    let Operation::TrustedOwners(operation) = http::operation(&request)? else {
        return Err(ApiError::no_such_resource());
    };
    match operation {
        // On the heap: together these futures are too large for a thread's stack.
        OnTrustedOwners::Show => Box::pin(show(&app, &caller, &request)).await,
        OnTrustedOwners::Replace => Box::pin(replace(&app, &caller, &request)).await,
    }
}

async fn show(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    let project = project_of(app, caller, request, ApiAction::ReadTrustedOwners)?;
    let rules = app.store().trusted_owners(&project).await?;
    Ok(shown(&rules))
}

async fn replace(app: &App, caller: &Caller, request: &Request) -> Handled {
    let project = project_of(app, caller, request, ApiAction::SetTrustedOwners)?;
    let expected = IfMatch::of(request)?;
    let next = TrustedOwners {
        rules: trust_rules(http::body_bytes(request)?, &project)?,
        op: Some(app.operation()),
        by: Some(caller.actor()),
    };
    let log = |seen: Option<&TrustedOwners>| log(&project, (seen, &next), &origin(caller, request));
    let store = app.store();
    let Some(expected) = expected else {
        store
            .set_trusted_owners(&project, &next, None, app.now())
            .await?;
        log(None);
        return Ok(shown(&next));
    };
    for _ in 0..TRIES {
        let seen = store.trusted_owners(&project).await?;
        expected.check(&seen.version())?;
        let set = store.set_trusted_owners(&project, &next, Some(&seen), app.now());
        if set.await? {
            log(Some(&seen));
            return Ok(shown(&next));
        }
    }
    Err(ApiError::unavailable(
        "set trusted owners: races do not end",
    ))
}

/// Logs that rules were set: how many there were, if they were read, and how many there are.
fn log(project: &ProjectId, (seen, next): (Option<&TrustedOwners>, &TrustedOwners), by: &Origin) {
    let count = |rules: &TrustedOwners| format!("{} rules", rules.rules.len());
    let from = seen.map_or_else(|| "rules".to_owned(), count);
    let line = Line {
        what: "trusted-owners.replace",
        member: Some(project),
        from: &from,
        to: &count(next),
        ..Line::default()
    };
    line.write(by);
}

fn shown(found: &TrustedOwners) -> Response {
    let answer = http::json(
        200,
        &TrustRules {
            rules: &found.rules,
        },
    );
    http::with_etag(answer, &found.version())
}

/// The project that the path names, if the caller may do this for it.
fn project_of(
    app: &App,
    caller: &Caller,
    request: &Request,
    action: ApiAction<'_>,
) -> Result<ProjectId, ApiError> {
    let foreign = |_| ApiError::ims(ImsCode::ForeignProject);
    let project = ProjectId::parse(http::path(request, "project_id")?).map_err(foreign)?;
    for action in [ApiAction::AnswerFor(&project), action] {
        let decided = app.policy().decide(caller, Action::Api(action));
        decided.map_err(|denied| denied.ims())?;
    }
    Ok(project)
}
