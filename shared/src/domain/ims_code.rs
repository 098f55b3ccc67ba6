//! The codes of the batch API's errors, and their sentences.

use serde::{Serialize, Serializer};

/// The codes of the batch API's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImsCode {
    /// The request is not the JSON object expected, or a field has the wrong type.
    BadRequest,
    /// The body is empty.
    EmptyBody,
    /// An image id is not a UUID.
    BadImageId,
    /// A project id is empty, too long or has control characters.
    BadProjectId,
    /// The image does not exist or the caller may not see it.
    ImageNotFound,
    /// Only the owner may do this.
    NotOwner,
    /// The image's visibility or status does not allow it.
    ImageUnavailable,
    /// Sharing with yourself.
    SharingWithYourself,
    /// The image's member quota is full.
    QuotaFull,
    /// A public image cannot be shared.
    PublicImage,
    /// No such member.
    NoSuchMember,
    /// No such project.
    NoSuchProject,
    /// The add failed for a cause of ours: its message was given up, or the cause does not pass.
    AddFailed,
    /// The update or delete failed for a cause of ours, as `AddFailed`.
    DeleteFailed,
    /// `vault_id` is missing for an image made from a backup.
    VaultMissing,
    /// `vault_id` is not usable.
    VaultUnusable,
    /// The body's `project_id` is not the token's project.
    ForeignProject,
    /// The role is not enough.
    RoleTooWeak,
    /// No such job for this project.
    JobNotFound,
    /// Too many entries at once.
    TooMany,
}

impl ImsCode {
    /// Every code.
    pub const ALL: [Self; 20] = [
        Self::BadRequest,
        Self::EmptyBody,
        Self::BadImageId,
        Self::BadProjectId,
        Self::ImageNotFound,
        Self::NotOwner,
        Self::ImageUnavailable,
        Self::SharingWithYourself,
        Self::QuotaFull,
        Self::PublicImage,
        Self::NoSuchMember,
        Self::NoSuchProject,
        Self::AddFailed,
        Self::DeleteFailed,
        Self::VaultMissing,
        Self::VaultUnusable,
        Self::ForeignProject,
        Self::RoleTooWeak,
        Self::JobNotFound,
        Self::TooMany,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "IMG.0001",
            Self::EmptyBody => "IMG.0007",
            Self::BadImageId => "IMG.0066",
            Self::BadProjectId => "IMG.0067",
            Self::ImageNotFound => "IMG.0027",
            Self::NotOwner => "IMG.0047",
            Self::ImageUnavailable => "IMG.0046",
            Self::SharingWithYourself => "IMG.0076",
            Self::QuotaFull => "IMG.0088",
            Self::PublicImage => "IMG.0089",
            Self::NoSuchMember => "IMG.0121",
            Self::NoSuchProject => "IMG.0108",
            Self::AddFailed => "IMG.0112",
            Self::DeleteFailed => "IMG.0113",
            Self::VaultMissing => "IMG.0184",
            Self::VaultUnusable => "IMG.0188",
            Self::ForeignProject => "IMG.0030",
            Self::RoleTooWeak => "IMG.0026",
            Self::JobNotFound => "IMG.0023",
            Self::TooMany => "IMG.0060",
        }
    }

    /// Parses a code.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The reason that a failed entry shows.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is not the JSON object expected.",
            Self::EmptyBody => "The request has no body.",
            Self::BadImageId => "The image id is not a UUID.",
            Self::BadProjectId => {
                "The project id is empty, longer than 255 characters or has control characters."
            }
            Self::ImageNotFound => "The image does not exist.",
            Self::NotOwner => "Only the owner of the image may do this.",
            Self::ImageUnavailable => "The image is not a shared one.",
            Self::SharingWithYourself => "An image is not shared with its owner.",
            Self::QuotaFull => "The image has as many members as it may have.",
            Self::PublicImage => "A public image cannot be shared.",
            Self::NoSuchMember => "The image is not shared with this project.",
            Self::NoSuchProject => "The project does not exist.",
            Self::AddFailed => "The member could not be added. Try again.",
            Self::DeleteFailed => "The member could not be changed. Try again.",
            Self::VaultMissing => {
                "The image was made from a backup of a server: vault_id is needed to accept it."
            }
            Self::VaultUnusable => "The vault_id is not usable.",
            Self::ForeignProject => "The project_id is not the project of the token.",
            Self::RoleTooWeak => "The role of the token is not enough.",
            Self::JobNotFound => "The job does not exist.",
            Self::TooMany => "Too many entries at once.",
        }
    }
}

impl Serialize for ImsCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for ImsCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let meanings = Self::ALL.map(|code| format!("- {}: {}", code.as_str(), code.reason()));
        super::openapi::words(Self::ALL.map(Self::as_str), meanings.join("\n"))
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for ImsCode {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_code_is_its_own_and_read_back() {
        let codes: HashSet<_> = ImsCode::ALL.iter().map(|code| code.as_str()).collect();
        let reasons: HashSet<_> = ImsCode::ALL.iter().map(|code| code.reason()).collect();
        assert_eq!((codes.len(), reasons.len()), (20, 20));
        for code in ImsCode::ALL {
            let (image, number) = code.as_str().split_once('.').unwrap();
            assert!(image == "IMG" && number.len() == 4 && number.parse::<u16>().is_ok());
            assert!(code.reason().ends_with('.'), "{code:?}");
            assert_eq!(ImsCode::parse(code.as_str()), Some(code));
        }
        for other in ["", "IMG.", "IMG.9999", "img.0001"] {
            assert_eq!(ImsCode::parse(other), None, "{other}");
        }
        assert_eq!(ImsCode::JobNotFound.as_str(), "IMG.0023");
        assert_eq!(ImsCode::JobNotFound.reason(), "The job does not exist.");
    }
}
