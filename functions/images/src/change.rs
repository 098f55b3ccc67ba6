//! Changes of one image's record: patches, tags, and the two actions. All are one loop: read the
//! image, say what it becomes, and write that if nobody has changed the image since.

use shared::app::App;
use shared::auth::{Action, Caller};
use shared::error::ApiError;
use shared::http::{self, Handled, Request};
use shared::image::{Image, patch};
use shared::store::images::Written;
use shared::store::members::Facts;

use crate::{allowed, find, memberships_follow};

/// How often a change is tried again on top of another one that came first.
const RACES: usize = 20;

/// The 404 of an image that is to be shown or changed.
pub fn no_image(id: &str) -> String {
    format!("No image found with ID {id}")
}

/// Changes the image that the path names into what `step` makes of it, and returns it as it is then.
/// What changes nothing is not written.
async fn change(
    app: &App,
    caller: &Caller,
    request: &Request,
    hidden: fn(&str) -> String,
    step: impl Fn(&Image, &Facts) -> Result<Image, ApiError>,
) -> Result<Image, ApiError> {
    let op = app.operation();
    for _ in 0..RACES {
        let (seen, facts) = find(app, caller, request, hidden).await?;
        let mut next = step(&seen, &facts)?;
        if next == seen {
            return Ok(seen);
        }
        next.updated_at = app.now();
        next.op = op.not_before(seen.op);
        match app.store().replace_image(&seen, &next, app.now()).await? {
            Written::Done => {}
            Written::Owing => memberships_follow(app, next.id, request).await,
            Written::Refused(_) => continue,
        }
        return Ok(next);
    }
    Err(ApiError::unavailable("change image: races do not end"))
}

/// `PATCH /v2/images/{image_id}`
pub async fn patch(app: &App, caller: &Caller, request: &Request) -> Handled {
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
    let changed = change(app, caller, request, no_image, |image, facts| {
        let may_modify = allowed(caller, image, facts, Action::ModifyImage);
        patch::apply(image, &changes, caller, may_modify)
    });
    Ok(http::json(200, &changed.await?.view()))
}

/// What a request does to a tag.
#[derive(Clone, Copy, Debug)]
pub enum Tagging {
    /// Puts it on the image.
    Put,
    /// Takes it off.
    Delete,
}

/// `PUT` and `DELETE /v2/images/{image_id}/tags/{tag}`
pub async fn tag(app: &App, caller: &Caller, request: &Request, tagging: Tagging) -> Handled {
    http::no_body(request)?;
    let tag = http::path(request, "tag")?;
    if let Tagging::Put = tagging {
        patch::check_tag(&tag)?;
    }
    let hidden = |id: &str| format!("Image {id} not found.");
    change(app, caller, request, hidden, |image, facts| {
        allowed(caller, image, facts, Action::ModifyImage)?;
        match tagging {
            Tagging::Put => image.tagged(&tag),
            Tagging::Delete => image.untagged(&tag),
        }
    })
    .await?;
    Ok(done())
}

/// What `POST /v2/images/{image_id}/actions/…` does.
#[derive(Clone, Copy, Debug)]
pub enum ImageAction {
    /// Takes an active image out of use.
    Deactivate,
    /// Brings it back.
    Reactivate,
}

impl ImageAction {
    /// The word in the path, which is also the policy's name for it.
    const fn name(self) -> &'static str {
        match self {
            Self::Deactivate => "deactivate",
            Self::Reactivate => "reactivate",
        }
    }

    /// The status that it starts from, and the one that it leads to.
    const fn statuses(self) -> (&'static str, &'static str) {
        match self {
            Self::Deactivate => ("active", "deactivated"),
            Self::Reactivate => ("deactivated", "active"),
        }
    }
}

/// `POST /v2/images/{image_id}/actions/deactivate` and `…/reactivate`
pub async fn act(app: &App, caller: &Caller, request: &Request, action: ImageAction) -> Handled {
    http::no_body(request)?;
    change(app, caller, request, no_image, |image, facts| {
        allowed(caller, image, facts, Action::ModifyImage)
            .map_err(|_| ApiError::not_authorized(action.name()))?;
        let (from, to) = action.statuses();
        if image.status != from && image.status != to {
            return Err(ApiError::forbidden(format!(
                "Not allowed to {} image in status '{}'",
                action.name(),
                image.status
            )));
        }
        Ok(Image {
            status: to.to_owned(),
            ..image.clone()
        })
    })
    .await?;
    Ok(done())
}

/// 204, with the type that Glance names here although there is no body.
fn done() -> http::Response {
    http::with_header(http::empty(204), "content-type", "text/html; charset=UTF-8")
}
