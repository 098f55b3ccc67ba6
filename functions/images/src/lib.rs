//! Images' records: create, show, list, change and delete, in Glance's form; the list and the
//! quota in the form of IMS.

mod change;
mod filter;
mod ims;
mod list;
mod query;

use futures::future::BoxFuture;
use shared::domain::actor::{Automatic, Origin};
use shared::domain::error::ApiError;
use shared::domain::facts::Facts;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::image::Image;
use shared::domain::message::Message;
use shared::domain::policy::{Action, ApiAction, Caller, ImageAction, RecordAction};
use shared::http::answers::Images;
use shared::http::discovery::ImageTasks;
use shared::http::routes::{OnImages, Operation};
use shared::http::{self, Handled, Request};
use shared::runtime::app::{App, origin};
use shared::store::change_log::{self, Line};
use shared::store::images::Written;

use crate::query::Query;

/// How often an image with long texts is read that is being changed.
const TEXT_TRIES: usize = 5;
/// How long a request waits until memberships are reconciled with their image.
const RECONCILE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Answers for one image or for many.
pub async fn handle(app: App, request: Request) -> Handled {
    // On the heap: with all that it may become, this future is too large for a thread's stack.
    Box::pin(respond(app, request)).await
}

async fn respond(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    let Operation::Images(operation) = http::operation(&request)? else {
        return Err(ApiError::no_such_resource());
    };
    run(operation, &app, &caller, &request).await
}

/// Runs one operation. It is boxed, so that no other takes room beside it.
fn run<'a>(
    operation: OnImages,
    app: &'a App,
    caller: &'a Caller,
    request: &'a Request,
) -> BoxFuture<'a, Handled> {
    match operation {
        OnImages::List => Box::pin(list_images(app, caller, request)),
        OnImages::Create => Box::pin(create(app, caller, request)),
        OnImages::Show => Box::pin(show(app, caller, request)),
        OnImages::Change => Box::pin(change::patch(app, caller, request)),
        OnImages::Delete => Box::pin(delete(app, caller, request)),
        OnImages::AddTag => Box::pin(change::add_tag(app, caller, request)),
        OnImages::RemoveTag => Box::pin(change::remove_tag(app, caller, request)),
        OnImages::Deactivate => Box::pin(change::deactivate(app, caller, request)),
        OnImages::Reactivate => Box::pin(change::reactivate(app, caller, request)),
        OnImages::ListTasks => Box::pin(list_tasks(app, caller, request)),
        OnImages::ListCloud => Box::pin(ims::list(app, caller, request)),
        OnImages::ShowQuota => Box::pin(ims::quota(app, caller, request)),
    }
}

async fn create(app: &App, caller: &Caller, request: &Request) -> Handled {
    let body = http::body(request)?;
    let image = Image::from_request(body, app.policy(), caller, app.operation(), app.now())?;
    if !app.store().create_image(&image).await? {
        return Err(ApiError::conflict(format!(
            "Image ID {} already exists!",
            image.id
        )));
    }
    let line = Line {
        what: "image.create",
        image: Some(image.id),
        from: change_log::NONE,
        to: image.visibility.as_str(),
        ..Line::default()
    };
    line.write(&origin(caller, request));
    let location = format!("{}/v2/images/{}", app.base_url(request), image.id);
    Ok(http::with_header(
        http::json(201, &image.view()),
        "location",
        &location,
    ))
}

async fn show(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    let (image, _) = find(
        app,
        caller,
        request,
        ImageAction::Record(RecordAction::Show),
    )
    .await?;
    Ok(http::json(200, &image.view()))
}

/// The tasks of an image: none, since there is no data to work on.
async fn list_tasks(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    find(
        app,
        caller,
        request,
        ImageAction::Record(RecordAction::ListTasks),
    )
    .await?;
    Ok(http::json(200, &ImageTasks::default()))
}

