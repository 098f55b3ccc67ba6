//! Why Keystone gave no answer that helps.

use lambda_runtime::Diagnostic;

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// It is missing, unknown, expired, revoked, or not scoped to a project.
    Unauthorized,
    /// Keystone could not be asked; the sentence is for the log.
    Unavailable(String),
}

/// API Gateway answers 401 for exactly this message, and 5xx for any other.
impl From<AuthError> for Diagnostic {
    fn from(error: AuthError) -> Self {
        let (kind, message) = match error {
            AuthError::Unauthorized => ("Unauthorized", "Unauthorized"),
            AuthError::Unavailable(_) => ("Unavailable", "The identity service is not available."),
        };
        Self {
            error_type: kind.to_owned(),
            error_message: message.to_owned(),
        }
    }
}

/// An outage of Keystone.
pub(super) fn outage(why: impl Into<String>) -> AuthError {
    AuthError::Unavailable(why.into())
}
