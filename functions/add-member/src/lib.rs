//! `POST /v2/images/{image_id}/members`: shares an image with a project. One transaction.

use shared::domain::bodies::NewMember;
use shared::domain::change::Change;
use shared::domain::error::ApiError;
use shared::domain::id::ImageId;
use shared::domain::member::Member;
use shared::domain::policy::{Action, ImageAction};
use shared::http::{self, Handled, Request};
use shared::runtime::app::App;
use shared::store::members::Changed;

/// Adds the member named in the body: 200 with the new membership.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    let NewMember { member } = NewMember::parse(&http::body(&request)?)?;
    let id = http::image_id(&request)?;
    let (stamp, quota) = (app.stamp(&caller, &request), app.config().member_quota);

    if let Some(projects) = app.projects().filter(|_| caller.may_write())
        && !projects.exists(&member).await?
    {
        return Err(ApiError::bad_request(format!(
            "Project {member} does not exist."
        )));
    }

    let store = app.store();
    let changed = match caller.may_write() {
        true => {
            let members = std::slice::from_ref(&member);
            store
                .add_members(&caller, id, members, quota, stamp.clone())
                .await?
        }
        false => Changed::Image(store.image(id).await?.map(Box::new)),
    };
    let image = match changed {
        Changed::Members(changes) => {
            return match changes.first() {
                Some(Change::Applied) => {
                    let added = Member::new(id, member, stamp.op, stamp.now);
                    Ok(http::json(200, &added.view()))
                }
                Some(Change::Answered(status)) => {
                    let added = Member::new(id, member, stamp.op, stamp.now);
                    Ok(http::json(200, &added.answered_by_rule(*status).view()))
                }
                Some(Change::QuotaFull) => Err(quota_full(id, quota)),
                Some(
                    Change::AppliedBefore
                    | Change::Unneeded
                    | Change::Superseded(_)
                    | Change::Absent,
                )
                | None => Err(ApiError::conflict(format!(
                    "Member {member} is duplicated for image {id}"
                ))),
            };
        }
        Changed::Image(image) => image,
    };

    // Refused: the caller's own membership tells a hidden image from a forbidden one.
    let mut facts = store.facts(id, &[&caller.project]).await?;
    facts.image = image.map(|image| *image);
    let text = id.to_string();
    let action = Action::Image(ImageAction::AddMember, facts.target(&text));
    let decided = app.policy().decide(&caller, action);
    decided.map_err(|denied| denied.glance())?;
    Err(ApiError::unavailable(
        "add member: the image changed meanwhile",
    ))
}

fn quota_full(id: ImageId, quota: i64) -> ApiError {
    ApiError::too_large(format!(
        "Image member limit exceeded for image {id}: The limit has been exceeded on the number of \
         allowed image members for this image. Attempted: {}, Maximum: {quota}:",
        quota + 1
    ))
}
