//! One error for the whole service: it knows no HTTP, and keeps what is meant for the caller apart
//! from what is meant for the log.

use std::fmt;

use super::ims_code::ImsCode;

/// Why a request failed. Each variant exists because some code acts on the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The request was refused, in the words of Glance.
    Glance(GlanceError),
    /// The request was refused, in the words of the batch API.
    Ims {
        /// Its code.
        code: ImsCode,
        /// Whether the path itself names what is not there, so that the answer is a 404.
        in_path: bool,
        /// The sentence.
        message: String,
    },
    /// The project has as much open work as it may have: IMG.0060. Trying again helps when some of it is done.
    TooMuchOpen(String),
    /// The path has no such method.
    MethodNotAllowed {
        /// The method of the request.
        method: String,
        /// The methods that the path has, as the `Allow` header lists them.
        allow: String,
    },
    /// The token is missing, unknown or expired.
    Unauthorized,
    /// The request is signed, and not by a valid access key.
    BadSignature(BadSignature),
    /// A service that we depend on does not answer; trying again helps.
    Unavailable(Internal),
    /// Our fault; trying again does not help.
    Internal(Internal),
}

/// A refusal in the words of Glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlanceError {
    /// Which kind.
    pub kind: ErrorKind,
    /// The sentence that clients print; `None` for the kind's own.
    pub explanation: Option<String>,
    /// A second sentence.
    pub detail: Option<String>,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is malformed.
    BadRequest,
    /// The caller may not do this.
    Forbidden,
    /// There is no such thing as far as the caller can see.
    NotFound,
    /// The path is a part of the Image API that this service leaves to others. Its sentence is JSON
    /// unless the client asks for HTML: openstacksdk prints no other form.
    NotServed,
    /// What is there already does not allow it.
    Conflict,
    /// What is there is not what the request expects.
    PreconditionFailed,
    /// A limit is exceeded.
    TooLarge,
    /// The media type is none of a patch.
    UnsupportedMediaType,
    /// The idempotency key stands for another request.
    Unprocessable,
}

/// Why a signed request is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSignature {
    /// It was signed too long ago, or in the future.
    Date,
    /// Anything else. Which thing it is would help to guess.
    Signature,
    /// The same, after many such requests with the same access key from the same address.
    TooMany,
}

impl BadSignature {
    /// The sentence for the caller.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Date => "X-Sdk-Date is more than 15 minutes away from the time of this service.",
            Self::Signature => "The request is not signed by a valid access key.",
            Self::TooMany => {
                "Too many requests that are not signed by a valid access key. Try again in a minute."
            }
        }
    }
}

/// Words for our log. It has no `Display`, so it cannot be shown to a caller by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Internal {
    words: String,
    /// Whether the log has the cause already. Each request that fails for it would repeat it.
    logged: bool,
}

impl Internal {
    /// The words for the log.
    pub fn for_log(&self) -> &str {
        &self.words
    }
}

impl fmt::Debug for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Internal(…)")
    }
}

impl ApiError {
    fn glance(kind: ErrorKind, explanation: Option<String>, detail: Option<String>) -> Self {
        Self::Glance(GlanceError {
            kind,
            explanation,
            detail,
        })
    }

    /// 400 with a sentence that says what is wrong.
    pub fn bad_request(explanation: impl Into<String>) -> Self {
        Self::glance(ErrorKind::BadRequest, Some(explanation.into()), None)
    }

    /// 403 with a sentence.
    pub fn forbidden(explanation: impl Into<String>) -> Self {
        Self::glance(ErrorKind::Forbidden, Some(explanation.into()), None)
    }

    /// 403 with the general sentence and a detail.
    pub fn forbidden_detail(detail: impl Into<String>) -> Self {
        Self::glance(ErrorKind::Forbidden, None, Some(detail.into()))
    }

    /// 403 because the policy of that name says no.
    pub fn not_authorized(policy: &str) -> Self {
        Self::forbidden(format!(
            "You are not authorized to complete {policy} action."
        ))
    }

    /// 404 with a sentence.
    pub fn not_found(explanation: impl Into<String>) -> Self {
        Self::glance(ErrorKind::NotFound, Some(explanation.into()), None)
    }