/// The image that the path names, if the caller may see it. Whether it may do what it wants is
/// decided by [`decide`], on the image as it stands when it is done.
async fn find(
    app: &App,
    caller: &Caller,
    request: &Request,
    action: ImageAction<'_>,
) -> Result<(Image, Facts), ApiError> {
    let text = http::path(request, "image_id")?;
    for _ in 0..TEXT_TRIES {
        let facts = match ImageId::canonical(&text) {
            Some(id) => app.store().facts(id, &[&caller.project]).await?,
            None => Facts::default(),
        };
        let wanted = Action::Image(action, facts.target(&text));
        match app.policy().decide(caller, wanted) {
            Err(denied) if denied.hides() => return Err(denied.glance()),
            Ok(()) | Err(_) => {}
        }
        if let Some(image) = facts.image.clone()
            && let Some(image) = app.store().complete(image).await?
        {
            return Ok((image, facts));
        }
    }
    Err(ApiError::unavailable("show image: changes do not end"))
}

/// Whether the caller may do this with an image.
fn decide(
    app: &App,
    caller: &Caller,
    image: &Image,
    facts: &Facts,
    action: ImageAction<'_>,
) -> Result<(), ApiError> {
    let text = image.id.to_string();
    let decided = app
        .policy()
        .decide(caller, Action::Image(action, facts.target(&text)));
    decided.map_err(|denied| denied.glance())
}

async fn delete(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    let id = ImageId::canonical(&http::path(request, "image_id")?);
    if let (Some(id), true) = (id, caller.may_write()) {
        let stamp = app.stamp(caller, request);
        match app.store().delete_image(caller, id, stamp).await? {
            Written::Done => return Ok(http::empty(204)),
            Written::Owing => {
                reconcile_memberships(app, caller, id, request).await;
                return Ok(http::empty(204));
            }
            Written::ConditionFailed(_) => {}
        }
    }
    let (image, facts) = find(
        app,
        caller,
        request,
        ImageAction::Record(RecordAction::Delete),
    )
    .await?;
    decide(
        app,
        caller,
        &image,
        &facts,
        ImageAction::Record(RecordAction::Delete),
    )?;
    if image.protected {
        return Err(ApiError::forbidden(format!(
            "Image {} is protected and cannot be deleted.",
            image.id
        )));
    }
    Err(ApiError::unavailable(
        "delete image: the image changed meanwhile",
    ))
}

/// Has the memberships of an image reconciled with it: at once if they are few, or else by the
/// worker. What goes wrong here is mended by the sweep, since the image's record says what is due.
async fn reconcile_memberships(app: &App, caller: &Caller, image: ImageId, request: &Request) {
    let request_id = http::request_id(request);
    let by = Origin::automatic(Automatic::ImageDeleted, &request_id);
    let reconciled = app
        .store()
        .reconcile_members(image, app.operation(), app.now(), by);
    let reconciled = tokio::time::timeout(RECONCILE_TIMEOUT, reconciled);
    match reconciled.await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => {
            tracing::warn!(image.id = %image, error.why = error.for_log(), "left to the worker");
        }
        Err(_) => tracing::info!(image.id = %image, "left to the worker"),
    }
    let message = [Message::Memberships { image }];
    let sent = app.queue().send(&message, &caller.project, &request_id);
    if !matches!(sent.await, Ok(unsent) if unsent.is_empty()) {
        tracing::warn!(image.id = %image, "left to the sweep");
    }
}

async fn list_images(app: &App, caller: &Caller, request: &Request) -> Handled {
    let arguments = http::utf8_query(request)?;
    let may_list = app
        .policy()
        .decide(caller, Action::Api(ApiAction::ListImages))
        .map_err(|denied| denied.glance());
    let query = Query::parse(&arguments, may_list)?;
    let page = list::page(app, caller, &query).await?;
    let link = |marker: Option<ImageId>| query::link("/v2/images", &arguments, marker);
    let images = Images {
        images: page.images.iter().map(Image::view).collect(),
        first: link(None),
        schema: "/v2/schemas/images",
        next: page.next.map(|next| link(Some(next))),
    };
    Ok(http::json(200, &images))
}

/// A project id as a filter: what is none matches nothing.
fn project(text: &str) -> Option<ProjectId> {
    ProjectId::parse(text).ok()
}
