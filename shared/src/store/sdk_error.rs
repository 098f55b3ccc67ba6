//! Classifies errors of the AWS SDK: the words of a log line, and whether trying again helps.

use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::domain::error::ApiError;

/// Describes why a request failed, for a log line.
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

/// The code of an answer of the embedded store or queue when its files cannot be used: the disk is
/// full, or a file is read-only or damaged. Sending the request again does not help, and the answer's
/// sentence is in the log already.
pub const UNUSABLE: &str = "FilesUnusable";

/// Whether sending a request again is no use, because the files of the store or the queue cannot be
/// used.
pub fn is_permanent<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let service = error.as_service_error();
    service.and_then(ProvideErrorMetadata::code) == Some(UNUSABLE)
}

/// Turns an error that is not about a condition into ours: unavailable if trying again may help, or
/// else internal.
pub(super) fn failed<E, R>(what: &str, error: &SdkError<E, R>) -> ApiError
where
    E: ProvideErrorMetadata + Debug,
    R: Debug,
{
    let Some(service) = error.as_service_error() else {
        // There was no answer, or one that DynamoDB did not send.
        let kind = match error {
            SdkError::TimeoutError(_) => "timeout",
            SdkError::DispatchFailure(_) => "no connection",
            SdkError::ResponseError(_) => "unreadable answer",
            SdkError::ConstructionFailure(_) => {
                return ApiError::internal(format!("{what}: {error:?}"));
            }
            _ => "failure",
        };
        return ApiError::unavailable(format!("{what}: {kind}"));
    };
    let code = service.code().unwrap_or("unknown");
    let words = format!("{what}: {code}: {}", service.message().unwrap_or_default());
    match code {
        UNUSABLE => ApiError::out_of_order(words),
        "ThrottlingException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "TransactionConflictException"
        | "TransactionInProgressException"
        | "TransactionCanceledException"
        | "LimitExceededException" => ApiError::unavailable(words),
        _ => ApiError::internal(words),
    }
}
