//! Images' records: create, show, list, change and delete, in Glance's form; the list and the
//! quota in the form of IMS.

mod change;
mod filter;
mod ims;
mod list;
mod query;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use shared::app::App;
use shared::auth::{Action, Caller, Decision, Role, permit};
use shared::error::ApiError;
use shared::http::{self, Handled, Request};
use shared::id::{ImageId, ProjectId};
use shared::image::Image;
use shared::members_api;
use shared::queue::Message;
use shared::store::images::Written;
use shared::store::members::{Facts, Order, Stamp};

use crate::change::{ImageAction, Tagging};
use crate::query::Query;

/// How often an image with long texts is read that is being changed.
const TEXT_TRIES: usize = 5;
/// How long a request waits for memberships to be brought in line.
const KEEPING: std::time::Duration = std::time::Duration::from_secs(2);
/// Answers for one image or for many.
pub async fn handle(app: App, request: Request) -> Handled {
    // On the heap: with all that it may become, this future is too large for a thread's stack.
    Box::pin(respond(app, request)).await
}

async fn respond(app: App, request: Request) -> Handled {
    let caller = http::caller(&app, &request).await?;
    let resource = http::destination(&request)?.resource;
    let method = request.method().as_str();
    operation(
        method,
        resource.unwrap_or_default(),
        &app,
        &caller,
        &request,
    )
    .await
}

/// The work of one route. It is boxed, so that the work of no other takes room beside it.
fn operation<'a>(
    method: &str,
    resource: &str,
    app: &'a App,
    caller: &'a Caller,
    request: &'a Request,
) -> BoxFuture<'a, Handled> {
    match (method, resource) {
        ("GET", "/v2/images") => Box::pin(list_images(app, caller, request)),
        ("POST", "/v2/images") => Box::pin(create(app, caller, request)),
        ("GET", "/v2/images/{image_id}") => Box::pin(show(app, caller, request)),
        ("PATCH", "/v2/images/{image_id}") => Box::pin(change::patch(app, caller, request)),
        ("DELETE", "/v2/images/{image_id}") => Box::pin(delete(app, caller, request)),
        ("PUT", "/v2/images/{image_id}/tags/{tag}") => {
            Box::pin(change::tag(app, caller, request, Tagging::Put))
        }
        ("DELETE", "/v2/images/{image_id}/tags/{tag}") => {
            Box::pin(change::tag(app, caller, request, Tagging::Delete))
        }
        ("POST", "/v2/images/{image_id}/actions/deactivate") => {
            Box::pin(change::act(app, caller, request, ImageAction::Deactivate))
        }
        ("POST", "/v2/images/{image_id}/actions/reactivate") => {
            Box::pin(change::act(app, caller, request, ImageAction::Reactivate))
        }
        ("GET", "/v2/images/{image_id}/tasks") => Box::pin(tasks(app, caller, request)),
        ("GET", "/v2/cloudimages") => Box::pin(ims::list(app, caller, request)),
        ("GET", "/v1/cloudimages/quota") => Box::pin(ims::quota(app, caller, request)),
        _ => Box::pin(std::future::ready(Err(ApiError::no_such_resource()))),
    }
}

async fn create(app: &App, caller: &Caller, request: &Request) -> Handled {
    let body = http::body(request)?;
    let image = Image::from_request(body, caller, app.operation(), app.now())?;
    if !app.store().create_image(&image).await? {
        return Err(ApiError::conflict(format!(
            "Image ID {} already exists!",
            image.id
        )));
    }
    let location = format!("{}/v2/images/{}", http::base_url(app, request), image.id);
    Ok(http::with_header(
        http::json(201, &image.view()),
        "location",
        &location,
    ))
}

async fn show(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    let (image, _) = find(app, caller, request, change::no_image).await?;
    Ok(http::json(200, &image.view()))
}

/// The tasks of an image: none, since there is no data to work on.
async fn tasks(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    find(app, caller, request, change::no_image)
        .await
        .map_err(|error| match error.status() {
            404 => ApiError::no_such_resource(),
            _ => error,
        })?;
    Ok(http::json(200, &json!({"tasks": []})))
}

