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
    code(error) == Some(UNUSABLE)
}

/// The code by which the store or the queue names an error; `None` if it has not answered.
pub(super) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error()?.code()
}

/// Whether the store does not take requests of this kind, or not from this caller.
pub(super) fn is_refused<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(
        code(error),
        Some("ValidationException" | "AccessDeniedException" | "UnknownOperationException")
    )
}

/// Turns an error that is not about a condition into ours: unavailable if trying again may help, or
/// else internal.
pub(super) fn failed<E, R>(what: &str, error: &SdkError<E, R>) -> ApiError
where
    E: ProvideErrorMetadata + Debug,
    R: Debug,
{
    let why = format!("{what}: {}", words(error));
    match error {
        SdkError::ConstructionFailure(_) => ApiError::internal(format!("{what}: {error:?}")),
        SdkError::ServiceError(answer) => match answer.err().code() {
            Some(UNUSABLE) => ApiError::out_of_order(why),
            Some(
                "ThrottlingException"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "InternalServerError"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
                | "TransactionConflictException"
                | "TransactionInProgressException"
                | "TransactionCanceledException"
                | "LimitExceededException",
            ) => ApiError::unavailable(why),
            Some(_) | None => ApiError::internal(why),
        },
        // There was no answer, or one that DynamoDB did not send.
        _ => ApiError::unavailable(why),
    }
}
