//! What the functions about one image's members have in common: Glance's words for the policy's
//! decisions.

use crate::auth::{Action, Caller, Decision, permit};
use crate::error::ApiError;
use crate::id::ImageId;
use crate::image::Image;
use crate::store::members::Facts;

/// The word that Glance's refusals use for an action on members.
const fn verb(action: Action) -> &'static str {
    match action {
        Action::AddMember => "create",
        Action::UpdateMember => "update",
        Action::RemoveMember => "delete",
        Action::ListMembers
        | Action::ShowMember
        | Action::ShowImage
        | Action::ModifyImage
        | Action::DeleteImage => "list",
    }
}

/// The image as far as the caller may see it, or its 404.
///
/// # Errors
/// 404: the caller must not learn more.
pub fn visible<'a>(caller: &Caller, id: ImageId, facts: &'a Facts) -> Result<&'a Image, ApiError> {
    let image = facts.image.as_ref().ok_or_else(|| hidden(id))?;
    let relation = caller.relation(image, facts.membership(&caller.project));
    match permit(caller.role, relation, image.visibility, Action::ShowImage) {
        Decision::Allow => Ok(image),
        // Without a role even the owner's own images are not there, in the general words.
        _ if relation != crate::auth::Relation::Stranger
            && caller.role == crate::auth::Role::None =>
        {
            Err(ApiError::no_such_resource())
        }
        _ => Err(hidden(id)),
    }
}

fn hidden(id: ImageId) -> ApiError {
    ApiError::not_found(format!("Image {id} not found."))
}

/// Checks that the image has members at all: that it is shared.
///
/// # Errors
/// 403 (404 for one membership) in Glance's words.
pub fn has_members(
    caller: &Caller,
    image: &Image,
    facts: &Facts,
    action: Action,
) -> Result<(), ApiError> {
    let relation = caller.relation(image, facts.membership(&caller.project));
    let id = image.id;
    match permit(caller.role, relation, image.visibility, action) {
        Decision::NotShared => Err(match action {
            Action::ShowMember => ApiError::not_found("Only shared images have members."),
            Action::ListMembers => ApiError::forbidden(format!(
                "Not allowed to list members for image {id}: Only shared images have members."
            )),
            other => ApiError::forbidden(format!(
                "Not allowed to {} members for image {id}.",
                verb(other)
            )),
        }),
        _ => Ok(()),
    }
}

/// Checks the policy for an action on the members of a visible, shared image.
///
/// # Errors
/// 403 with the policy's name.
pub fn allowed(
    caller: &Caller,
    image: &Image,
    facts: &Facts,
    action: Action,
) -> Result<Decision, ApiError> {
    let relation = caller.relation(image, facts.membership(&caller.project));
    match permit(caller.role, relation, image.visibility, action) {
        decision @ (Decision::Allow | Decision::AllowOwnRow) => Ok(decision),
        Decision::Forbidden | Decision::Hidden | Decision::NotShared => {
            Err(ApiError::not_authorized(action.policy_name()))
        }
    }
}
