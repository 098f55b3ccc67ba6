//! Images' records: create, show, list, change and delete, in Glance's form; the list and the
//! quota in the form of IMS.

mod filter;
mod list;
mod query;

use serde_json::{Value, json};
use shared::app::App;
use shared::auth::{Action, Caller, Decision, Role, permit};
use shared::error::{ApiError, ImsCode};
use shared::http::{self, Handled, Request};
use shared::id::{ImageId, ProjectId};
use shared::image::{self, Image, patch};
use shared::queue::Message;
use shared::store::images::Written;
use shared::store::members::{Facts, Order, Stamp};

use crate::query::Query;

/// How often a patch is tried again on top of another one that came first.
const RACES: usize = 20;

/// Answers for one image or for many.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = http::caller(&app, &request).await?;
    let one = lambda_http::RequestExt::path_parameters_ref(&request)
        .is_some_and(|parameters| parameters.first("image_id").is_some());
    match (request.method().as_str(), one) {
        ("POST", false) => create(&app, &caller, &request).await,
        ("PATCH", true) => patch(&app, &caller, &request).await,
        ("DELETE", true) => delete(&app, &caller, &request).await,
        ("GET", true) => {
            http::no_body(&request)?;
            show(&app, &caller, &request).await
        }
        ("GET", false) => {
            http::no_body(&request)?;
            match http::raw_path(&request)
                .trim_end_matches('/')
                .rsplit('/')
                .next()
            {
                Some("quota") => Ok(quota(&app)),
                Some("cloudimages") => list_in_ims_form(&app, &caller, &request).await,
                _ => list_images(&app, &caller, &request).await,
            }
        }
        _ => Err(ApiError::no_such_resource()),
    }
}

async fn create(app: &App, caller: &Caller, request: &Request) -> Handled {
    let body = http::body(request)?;
    let wanted_owner = body.get("owner").and_then(Value::as_str).map(str::to_owned);
    let image = Image::from_request(body, caller, app.operation(), app.now())?;
    if caller.role < Role::Member {
        return Err(ApiError::not_authorized("add_image"));
    }
    if let Some(owner) = wanted_owner
        && !caller.speaks_for(&owner)
    {
        return Err(ApiError::forbidden(format!(
            "You are not permitted to create images owned by '{owner}'"
        )));
    }
    image::check_visibility(image.visibility, caller)?;
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
    let (image, _) = find(app, caller, request, |text| {
        format!("No image found with ID {text}")
    })
    .await?;
    Ok(http::json(200, &image.view()))
}

/// The image that the path names, as far as the caller may see it.
async fn find(
    app: &App,
    caller: &Caller,
    request: &Request,
    words: impl Fn(&str) -> String,
) -> Result<(Image, Facts), ApiError> {
    let text = http::path(request, "image_id")?;
    let hidden = || ApiError::not_found(words(&text));
    let id = ImageId::canonical(&text).ok_or_else(hidden)?;
    let facts = app.store().facts(id, &[&caller.project]).await?;
    let image = facts.image.clone().ok_or_else(hidden)?;
    let relation = caller.relation(&image, facts.membership(&caller.project));
    match permit(caller.role, relation, image.visibility, Action::ShowImage) {
        Decision::Allow => Ok((image, facts)),
        _ => Err(hidden()),
    }
}

fn allowed(caller: &Caller, image: &Image, facts: &Facts, action: Action) -> Result<(), ApiError> {
    let relation = caller.relation(image, facts.membership(&caller.project));
    match permit(caller.role, relation, image.visibility, action) {
        Decision::Allow => Ok(()),
        _ => Err(ApiError::not_authorized(action.policy_name())),
    }
}

async fn patch(app: &App, caller: &Caller, request: &Request) -> Handled {
    let media = request
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let media = media
        .and_then(|media| media.split(';').next())
        .map(str::trim);
    let form = match media {
        Some("application/openstack-images-v2.0-json-patch") => patch::Form::V20,
        Some("application/openstack-images-v2.1-json-patch") => patch::Form::V21,
        other => {
            return Err(ApiError::unsupported_media_type(
                other.unwrap_or("${CONTENT_TYPE}"),
            ));
        }
    };
    let changes = patch::parse(http::body(request)?, form, caller.role)?;
    let op = app.operation();
    for _ in 0..RACES {
        let (seen, facts) = find(app, caller, request, |text| {
            format!("No image found with ID {text}")
        })
        .await?;
        if changes.is_empty() {
            return Ok(http::json(200, &seen.view()));
        }
        patch::check(&changes, caller)?;
        allowed(caller, &seen, &facts, Action::ModifyImage)?;
        let next = patch::apply(&seen, &changes, op, app.now())?;
        if app.store().replace_image(&seen, &next).await? == Written::Done {
            return Ok(http::json(200, &next.view()));
        }
    }
    Err(ApiError::unavailable("patch image: races do not end"))
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
        if app.store().delete_image(caller, id, stamp).await? == Written::Done {
            // From here on nothing of it is visible; what is left is only to be tidied up.
            let request_id = http::request_id(request);
            let bury = [Message::bury(id)];
            if !app.queue().send(&bury, &request_id).await?.is_empty() {
                tracing::error!(image.id = %id, "the members of a deleted image stay unburied");
            }
            return Ok(http::empty(204));
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

async fn list_images(app: &App, caller: &Caller, request: &Request) -> Handled {
    if caller.role == Role::None {
        return Err(ApiError::not_authorized("get_images"));
    }
    let arguments = http::query(request);
    let query = Query::parse(&arguments)?;
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

async fn list_in_ims_form(app: &App, caller: &Caller, request: &Request) -> Handled {
    if caller.role == Role::None {
        return Err(ApiError::ims(ImsCode::RoleTooWeak));
    }
    let query = Query::parse_ims(&http::query(request))
        .map_err(|error| ApiError::ims_because(ImsCode::BadRequest, error.public_words()))?;
    let page = list::page(app, caller, &query).await?;
    let images: Vec<Value> = page.images.iter().map(Image::view).collect();
    let mut info = json!({"current_count": images.len()});
    if let (Some(next), Some(info)) = (page.next, info.as_object_mut()) {
        info.insert("next_marker".to_owned(), json!(next.to_string()));
    }
    Ok(http::json(
        200,
        &json!({"images": images, "page_info": info}),
    ))
}

/// The member quota of an image; negative means none.
fn quota(app: &App) -> http::Response {
    let resource = json!({
        "type": "image_member",
        "used": Value::Null,
        "quota": app.config().member_quota,
        "min": 0,
        "max": app.config().member_quota,
    });
    http::json(200, &json!({"quotas": {"resources": [resource]}}))
}

/// A project id as a filter: what is none matches nothing.
fn project(text: &str) -> Option<ProjectId> {
    ProjectId::parse(text).ok()
}