    /// 404 with the general sentence: no such path.
    pub fn no_such_resource() -> Self {
        Self::glance(ErrorKind::NotFound, None, None)
    }

    /// 404 for a part of the Image API that this service leaves to others, with a sentence.
    pub fn not_served(explanation: impl Into<String>) -> Self {
        Self::glance(ErrorKind::NotServed, Some(explanation.into()), None)
    }

    /// 409 with a sentence.
    pub fn conflict(explanation: impl Into<String>) -> Self {
        Self::glance(ErrorKind::Conflict, Some(explanation.into()), None)
    }

    /// 409 with the general sentence and a detail.
    pub fn conflict_detail(detail: impl Into<String>) -> Self {
        Self::glance(ErrorKind::Conflict, None, Some(detail.into()))
    }

    /// 412 with a sentence.
    pub fn precondition_failed(explanation: impl Into<String>) -> Self {
        Self::glance(
            ErrorKind::PreconditionFailed,
            Some(explanation.into()),
            None,
        )
    }

    /// 413 with a sentence.
    pub fn too_large(explanation: impl Into<String>) -> Self {
        Self::glance(ErrorKind::TooLarge, Some(explanation.into()), None)
    }

    /// 415 for a patch of that media type.
    pub fn unsupported_media_type(media_type: &str) -> Self {
        Self::glance(
            ErrorKind::UnsupportedMediaType,
            Some(media_type.into()),
            None,
        )
    }

    /// 422 with a sentence.
    pub fn unprocessable(explanation: impl Into<String>) -> Self {
        Self::glance(ErrorKind::Unprocessable, Some(explanation.into()), None)
    }

    /// A batch API's refusal, in the code's own words.
    pub fn ims(code: ImsCode) -> Self {
        Self::ims_because(code, code.reason())
    }

    /// A batch API's refusal with a sentence.
    pub fn ims_because(code: ImsCode, message: impl Into<String>) -> Self {
        Self::Ims {
            code,
            in_path: false,
            message: message.into(),
        }
    }

    /// The same refusal where the path itself names what is not there.
    pub fn ims_in_path(code: ImsCode) -> Self {
        Self::Ims {
            code,
            in_path: true,
            message: code.reason().to_owned(),
        }
    }

    /// Unavailable, with words for the log only.
    pub fn unavailable(for_log: impl Into<String>) -> Self {
        Self::Unavailable(Internal {
            words: for_log.into(),
            logged: false,
        })
    }

    /// Unavailable until an operator has acted, for a cause that has been logged.
    pub fn out_of_order(for_log: impl Into<String>) -> Self {
        Self::Unavailable(Internal {
            words: for_log.into(),
            logged: true,
        })
    }

    /// Internal, with words for the log only.
    pub fn internal(for_log: impl Into<String>) -> Self {
        Self::Internal(Internal {
            words: for_log.into(),
            logged: false,
        })
    }

    /// The words for the log.
    pub fn for_log(&self) -> &str {
        match self {
            Self::Unavailable(why) | Self::Internal(why) => why.for_log(),
            Self::Glance(_)
            | Self::Ims { .. }
            | Self::TooMuchOpen(_)
            | Self::MethodNotAllowed { .. }
            | Self::Unauthorized
            | Self::BadSignature(_) => self.public_words(),
        }
    }

    /// Whether the log has the cause already: it lasts until an operator ends it.
    pub const fn is_logged(&self) -> bool {
        match self {
            Self::Unavailable(why) | Self::Internal(why) => why.logged,
            Self::Glance(_)
            | Self::Ims { .. }
            | Self::MethodNotAllowed { .. }
            | Self::Unauthorized
            | Self::TooMuchOpen(_)
            | Self::BadSignature(_) => false,
        }
    }

