//! The words of a refusal, for each family of clients.

use super::{Action, ApiAction, EntryAction, ImageAction, RecordAction, Row, RowAction, Setting};
use crate::domain::error::ApiError;
use crate::domain::ims_code::ImsCode;
use crate::domain::visibility::Visibility;

/// Why a caller may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller must not learn that the image exists.
    Hidden,
    /// The caller's project sees the image, and its role sees nothing.
    HiddenFromRole,
    /// The caller sees the image, but only shared images have members.
    NotShared(Visibility),
    /// There is no such membership as far as the caller can see.
    NoSuchMember,
    /// An image is not shared with its owner, and its owner has nothing to answer.
    OwnImage,
    /// The caller sees the image or the project, and may not do this.
    Forbidden,
}

/// A refusal of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Denied<'a> {
    pub(super) action: Action<'a>,
    /// Why.
    pub reason: Reason,
}

impl Denied<'_> {
    /// Whether the caller must not learn that the image exists.
    pub const fn hides(&self) -> bool {
        matches!(self.reason, Reason::Hidden | Reason::HiddenFromRole)
    }

    /// The refusal in Glance's words.
    pub fn glance(&self) -> ApiError {
        match self.action {
            Action::Image(action, target) => image_words(action, self.reason, target.id),
            Action::Set(setting) => setting_words(setting),
            Action::Api(action) => ApiError::not_authorized(match action {
                ApiAction::ListImages => "get_images",
                ApiAction::CreateImage => "add_image",
                ApiAction::ReadTasks => "tasks_api_access",
                ApiAction::ReadStoreDetails => "stores_info_detail",
                ApiAction::ReadServerState => "server_state",
                // These have no path in Glance.
                ApiAction::ShowQuota
                | ApiAction::StartBatch
                | ApiAction::AnswerFor(_)
                | ApiAction::ReadJobs
                | ApiAction::ReadJobsOf(_)
                | ApiAction::ReadMembersAs(_)
                | ApiAction::ListShares
                | ApiAction::ReadTrustedOwners
                | ApiAction::SetTrustedOwners => return self.ims(),
            }),
        }
    }

    /// The refusal of a whole request to the batch API.
    pub fn ims(&self) -> ApiError {
        match (self.action, self.reason) {
            (Action::Image(ImageAction::ListMembers, _), Reason::NotShared(_)) => {
                ApiError::ims(ImsCode::ImageUnavailable)
            }
            (Action::Image(..), Reason::Hidden | Reason::HiddenFromRole) => {
                ApiError::ims_in_path(ImsCode::ImageNotFound)
            }
            (Action::Image(ImageAction::Row(RowAction::Show, _), _), _) => {
                ApiError::ims_in_path(ImsCode::NoSuchMember)
            }
            (Action::Api(ApiAction::ReadJobsOf(_)), _) => ApiError::ims(ImsCode::JobNotFound),
            (Action::Api(ApiAction::AnswerFor(_) | ApiAction::ReadMembersAs(_)), _) => {
                ApiError::ims(ImsCode::ForeignProject)
            }
            (Action::Api(_) | Action::Set(_), _) => ApiError::ims(ImsCode::RoleTooWeak),
            (Action::Image(..), _) => ApiError::ims(self.entry()),
        }
    }

    /// The code of an entry of a batch that is refused so.
    pub fn entry(&self) -> ImsCode {
        match self.reason {
            Reason::Hidden | Reason::HiddenFromRole => ImsCode::ImageNotFound,
            Reason::NotShared(Visibility::Public) => ImsCode::PublicImage,
            Reason::NotShared(Visibility::Private | Visibility::Community | Visibility::Shared) => {
                ImsCode::ImageUnavailable
            }
            // Who is no member may not see the image: to it there is none.
            Reason::NoSuchMember => ImsCode::ImageNotFound,
            Reason::OwnImage => ImsCode::SharingWithYourself,
            Reason::Forbidden => ImsCode::NotOwner,
        }
    }
}

/// Glance's words for a refused action on one image.
fn image_words(action: ImageAction<'_>, reason: Reason, image: &str) -> ApiError {
    match reason {
        Reason::Hidden => absent(action, image),
        Reason::HiddenFromRole => ApiError::no_such_resource(),
        Reason::NotShared(_) => no_members(action, image),
        Reason::NoSuchMember => match action {
            ImageAction::Row(_, row) => no_such_member(row, image),
            ImageAction::Record(_)
            | ImageAction::ListMembers
            | ImageAction::AddMember
            | ImageAction::ReplaceMembers
            | ImageAction::Entry(_) => absent(action, image),
        },
        Reason::OwnImage | Reason::Forbidden => ApiError::not_authorized(policy_name(action)),
    }
}

