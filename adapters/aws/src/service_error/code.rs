//! What the error codes of AWS's services mean.

use isobar_abstraction::ErrorKind;

/// What an error code means, to who called and to who would call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Too many requests; nothing was done.
    Throttled,
    /// Something else is in the way for a moment; nothing was done.
    Busy,
    /// The service failed, and what was asked for may have been done.
    Failed,
    /// The credentials were good once.
    Expired,
    /// The signature is of another time.
    Skewed,
    /// The credentials, or what was signed with them, are wrong.
    Unauthenticated,
    Denied,
    Missing,
    Conflict,
    TooLarge,
    Invalid,
    /// How the resource is set up is wrong, such as its encryption.
    Config,
    Unsupported,
    Other,
}

impl Meaning {
    /// The kind, without a limit and a time that the message and the headers may say.
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

/// What a code means, without its namespace; where it is unknown, what the status means.
///
/// Sources: the service models in botocore 1.43, its lists of codes that are tried again
/// (`retries/standard.py`, `_retry.json`), and each service's page "Common errors".
pub(crate) fn meaning(code: &str, status: u16) -> Meaning {
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    of_code(code.strip_suffix("Exception").unwrap_or(code)).unwrap_or_else(|| of_status(status))
}

fn of_code(code: &str) -> Option<Meaning> {
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
        | "TooManyRequests" => Meaning::Throttled,
        "ConcurrentAccess"
        | "IDPCommunicationError"
        | "PriorRequestNotComplete"
        | "ReplicatedWriteConflict"
        | "TransactionConflict" => Meaning::Busy,
        // `TransactionInProgress`: an attempt before this one is still at work.
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalService"
        | "RequestTimeout"
        | "Service"
        | "ServiceUnavailable"
        | "TransactionInProgress" => Meaning::Failed,
        "ExpiredToken" | "TokenRefreshRequired" => Meaning::Expired,
        "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => Meaning::Skewed,
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
        | "UnrecognizedClient" => Meaning::Unauthenticated,
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
        | "UnauthorizedOperation" => Meaning::Denied,
        "NoSuchBucket" | "NoSuchKey" | "NonExistentQueue" | "NotFound" | "QueueDoesNotExist" | "ResourceNotFound"
        | "TableNotFound" => Meaning::Missing,
        "BucketAlreadyExists"
        | "ConditionalCheckFailed"
        | "ConditionalRequestConflict"
        | "DuplicateItem"
        | "PreconditionFailed" => Meaning::Conflict,
        "BatchRequestTooLong" | "EntityTooLarge" | "ItemCollectionSizeLimitExceeded" | "RequestTooLarge" => {
            Meaning::TooLarge
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
        | "ValidationError" => Meaning::Invalid,
        "KMSDisabled" | "KMSInvalidState" | "KMSNotFound" | "KMSOptInRequired" | "KmsDisabled"
        | "KmsInvalidKeyUsage" | "KmsInvalidState" | "KmsNotFound" | "KmsOptInRequired" => Meaning::Config,
        "NotImplemented" | "UnsupportedOperation" => Meaning::Unsupported,
        _ => return None,
    })
}

/// What is left where a service, or what stands before it, says no code that is known.
fn of_status(status: u16) -> Meaning {
    match status {
        401 => Meaning::Unauthenticated,
        403 => Meaning::Denied,
        404 => Meaning::Missing,
        409 | 412 => Meaning::Conflict,
        429 | 509 => Meaning::Throttled,
        501 => Meaning::Unsupported,
        408 | 500.. => Meaning::Failed,
        _ => Meaning::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_with_and_without_exception() {
        for (code, status, wanted) in [
            ("ProvisionedThroughputExceededException", 400, Meaning::Throttled),
            ("ThrottlingException", 400, Meaning::Throttled),
            ("Throttling", 400, Meaning::Throttled),
            ("ThrottledException", 400, Meaning::Throttled),
            ("RequestThrottledException", 400, Meaning::Throttled),
            ("RequestLimitExceeded", 400, Meaning::Throttled),
            ("TooManyRequestsException", 429, Meaning::Throttled),
            ("SlowDown", 503, Meaning::Throttled),
            ("KMSThrottlingException", 400, Meaning::Throttled),
            ("TransactionConflictException", 400, Meaning::Busy),
            ("IDPCommunicationError", 400, Meaning::Busy),
            ("TransactionInProgressException", 400, Meaning::Failed),
            ("ServiceUnavailable", 503, Meaning::Failed),
            ("ServiceException", 500, Meaning::Failed),
            ("RequestTimeout", 400, Meaning::Failed),
            ("ExpiredTokenException", 400, Meaning::Expired),
            ("AWS.SimpleQueueService.NonExistentQueue", 400, Meaning::Missing),
            ("ResourceNotFoundException", 400, Meaning::Missing),
            ("AuthorizationErrorException", 403, Meaning::Denied),
            ("ValidationException", 400, Meaning::Invalid),
            ("Unheard", 400, Meaning::Other),
            ("Unheard", 502, Meaning::Failed),
            ("", 429, Meaning::Throttled),
            ("", 404, Meaning::Missing),
            ("", 501, Meaning::Unsupported),
        ] {
            assert_eq!(meaning(code, status), wanted, "{code} {status}");
        }
    }
}