    /// The sentence of a refusal, to be repeated in another form of error.
    pub fn public_words(&self) -> &str {
        match self {
            Self::Glance(error) => error.explanation.as_deref().unwrap_or_default(),
            Self::Ims { message, .. } | Self::TooMuchOpen(message) => message,
            Self::MethodNotAllowed { .. }
            | Self::Unauthorized
            | Self::Unavailable(_)
            | Self::Internal(_) => "",
            Self::BadSignature(why) => why.words(),
        }
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Glance(_)
            | Self::Ims { .. }
            | Self::TooMuchOpen(_)
            | Self::MethodNotAllowed { .. }
            | Self::Unauthorized
            | Self::BadSignature(_)
            | Self::Internal(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every error, what the log says of it, and what the caller is told of it.
    fn errors() -> [(ApiError, &'static str, &'static str); 12] {
        let said = |error: ApiError, words: &'static str| (error, words, words);
        let method = ApiError::MethodNotAllowed {
            method: "PUT".to_owned(),
            allow: "GET".to_owned(),
        };
        let date = "X-Sdk-Date is more than 15 minutes away from the time of this service.";
        let signature = "The request is not signed by a valid access key.";
        [
            said(ApiError::bad_request("bad"), "bad"),
            said(ApiError::no_such_resource(), ""),
            said(
                ApiError::ims(ImsCode::JobNotFound),
                "The job does not exist.",
            ),
            said(ApiError::ims_because(ImsCode::TooMany, "why"), "why"),
            said(ApiError::TooMuchOpen("busy".to_owned()), "busy"),
            said(method, ""),
            said(ApiError::Unauthorized, ""),
            said(ApiError::BadSignature(BadSignature::Date), date),
            said(ApiError::BadSignature(BadSignature::Signature), signature),
            (ApiError::unavailable("secret"), "secret", ""),
            (ApiError::out_of_order("secret"), "secret", ""),
            (ApiError::internal("secret"), "secret", ""),
        ]
    }

    #[test]
    fn what_is_for_the_log_is_not_for_the_caller() {
        for (error, for_log, public) in errors() {
            assert_eq!(error.for_log(), for_log, "{error:?}");
            assert_eq!(error.public_words(), public, "{error:?}");
            assert!(!format!("{error:?}").contains("secret"));
        }
        let shown = format!("{:?}", ApiError::internal("secret"));
        assert_eq!(shown, "Internal(Internal(…))");
    }

    #[test]
    fn only_what_is_not_available_may_succeed_later() {
        for (error, ..) in errors() {
            let expected = matches!(error, ApiError::Unavailable(_));
            assert_eq!(error.retryable(), expected, "{error:?}");
        }
    }

    #[test]
    fn a_refusal_has_its_kind_and_its_words() {
        let glance = |kind, explanation: Option<&str>, detail: Option<&str>| {
            ApiError::Glance(GlanceError {
                kind,
                explanation: explanation.map(str::to_owned),
                detail: detail.map(str::to_owned),
            })
        };
        let (x, no_words) = (Some("x"), None);
        for (error, kind, explanation, detail) in [
            (ApiError::bad_request("x"), ErrorKind::BadRequest, x, None),
            (ApiError::forbidden("x"), ErrorKind::Forbidden, x, None),
            (
                ApiError::forbidden_detail("x"),
                ErrorKind::Forbidden,
                None,
                x,
            ),
            (
                ApiError::not_authorized("x"),
                ErrorKind::Forbidden,
                Some("You are not authorized to complete x action."),
                None,
            ),
            (ApiError::not_found("x"), ErrorKind::NotFound, x, None),
            (
                ApiError::no_such_resource(),
                ErrorKind::NotFound,
                no_words,
                None,
            ),
            (ApiError::not_served("x"), ErrorKind::NotServed, x, None),
            (ApiError::conflict("x"), ErrorKind::Conflict, x, None),
            (ApiError::conflict_detail("x"), ErrorKind::Conflict, None, x),
            (ApiError::too_large("x"), ErrorKind::TooLarge, x, None),
            (
                ApiError::unsupported_media_type("x"),
                ErrorKind::UnsupportedMediaType,
                x,
                None,
            ),
            (
                ApiError::unprocessable("x"),
                ErrorKind::Unprocessable,
                x,
                None,
            ),
        ] {
            assert_eq!(error, glance(kind, explanation, detail));
        }
        let in_path = |in_path| ApiError::Ims {
            code: ImsCode::NotOwner,
            in_path,
            message: ImsCode::NotOwner.reason().to_owned(),
        };
        assert_eq!(ApiError::ims(ImsCode::NotOwner), in_path(false));
        assert_eq!(ApiError::ims_in_path(ImsCode::NotOwner), in_path(true));
    }
}
