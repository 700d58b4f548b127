//! Classes of the error codes of AWS's services.

use isobar_abstraction::ErrorKind;

/// The class of an error: decides its kind and whether the call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// Too many requests; nothing was done.
    Throttled,
    /// Another operation is in progress; nothing was done.
    Busy,
    /// The service failed; the operation may have happened.
    Failed,
    /// The credentials have expired.
    Expired,
    /// The time of the signature differs too much from the service's.
    Skewed,
    /// The credentials or the signature are wrong.
    Unauthenticated,
    /// The caller lacks a permission.
    Denied,
    /// The resource or object does not exist.
    Missing,
    /// A condition of the call is not met.
    Conflict,
    /// Something is over the service's limit.
    TooLarge,
    /// The request is malformed.
    Invalid,
    /// The configuration of the resource is wrong, such as its encryption.
    Config,
    /// The service does not have the function.
    Unsupported,
    /// Any other error.
    Other,
}

impl ErrorClass {
    /// The kind of error that callers see.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Throttled => ErrorKind::Throttled,
            Self::Busy | Self::Failed => ErrorKind::Unavailable,
            Self::Expired | Self::Skewed | Self::Unauthenticated => ErrorKind::Unauthenticated,
            Self::Denied => ErrorKind::PermissionDenied,
            Self::Missing => ErrorKind::NotFound,
            Self::Conflict => ErrorKind::Conflict,
            Self::TooLarge => ErrorKind::TooLarge,
            Self::Invalid => ErrorKind::InvalidInput,
            Self::Config => ErrorKind::Config,
            Self::Unsupported => ErrorKind::Unsupported,
            Self::Other => ErrorKind::Internal,
        }
    }
}

/// The class of a code, or of the status if the code is unknown.
///
/// Sources: the service models in botocore 1.43, its lists of codes to repeat
/// (`retries/standard.py`, `_retry.json`) and each service's page "Common errors".
pub(crate) fn classify(code: &str, status: u16) -> ErrorClass {
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    of_code(code.strip_suffix("Exception").unwrap_or(code)).unwrap_or_else(|| of_status(status))
}

fn of_code(code: &str) -> Option<ErrorClass> {
    Some(match code {
        "BandwidthLimitExceeded"
        | "EC2Throttled"
        | "KMS.Throttling"
        | "KMSThrottling"
        | "KmsThrottled"
        | "LimitExceeded"
        | "OverLimit"
        | "ProvisionedThroughputExceeded"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown"
        | "Throttled"
        | "Throttling"
        | "TooManyRequests" => ErrorClass::Throttled,
        "ConcurrentAccess"
        | "IDPCommunicationError"
        | "PriorRequestNotComplete"
        | "ReplicatedWriteConflict"
        | "TransactionConflict" => ErrorClass::Busy,
        // `TransactionInProgress`: an earlier attempt is still in progress.
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalService"
        | "InternalServiceError"
        | "RequestTimeout"
        | "Service"
        | "ServiceUnavailable"
        | "TransactionInProgress" => ErrorClass::Failed,
        "ExpiredToken" | "TokenRefreshRequired" => ErrorClass::Expired,
        "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => ErrorClass::Skewed,
        "AuthFailure"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignature"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "NotAuthenticated"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClient" => ErrorClass::Unauthenticated,
        "AccessDenied"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "AuthorizationError"
        | "KMSAccessDenied"
        | "KmsAccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "RegionDisabled"
        | "UnauthorizedAccess"
        | "UnauthorizedOperation" => ErrorClass::Denied,
        "NoSuchBucket" | "NoSuchKey" | "NonExistentQueue" | "NotFound" | "ParameterNotFound" | "QueueDoesNotExist"
        | "ResourceNotFound" | "TableNotFound" => ErrorClass::Missing,
        "BucketAlreadyExists"
        | "ConditionalCheckFailed"
        | "ConditionalRequestConflict"
        | "DuplicateItem"
        | "PreconditionFailed" => ErrorClass::Conflict,
        "BatchRequestTooLong" | "EntityTooLarge" | "ItemCollectionSizeLimitExceeded" | "RequestTooLarge" => {
            ErrorClass::TooLarge
        }
        "InvalidArgument"
        | "InvalidAttributeValue"
        | "InvalidMessageContents"
        | "InvalidParameter"
        | "InvalidParameterCombination"
        | "InvalidParameterValue"
        | "InvalidRequest"
        | "InvalidRequestContent"
        | "MalformedQueryString"
        | "MissingParameter"
        | "ParameterValueInvalid"
        | "Serialization"
        | "Validation"
        | "ValidationError" => ErrorClass::Invalid,
        "DecryptionFailure" | "InvalidKeyId" | "KMSDisabled" | "KMSInvalidState" | "KMSNotFound"
        | "KMSOptInRequired" | "KmsDisabled" | "KmsInvalidKeyUsage" | "KmsInvalidState" | "KmsNotFound"
        | "KmsOptInRequired" => ErrorClass::Config,
        "NotImplemented" | "UnsupportedOperation" => ErrorClass::Unsupported,
        _ => return None,
    })
}

/// The class of a response without a known code, which may be that of a proxy.
fn of_status(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::Unauthenticated,
        403 => ErrorClass::Denied,
        404 => ErrorClass::Missing,
        409 | 412 => ErrorClass::Conflict,
        429 | 509 => ErrorClass::Throttled,
        501 => ErrorClass::Unsupported,
        408 | 500.. => ErrorClass::Failed,
        _ => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_classified_with_and_without_the_suffix_exception() {
        for (code, status, expected) in [
            ("ProvisionedThroughputExceededException", 400, ErrorClass::Throttled),
            ("ThrottlingException", 400, ErrorClass::Throttled),
            ("Throttling", 400, ErrorClass::Throttled),
            ("ThrottledException", 400, ErrorClass::Throttled),
            ("RequestThrottledException", 400, ErrorClass::Throttled),
            ("RequestLimitExceeded", 400, ErrorClass::Throttled),
            ("TooManyRequestsException", 429, ErrorClass::Throttled),
            ("SlowDown", 503, ErrorClass::Throttled),
            ("KMSThrottlingException", 400, ErrorClass::Throttled),
            ("TransactionConflictException", 400, ErrorClass::Busy),
            ("IDPCommunicationError", 400, ErrorClass::Busy),
            ("TransactionInProgressException", 400, ErrorClass::Failed),
            ("ServiceUnavailable", 503, ErrorClass::Failed),
            ("ServiceException", 500, ErrorClass::Failed),
            ("RequestTimeout", 400, ErrorClass::Failed),
            ("ExpiredTokenException", 400, ErrorClass::Expired),
            ("AWS.SimpleQueueService.NonExistentQueue", 400, ErrorClass::Missing),
            ("ResourceNotFoundException", 400, ErrorClass::Missing),
            ("ParameterNotFound", 400, ErrorClass::Missing),
            ("InvalidKeyId", 400, ErrorClass::Config),
            ("DecryptionFailure", 400, ErrorClass::Config),
            ("AuthorizationErrorException", 403, ErrorClass::Denied),
            ("ValidationException", 400, ErrorClass::Invalid),
            ("Unheard", 400, ErrorClass::Other),
            ("Unheard", 502, ErrorClass::Failed),
            ("", 429, ErrorClass::Throttled),
            ("", 404, ErrorClass::Missing),
            ("", 501, ErrorClass::Unsupported),
        ] {
            assert_eq!(classify(code, status), expected, "{code} {status}");
        }
    }
}
