//! The list of images and the quota in the form of IMS.

use shared::domain::error::ApiError;
use shared::domain::image::Image;
use shared::domain::ims_code::ImsCode;
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::http::answers::{
    CloudImage, CloudImages, ImageType, Quota, Quotas, Resource, Resources,
};
use shared::http::page::PageInfo;
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;

use crate::list;
use crate::query::{self, Query};

/// `GET /v2/cloudimages`
pub async fn list(app: &App, caller: &Caller, request: &Request) -> Handled {
    may(app, caller, ApiAction::ListImages)?;
    let bad = |error: ApiError| ApiError::ims_because(ImsCode::BadRequest, error.public_words());
    let arguments = http::utf8_query(request).map_err(bad)?;
    let query = Query::parse_ims(&arguments).map_err(bad)?;
    let page = list::page(app, caller, &query).await?;
    let shown = |image| CloudImage::new(Image::view(image), ImageType::of(image, &caller.project));
    let link = |next| query::link("/v2/cloudimages", &arguments, Some(next));
    let images = CloudImages {
        images: page.images.iter().map(shown).collect(),
        next: page.next.map(link),
        page_info: PageInfo {
            current_count: page.images.len(),
            total_count: None,
            next_marker: page.next.map(|next| next.to_string()),
        },
    };
    Ok(http::json(200, &images))
}

fn may(app: &App, caller: &Caller, action: ApiAction<'_>) -> Result<(), ApiError> {
    let decided = app.policy().decide(caller, Action::Api(action));
    decided.map_err(|denied| denied.ims())
}

/// `GET /v1/cloudimages/quota`: what the caller's project has, and how much it may have.
pub async fn quota(app: &App, caller: &Caller, request: &Request) -> Handled {
    http::no_body(request)?;
    may(app, caller, ApiAction::ShowQuota)?;
    let usage = app.store().usage(&caller.project).await?;
    let images = match app.config().limits.images {
        limited @ 0.. => limited,
        _ => Quota::UNLIMITED,
    };
    let resources = vec![
        Quota::new(Resource::Image, usage.images, images),
        Quota::new(Resource::ImageShared, usage.accepted, Quota::UNLIMITED),
        Quota::new(
            Resource::ImageMember,
            usage.memberships,
            app.config().member_quota,
        ),
    ];
    let quotas = Resources { resources };
    Ok(http::json(200, &Quotas { quotas }))
}
