//! Creates the records that the events in `events/` are about, so that each event gets the response
//! in the file beside it.

use std::collections::HashMap;

use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use serde_json::{Value, json};
use shared::domain::batch::Batch;
use shared::domain::entries::Entries;
use shared::domain::error::ApiError;
use shared::domain::id::{JobId, ProjectId};
use shared::domain::member::MemberStatus;
use shared::domain::policy::{Caller, Role};
use shared::domain::task::{Answer, Task};
use shared::domain::time::Timestamp;
use shared::http::{Request, Response};
use shared::runtime::api::answer;
use shared::runtime::app::App;

/// The project that owns the images: the demo identities' owner.
const OWNER: &str = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01";
/// The project that an image is shared with: the demo identities' member.
const MEMBER: &str = "edc89b490d7d4392898e19b2deb34797";
/// A project that no image is shared with.
const THIRD: &str = "33333333333333333333333333333333";
/// The shared image.
pub const SHARED: &str = "11111111-1111-4111-8111-111111111111";
/// The private image.
pub const PRIVATE: &str = "22222222-2222-4222-8222-222222222222";
/// An image that may be shared and is not.
pub const LONELY: &str = "33333333-3333-4333-8333-333333333333";
/// The job.
pub const JOB: &str = "0199c6a1b2c37def8123456789abcdef";
/// An image that does not exist.
const ABSENT: &str = "00000000-0000-4000-8000-000000000000";
/// The job's deadline, in the year 2099, so that the events stay valid.
const DEADLINE: i64 = 4_070_908_800_000_000;

/// Creates three images of the owner, one of them shared with a member that has not answered; a job
/// of that member that has not begun; and a job of a third project whose messages are overdue.
/// Records that exist already are left alone.
///
/// # Errors
/// One sentence for the operator.
pub async fn fixtures(app: &App) -> Result<(), String> {
    for (id, visibility) in [(PRIVATE, "private"), (LONELY, "shared"), (SHARED, "shared")] {
        let body = json!({"id": id, "name": visibility, "visibility": visibility});
        let request = post("/v2/images", &[], &body);
        let created = Box::pin(answer(app.clone(), request, images::handle)).await;
        made("an image", &created)?;
    }
    let path = format!("/v2/images/{SHARED}/members");
    let request = post(&path, &[("image_id", SHARED)], &json!({"member": MEMBER}));
    let added = Box::pin(answer(app.clone(), request, add_member::handle)).await;
    made("a membership", &added)?;
    job(app)
        .await
        .map_err(|error| format!("cannot seed the job: {}", error.for_log()))
}

/// A request of the owner, as the gateway hands it to a function.
fn post(path: &str, parameters: &[(&str, &str)], body: &Value) -> Request {
    let mut context = ApiGatewayProxyRequestContext::default();
    let caller = [
        ("project_id", OWNER),
        ("user_id", "u-owner"),
        ("roles", "member,reader"),
    ];
    let fields = caller.map(|(name, value)| (name.to_owned(), json!(value)));
    context.authorizer.fields.extend(fields);
    let mut request = Request::new(Body::Text(body.to_string()));
    *request.method_mut() = lambda_http::http::Method::POST;
    let parameters: HashMap<String, Vec<String>> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
        .collect();
    request
        .with_raw_http_path(path)
        .with_path_parameters(parameters)
        .with_request_context(RequestContext::ApiGatewayV1(context))
}

/// Checks that a record was created or existed before.
fn made(what: &str, response: &Response) -> Result<(), String> {
    match response.status().as_u16() {
        200 | 201 | 409 => Ok(()),
        status => Err(format!("cannot seed {what}: {status}")),
    }
}

async fn job(app: &App) -> Result<(), ApiError> {
    let id = JobId::parse(JOB).ok_or_else(|| ApiError::internal("seed: the job's id"))?;
    if app.store().job(id, app.now()).await?.is_some() {
        return Ok(());
    }
    let images = [SHARED.to_owned(), ABSENT.to_owned()];
    let task = Task::Answer(Answer {
        status: MemberStatus::Accepted,
        vault_id: None,
    });
    create_job(app, MEMBER, task, &images, id, app.now()).await?;
    // The events are this job's messages, so the sweep must not send them.
    app.store().messages_sent(id).await?;
    // For the sweep: a job whose messages are long overdue.
    let images = [SHARED.to_owned()];
    let (id, begin) = (app.operation(), Timestamp::from_micros(0));
    create_job(app, THIRD, Task::Unshare, &images, id, begin).await
}

async fn create_job(
    app: &App,
    project: &str,
    task: Task,
    images: &[String],
    id: JobId,
    begin: Timestamp,
) -> Result<(), ApiError> {
    let project =
        ProjectId::parse(project).map_err(|_| ApiError::internal("seed: the project's id"))?;
    let entries = Entries::of_request(images, std::slice::from_ref(&project));
    let caller = Caller {
        user: "seed".to_owned(),
        project,
        role: Role::Member,
    };
    let mut batch = Batch::new(&caller, task, entries, id, begin, "seed".to_owned());
    batch.job.deadline = Timestamp::from_micros(DEADLINE);
    app.store().create_job(&batch, None).await?;
    Ok(())
}
