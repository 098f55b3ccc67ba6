//! What the functions about one image's members have in common: Glance's words for the policy's
//! decisions.

use crate::auth::{Action, Caller, Decision, Relation, Role, permit};
use crate::error::ApiError;
use crate::id::ImageId;
use crate::image::{Image, Visibility};
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
    let absent = || ApiError::not_found(format!("Image {id} not found."));
    let image = facts.image.as_ref().ok_or_else(absent)?;
    let relation = caller.relation(image, facts.membership(&caller.project));
    match permit(caller.role, relation, image.visibility, Action::ShowImage) {
        Decision::Allow => Ok(image),
        // That an image has no members is told before the role is looked at, as in Glance.
        _ if without_role(caller, relation, image.visibility)
            && image.visibility != Visibility::Shared =>
        {
            Ok(image)
        }
        _ => Err(hidden(caller, relation, image.visibility, absent())),
    }
}

/// The 404 of an image that the caller may not see: as if it were absent. To a caller whose role alone
/// is in the way it is in the general words, as in Glance.
pub fn hidden(
    caller: &Caller,
    relation: Relation,
    visibility: Visibility,
    absent: ApiError,
) -> ApiError {
    if without_role(caller, relation, visibility) {
        ApiError::no_such_resource()
    } else {
        absent
    }
}

/// Whether the caller sees nothing for want of a role, where its project's readers see the image.
fn without_role(caller: &Caller, relation: Relation, visibility: Visibility) -> bool {
    let reader = permit(Role::Reader, relation, visibility, Action::ShowImage);
    caller.role == Role::None && reader == Decision::Allow
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
    let not_shared = match permit(caller.role, relation, image.visibility, action) {
        Decision::NotShared => true,
        Decision::Hidden => image.visibility != Visibility::Shared,
        Decision::Allow | Decision::AllowOwnRow | Decision::Forbidden => false,
    };
    if !not_shared {
        return Ok(());
    }
    Err(match action {
        Action::ShowMember => ApiError::not_found("Only shared images have members."),
        Action::ListMembers => ApiError::forbidden(format!(
            "Not allowed to list members for image {id}: Only shared images have members."
        )),
        other => ApiError::forbidden(format!(
            "Not allowed to {} members for image {id}.",
            verb(other)
        )),
    })
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
