//! Changes of one image's record: patches, tags, and the two actions. All are one loop: read the
//! image, say what it becomes, and write that if nobody has changed the image since.

use shared::domain::actor::Origin;
use shared::domain::error::ApiError;
use shared::domain::facts::Facts;
use shared::domain::image::{Image, patch};
use shared::domain::policy::{Caller, ImageAction, RecordAction};
use shared::http::{self, Handled, Request};
use shared::runtime::app::{App, origin};
use shared::store::change_log::Line;
use shared::store::images::Written;

use crate::{decide, find, reconcile_memberships};

/// How often a change is tried again on top of another one that came first.
const RACES: usize = 20;

/// Changes the image that the path names into what `step` makes of it, and returns it as it is then.
/// What changes nothing is not written.
async fn change(
    app: &App,
    caller: &Caller,
    request: &Request,
    action: ImageAction<'_>,
    step: impl Fn(&Image, &Facts) -> Result<Image, ApiError>,
) -> Result<Image, ApiError> {
    let op = app.operation();
    for _ in 0..RACES {
        let (seen, facts) = find(app, caller, request, action).await?;
        let mut next = step(&seen, &facts)?;
        if next == seen {
            return Ok(seen);
        }
        next.updated_at = app.now();
        next.op = op.not_before(seen.op);
        next.by = Some(caller.actor());
        let written = app.store().replace_image(&seen, &next, app.now()).await?;
        if let Written::ConditionFailed(_) = written {
            continue;
        }
        log(&seen, &next, &origin(caller, request));
        if written == Written::Owing {
            reconcile_memberships(app, caller, next.id, request).await;
        }
        return Ok(next);
    }
    Err(ApiError::unavailable("change image: races do not end"))
}

/// Logs what a change has changed: fields by their names, without what an image's texts say.
fn log(seen: &Image, next: &Image, by: &Origin) {
    let fields = seen.changed_fields(next);
    let (from, to) = seen.before_and_after(next);
    let line = Line {
        what: "image.change",
        image: Some(next.id),
        from,
        to,
        fields: Some(&fields),
        ..Line::default()
    };
    line.write(by);
}

/// `PATCH /v2/images/{image_id}`
pub async fn patch(app: &App, caller: &Caller, request: &Request) -> Handled {
    let media = request
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    // As in Glance, a space before the parameters is a part of the type.
    let form = match media.and_then(|media| media.split(';').next()) {
        Some("application/openstack-images-v2.0-json-patch") => patch::Form::V20,
        Some("application/openstack-images-v2.1-json-patch") => patch::Form::V21,
        _ => {
            let media = media.unwrap_or("${CONTENT_TYPE}");
            return Err(ApiError::unsupported_media_type(media));
        }
    };
    let changes = patch::parse(http::body(request)?, form, app.policy(), caller)?;
    let action = ImageAction::Record(RecordAction::Modify);
    let changed = change(app, caller, request, action, |image, facts| {
        let text = image.id.to_string();
        let by = patch::Patcher {
            policy: app.policy(),
            caller,
            target: facts.target(&text),
        };
        patch::apply(image, &changes, by)
    });
    Ok(http::json(200, &changed.await?.view()))
}

/// `PUT /v2/images/{image_id}/tags/{tag}`
pub async fn add_tag(app: &App, caller: &Caller, request: &Request) -> Handled {
    tag(app, caller, request, patch::check_tag, Image::tagged).await
}

/// `DELETE /v2/images/{image_id}/tags/{tag}`
pub async fn remove_tag(app: &App, caller: &Caller, request: &Request) -> Handled {
    tag(app, caller, request, |_| Ok(()), Image::untagged).await
}

async fn tag(
    app: &App,
    caller: &Caller,
    request: &Request,
    check: fn(&str) -> Result<(), ApiError>,
    step: fn(&Image, &str) -> Result<Image, ApiError>,
) -> Handled {
    http::no_body(request)?;
    let tag = http::path(request, "tag")?;
    check(&tag)?;
    let action = ImageAction::Record(RecordAction::Tag);
    change(app, caller, request, action, |image, facts| {
        decide(app, caller, image, facts, action)?;
        step(image, &tag)
    })
    .await?;
    Ok(done())
}

/// `POST /v2/images/{image_id}/actions/deactivate`: takes an active image out of use.
pub async fn deactivate(app: &App, caller: &Caller, request: &Request) -> Handled {
    let action = (ImageAction::Record(RecordAction::Deactivate), "deactivate");
    set_status(app, caller, request, action, "active", "deactivated").await
}

/// `POST /v2/images/{image_id}/actions/reactivate`: brings it back into use.
pub async fn reactivate(app: &App, caller: &Caller, request: &Request) -> Handled {
    let action = (ImageAction::Record(RecordAction::Reactivate), "reactivate");
    set_status(app, caller, request, action, "deactivated", "active").await
}

/// Changes the status of an image that has the status `from`; one that has `to` stays.
async fn set_status(
    app: &App,
    caller: &Caller,
    request: &Request,
    (action, verb): (ImageAction<'_>, &str),
    from: &str,
    to: &str,
) -> Handled {
    http::no_body(request)?;
    change(app, caller, request, action, |image, facts| {
        decide(app, caller, image, facts, action)?;
        if image.status != from && image.status != to {
            return Err(ApiError::forbidden(format!(
                "Not allowed to {verb} image in status '{}'",
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
