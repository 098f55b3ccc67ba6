//! One error for the whole service: it knows no HTTP until the last step, and what is meant for
//! the caller apart from what is meant for us.

use std::fmt;

use crate::signature;

/// What went wrong. A variant exists only because somebody acts on the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The request was refused, with words for the caller.
    Refused(Refusal),
    /// A refusal of the batch API, with its code.
    Ims {
        /// Its code.
        code: ImsCode,
        /// The HTTP status: the code's own, but 404 where a path names what is not there.
        status: u16,
        /// The sentence.
        message: String,
    },
    /// No path or method of ours: what the discovery function answers.
    MethodNotAllowed {
        /// The method of the request.
        method: String,
        /// The methods that the path has, as the `Allow` header lists them.
        allow: String,
    },
    /// The token is missing, unknown or expired.
    Unauthorized,
    /// The request is signed, and not by a valid access key.
    BadSignature(signature::Refused),
    /// Something that we need is not there just now; trying again helps.
    Unavailable(Internal),
    /// Our fault; trying again does not help.
    Internal(Internal),
}

/// A refusal in the words of Glance: HTTP status, explanation and detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind.
    pub kind: RefusalKind,
    /// The sentence that clients print; empty means the kind's own.
    pub explanation: String,
    /// A second sentence, or nothing.
    pub detail: String,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// 400
    BadRequest,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 404 for a part of the Image API that this service leaves to others. Its sentence is JSON unless
    /// the client asks for HTML: openstacksdk prints no other form.
    NotServed,
    /// 409
    Conflict,
    /// 413
    TooLarge,
    /// 415, with the media types of a patch
    UnsupportedMediaType,
    /// 422
    Unprocessable,
}

/// Words for our log. It has no `Display`, so it cannot be shown to a caller by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Internal(String);