/// The image that the path names, as far as the caller may see it.
async fn find(
    app: &App,
    caller: &Caller,
    request: &Request,
    words: fn(&str) -> String,
) -> Result<(Image, Facts), ApiError> {
    let text = http::path(request, "image_id")?;
    let hidden = || ApiError::not_found(words(&text));
    let id = ImageId::canonical(&text).ok_or_else(hidden)?;
    for _ in 0..TEXT_TRIES {
        let facts = app.store().facts(id, &[&caller.project]).await?;
        let image = facts.image.clone().ok_or_else(hidden)?;
        let relation = caller.relation(&image, facts.membership(&caller.project));
        match permit(caller.role, relation, image.visibility, Action::ShowImage) {
            Decision::Allow => {}
            _ => {
                let visibility = image.visibility;
                return Err(members_api::hidden(caller, relation, visibility, hidden()));
            }
        }
        if let Some(image) = app.store().complete(image).await? {
            return Ok((image, facts));
        }
    }
    Err(ApiError::unavailable("show image: changes do not end"))
}

fn allowed(caller: &Caller, image: &Image, facts: &Facts, action: Action) -> Result<(), ApiError> {
    let relation = caller.relation(image, facts.membership(&caller.project));
    match permit(caller.role, relation, image.visibility, action) {
        Decision::Allow => Ok(()),
        _ => Err(ApiError::not_authorized(action.policy_name())),
    }
}

async fn delete(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    let words = |text: &str| format!("Failed to find image {text} to delete");
    let text = http::path(request, "image_id")?;
    let id = ImageId::canonical(&text).ok_or_else(|| ApiError::not_found(words(&text)))?;
    if caller.role >= Role::Member {
        let stamp = Stamp {
            op: app.operation(),
            now: app.now(),
            order: Order::Direct,
        };
        match app.store().delete_image(caller, id, stamp).await? {
            Written::Done => return Ok(http::empty(204)),
            Written::Owing => {
                memberships_follow(app, id, request).await;
                return Ok(http::empty(204));
            }
            Written::Refused(_) => {}
        }
    }
    let (image, facts) = find(app, caller, request, words).await?;
    allowed(caller, &image, &facts, Action::DeleteImage)?;
    if image.protected {
        return Err(ApiError::forbidden(format!(
            "Image {id} is protected and cannot be deleted."
        )));
    }
    Err(ApiError::unavailable(
        "delete image: the image changed meanwhile",
    ))
}

/// Has the memberships of an image brought in line with it: at once if they are few, or else by the
/// worker. What goes wrong here is mended by the sweep, since the image's record says what is owed.
async fn memberships_follow(app: &App, image: ImageId, request: &Request) {
    let kept = app.store().keep_members(image, app.operation(), app.now());
    let kept = tokio::time::timeout(KEEPING, kept);
    match kept.await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => {
            tracing::warn!(image.id = %image, error.why = error.for_log(), "left to the worker");
        }
        Err(_) => tracing::info!(image.id = %image, "left to the worker"),
    }
    let message = [Message::Memberships { image }];
    let request_id = http::request_id(request);
    if !matches!(app.queue().send(&message, &request_id).await, Ok(unsent) if unsent.is_empty()) {
        tracing::warn!(image.id = %image, "left to the sweep");
    }
}

async fn list_images(app: &App, caller: &Caller, request: &Request) -> Handled {
    let arguments = http::utf8_query(request)?;
    let query = Query::parse(&arguments, caller.role)?;
    let page = list::page(app, caller, &query).await?;
    let link = |marker: Option<ImageId>| query::link(&arguments, marker);
    let images: Vec<Value> = page.images.iter().map(Image::view).collect();
    let mut answer = json!({
        "images": images,
        "first": link(None),
        "schema": "/v2/schemas/images",
    });
    if let (Some(next), Some(answer)) = (page.next, answer.as_object_mut()) {
        answer.insert("next".to_owned(), json!(link(Some(next))));
    }
    Ok(http::json(200, &answer))
}

/// A project id as a filter: what is none matches nothing.
fn project(text: &str) -> Option<ProjectId> {
    ProjectId::parse(text).ok()
}
