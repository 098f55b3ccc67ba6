//! Errors of the AWS SDK in the words of a log line.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why a request of the SDK failed, in a few words.
pub fn words<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ResponseError(_) => "an answer that is not AWS's".to_owned(),
        SdkError::ServiceError(error) => {
            let error = error.err();
            let code = error.code().unwrap_or("an error without a code");
            match error.message() {
                Some(message) => format!("{code}: {message}"),
                None => code.to_owned(),
            }
        }
        _ => "the request could not be made".to_owned(),
    }
}