impl Internal {
    /// The words for the log.
    pub fn for_log(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Internal(…)")
    }
}

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
    /// The add failed for a cause of ours, after all retries.
    AddFailed,
    /// The update or delete failed for a cause of ours, after all retries.
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
    pub const ALL: [Self; 19] = [
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

    /// The code that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The status of a request that fails with this code.
    pub const fn status(self) -> u16 {
        match self {
            Self::RoleTooWeak => 403,
            Self::JobNotFound => 404,
            Self::BadRequest
            | Self::EmptyBody
            | Self::BadImageId
            | Self::BadProjectId
            | Self::ImageNotFound
            | Self::NotOwner
            | Self::ImageUnavailable
            | Self::SharingWithYourself
            | Self::QuotaFull
            | Self::PublicImage
            | Self::NoSuchMember
            | Self::AddFailed
            | Self::DeleteFailed
            | Self::VaultMissing
            | Self::VaultUnusable
            | Self::ForeignProject
            | Self::TooMany => 400,
        }
    }

    /// The reason that a failed entry of a batch gives.
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

impl ApiError {
    fn refused(
        kind: RefusalKind,
        explanation: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::Refused(Refusal {
            kind,
            explanation: explanation.into(),
            detail: detail.into(),
        })
    }

    /// 400 with a sentence that says what is wrong.
    pub fn bad_request(explanation: impl Into<String>) -> Self {
        Self::refused(RefusalKind::BadRequest, explanation, "")
    }

    /// 403 with a sentence.
    pub fn forbidden(explanation: impl Into<String>) -> Self {
        Self::refused(RefusalKind::Forbidden, explanation, "")
    }

    /// 403 with the general sentence and a detail.
    pub fn forbidden_detail(detail: impl Into<String>) -> Self {
        Self::refused(RefusalKind::Forbidden, "", detail)
    }

    /// 403 because the policy of that name says no.
    pub fn not_authorized(policy: &str) -> Self {
        Self::forbidden(format!(
            "You are not authorized to complete {policy} action."
        ))
    }

    /// 404 with a sentence.
    pub fn not_found(explanation: impl Into<String>) -> Self {
        Self::refused(RefusalKind::NotFound, explanation, "")
    }

    /// 404 with the general sentence: no such path.
    pub fn no_such_resource() -> Self {
        Self::refused(RefusalKind::NotFound, "", "")
    }

    /// 404 for a part of the Image API that this service leaves to others, with a sentence.
    pub fn not_served(explanation: impl Into<String>) -> Self {
        Self::refused(RefusalKind::NotServed, explanation, "")
    }

    /// 409 with a sentence.
    pub fn conflict(explanation: impl Into<String>) -> Self {
        Self::refused(RefusalKind::Conflict, explanation, "")
    }

    /// 409 with the general sentence and a detail.
    pub fn conflict_detail(detail: impl Into<String>) -> Self {
        Self::refused(RefusalKind::Conflict, "", detail)
    }

    /// 413 with a sentence.
    pub fn too_large(explanation: impl Into<String>) -> Self {
        Self::refused(RefusalKind::TooLarge, explanation, "")
    }

    /// 415 for a patch of that media type.
    pub fn unsupported_media_type(media_type: &str) -> Self {
        Self::refused(RefusalKind::UnsupportedMediaType, media_type, "")
    }

    /// 422 with a sentence.
    pub fn unprocessable(explanation: impl Into<String>) -> Self {
        Self::refused(RefusalKind::Unprocessable, explanation, "")
    }

    /// A batch API's refusal, in the code's own words.
    pub fn ims(code: ImsCode) -> Self {
        Self::ims_because(code, code.reason())
    }

    /// A batch API's refusal with a sentence.
    pub fn ims_because(code: ImsCode, message: impl Into<String>) -> Self {
        Self::Ims {
            code,
            status: code.status(),
            message: message.into(),
        }
    }

    /// The same refusal where a path names what is not there.
    pub fn ims_with_status(status: u16, code: ImsCode) -> Self {
        Self::Ims {
            code,
            status,
            message: code.reason().to_owned(),
        }
    }

    /// 503: words for the log only.
    pub fn unavailable(for_log: impl Into<String>) -> Self {
        Self::Unavailable(Internal(for_log.into()))
    }

    /// 500: words for the log only.
    pub fn internal(for_log: impl Into<String>) -> Self {
        Self::Internal(Internal(for_log.into()))
    }

    /// What our log says of it.
    pub fn for_log(&self) -> &str {
        match self {
            Self::Unavailable(why) | Self::Internal(why) => why.for_log(),
            Self::Refused(_)
            | Self::Ims { .. }
            | Self::MethodNotAllowed { .. }
            | Self::Unauthorized
            | Self::BadSignature(_) => self.public_words(),
        }
    }

    /// The sentence of a refusal, for another form of error that says the same.
    pub fn public_words(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.explanation,
            Self::Ims { message, .. } => message,
            Self::MethodNotAllowed { .. }
            | Self::Unauthorized
            | Self::Unavailable(_)
            | Self::Internal(_) => "",
            Self::BadSignature(why) => why.words(),
        }
    }

    /// Whether the same request may succeed a little later.
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Refused(_)
            | Self::Ims { .. }
            | Self::MethodNotAllowed { .. }
            | Self::Unauthorized
            | Self::BadSignature(_)
            | Self::Internal(_) => false,
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => match refusal.kind {
                RefusalKind::BadRequest => 400,
                RefusalKind::Forbidden => 403,
                RefusalKind::NotFound | RefusalKind::NotServed => 404,
                RefusalKind::Conflict => 409,
                RefusalKind::TooLarge => 413,
                RefusalKind::UnsupportedMediaType => 415,
                RefusalKind::Unprocessable => 422,
            },
            Self::Ims { status, .. } => *status,
            Self::MethodNotAllowed { .. } => 405,
            Self::Unauthorized | Self::BadSignature(_) => 401,
            Self::Unavailable(_) => 503,
            Self::Internal(_) => 500,
        }
    }

    /// The code in an error body of the batch API's family.
    pub const fn ims_code(&self) -> &'static str {
        match self {
            Self::Ims { code, .. } => code.as_str(),
            Self::Refused(refusal) => match refusal.kind {
                RefusalKind::BadRequest
                | RefusalKind::Conflict
                | RefusalKind::TooLarge
                | RefusalKind::UnsupportedMediaType
                | RefusalKind::Unprocessable => "IMG.0001",
                RefusalKind::Forbidden => "IMG.0026",
                RefusalKind::NotFound | RefusalKind::NotServed => "IMG.0027",
            },
            Self::MethodNotAllowed { .. } => "MethodNotAllowed",
            Self::Unauthorized | Self::BadSignature(_) => "Unauthorized",
            Self::Unavailable(_) => "ServiceUnavailable",
            Self::Internal(_) => "InternalError",
        }
    }
}
