//! The list of images and the quota in the form of IMS.

use serde_json::{Map, Value, json};
use shared::domain::error::ApiError;
use shared::domain::image::Image;
use shared::domain::ims_code::ImsCode;
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::domain::visibility::Visibility;
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;

use crate::list;
use crate::query::Query;

/// `GET /v2/cloudimages`
pub async fn list(app: &App, caller: &Caller, request: &Request) -> Handled {
    may(app, caller, ApiAction::ListImages)?;
    let arguments = http::utf8_query(request);
    let query = arguments
        .and_then(|arguments| Query::parse_ims(&arguments))
        .map_err(|error| ApiError::ims_because(ImsCode::BadRequest, error.public_words()))?;
    let page = list::page(app, caller, &query).await?;
    let images: Vec<Value> = page
        .images
        .iter()
        .map(|image| view(image, caller))
        .collect();
    let mut info = Map::from_iter([("current_count".to_owned(), json!(images.len()))]);
    if let Some(next) = page.next {
        info.insert("next_marker".to_owned(), json!(next.to_string()));
    }
    Ok(http::json(
        200,
        &json!({"images": images, "page_info": info}),
    ))
}

fn may(app: &App, caller: &Caller, action: ApiAction<'_>) -> Result<(), ApiError> {
    let decided = app.policy().decide(caller, Action::Api(action));
    decided.map_err(|denied| denied.ims())
}

/// The image with its `__imagetype`, by which clients filter on their side.
fn view(image: &Image, caller: &Caller) -> Value {
    let image_type = match image.visibility {
        Visibility::Public => "gold",
        _ if image.owner == caller.project => "private",
        Visibility::Private | Visibility::Shared | Visibility::Community => "shared",
    };
    let mut view = image.view();
    if let Some(view) = view.as_object_mut() {
        view.insert("__imagetype".to_owned(), json!(image_type));
    }
    view
}

/// `GET /v1/cloudimages/quota`: what the caller's project has, and how much it may have.
pub async fn quota(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    may(app, caller, ApiAction::ShowQuota)?;
    let usage = app.store().usage(&caller.project).await?;
    let resource = |kind: &str, used: u64, quota: i64| json!({"type": kind, "used": used, "quota": quota, "min": 0, "max": quota});
    let resources = [
        resource("image", usage.images, NO_LIMIT),
        resource("image_shared", usage.accepted, NO_LIMIT),
        // The quota is one image's, of the projects that it is shared with.
        resource("image_member", usage.memberships, app.config().member_quota),
    ];
    Ok(http::json(
        200,
        &json!({"quotas": {"resources": resources}}),
    ))
}

/// What a quota says that there is none.
const NO_LIMIT: i64 = -1;