/// 404 in Glance's words for a membership that the caller cannot see.
pub fn no_such_member(row: Row<'_>, image: &str) -> ApiError {
    ApiError::not_found(format!(
        "{} not found in the member list of the image {image}.",
        row.text
    ))
}

/// 404 for an image that does not exist, or that the caller must not learn of.
fn absent(action: ImageAction<'_>, image: &str) -> ApiError {
    let sentence = match action {
        ImageAction::Record(RecordAction::ListTasks) => return ApiError::no_such_resource(),
        ImageAction::Record(RecordAction::Delete) => {
            format!("Failed to find image {image} to delete")
        }
        ImageAction::Record(
            RecordAction::Show
            | RecordAction::Modify
            | RecordAction::Deactivate
            | RecordAction::Reactivate
            | RecordAction::SetLocation
            | RecordAction::RemoveLocation,
        ) => format!("No image found with ID {image}"),
        ImageAction::Record(RecordAction::Tag)
        | ImageAction::ListMembers
        | ImageAction::AddMember
        | ImageAction::ReplaceMembers
        | ImageAction::Row(..)
        | ImageAction::Entry(_) => format!("Image {image} not found."),
    };
    ApiError::not_found(sentence)
}

/// The refusal of an action on the members of an image that is not shared.
fn no_members(action: ImageAction<'_>, image: &str) -> ApiError {
    let verb = match action {
        ImageAction::Row(RowAction::Show, _) => {
            return ApiError::not_found("Only shared images have members.");
        }
        ImageAction::ListMembers => {
            return ApiError::forbidden(format!(
                "Not allowed to list members for image {image}: Only shared images have members."
            ));
        }
        ImageAction::AddMember
        | ImageAction::ReplaceMembers
        | ImageAction::Entry(EntryAction::Share(_)) => "create",
        ImageAction::Row(RowAction::Update, _) | ImageAction::Entry(EntryAction::Answer) => {
            "update"
        }
        ImageAction::Row(RowAction::Remove, _) | ImageAction::Entry(EntryAction::Unshare(_)) => {
            "delete"
        }
        ImageAction::Record(_) => return ApiError::not_authorized(policy_name(action)),
    };
    ApiError::forbidden(format!("Not allowed to {verb} members for image {image}."))
}

/// Glance's policy for an action, which clients print when it is refused.
const fn policy_name(action: ImageAction<'_>) -> &'static str {
    match action {
        ImageAction::Record(record) => match record {
            RecordAction::Show => "get_image",
            RecordAction::ListTasks => "get_task",
            RecordAction::Modify | RecordAction::Tag => "modify_image",
            RecordAction::Deactivate => "deactivate",
            RecordAction::Reactivate => "reactivate",
            RecordAction::SetLocation => "set_image_location",
            RecordAction::RemoveLocation => "delete_image_location",
            RecordAction::Delete => "delete_image",
        },
        ImageAction::ListMembers => "get_members",
        ImageAction::Row(RowAction::Show, _) => "get_member",
        ImageAction::AddMember
        | ImageAction::ReplaceMembers
        | ImageAction::Entry(EntryAction::Share(_)) => "add_member",
        ImageAction::Row(RowAction::Update, _) | ImageAction::Entry(EntryAction::Answer) => {
            "modify_member"
        }
        ImageAction::Row(RowAction::Remove, _) | ImageAction::Entry(EntryAction::Unshare(_)) => {
            "delete_member"
        }
    }
}

/// Glance's words for a refused value.
fn setting_words(setting: Setting<'_>) -> ApiError {
    match setting {
        Setting::NewOwner(owner) => ApiError::forbidden_detail(format!(
            "You are not permitted to create images owned by '{}'",
            owner.unwrap_or("None")
        )),
        Setting::Owner => ApiError::forbidden_detail("Owner can't be updated by non admin."),
        Setting::Visibility(Visibility::Community, _) => {
            ApiError::not_authorized("communitize_image")
        }
        Setting::Visibility(Visibility::Public | Visibility::Private | Visibility::Shared, _) => {
            ApiError::not_authorized("publicize_image")
        }
        Setting::PipelineField(name) => {
            ApiError::forbidden(format!("Attribute '{name}' is read-only."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_hides_an_image_or_tells_of_it() {
        for (reason, hides) in [
            (Reason::Hidden, true),
            (Reason::HiddenFromRole, true),
            (Reason::NotShared(Visibility::Public), false),
            (Reason::NoSuchMember, false),
            (Reason::OwnImage, false),
            (Reason::Forbidden, false),
        ] {
            let action = Action::Api(ApiAction::ListImages);
            assert_eq!(Denied { action, reason }.hides(), hides, "{reason:?}");
        }
    }
}
