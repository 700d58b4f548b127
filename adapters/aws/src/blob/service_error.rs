//! The service errors of S3: kinds, retry decisions and explanations.
//!
//! Source: S3's list of error codes, <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::ErrorKind;
use isobar_rest::object::ObjectError;
use isobar_rest::{RetryDecision, ServiceError};
use serde::Deserialize;

use crate::service_error;
use crate::service_error::class::{ErrorClass, classify};

/// The rejection that an error of a bucket in a region means.
pub(super) fn rejection(service_error: &ServiceError, bucket: &str, region: &str) -> ObjectError {
    let config = |message| ObjectError::Other(ErrorKind::Config, message);
    match (service_error.status().as_u16(), service_error.code.as_str()) {
        (_, "NoSuchBucket") => ObjectError::NoBucket(format!(
            "no bucket `{bucket}` in S3: create it, for example with `aws s3 mb s3://{bucket} --region {region}`"
        )),
        (_, "InvalidBucketName") => config(format!("`{bucket}` is not a valid name of a bucket in S3")),
        (_, "NoSuchKey" | "NoSuchVersion") => ObjectError::NoObject,
        // The response to HEAD has no body and no code, so the bucket may be missing. Most often the object
        // is; every other call reports a missing bucket.
        (404, "") => ObjectError::NoObjectOr(format!("bucket `{bucket}`")),
        (412, _) => ObjectError::PreconditionFailed,
        (409, "ConditionalRequestConflict") => {
            ObjectError::WriteConflict("another write of this key happened at the same time: write the object again")
        }
        (416, _) => ObjectError::EmptyRange,
        (301, _) | (400, "" | "AuthorizationHeaderMalformed")
            if let Some(right) = region_of(&service_error.response).filter(|right| right.as_str() != region) =>
        {
            config(format!(
                "the bucket `{bucket}` is in the region {right}, not in {region}: set AWS_REGION={right}, or configure the \
                bucket as `s3://{bucket}?region={right}`"
            ))
        }
        _ => ObjectError::Other(service_error.kind, service_error.explanation.clone()),
    }
}

/// The bucket's region, if the response contains it.
fn region_of(answer: &Response<Bytes>) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct ErrorBody {
        region: Option<String>,
    }
    let body = std::str::from_utf8(answer.body()).ok();
    let body = body.and_then(|body| quick_xml::de::from_str::<ErrorBody>(body).ok());
    let header = answer.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
    body.and_then(|body| body.region).or_else(|| header.map(str::to_owned))
}

/// Reads a service error, also from a response with status 200: S3 sends the status of a long operation before
/// its end.
pub(super) fn read(answer: &Response<Bytes>) -> Option<ServiceError> {
    if answer.status().is_success() && !contains_error(answer) {
        return None;
    }
    let (code, message) = service_error::code_and_message(answer);
    let (kind, decision) = (kind(answer.status().as_u16(), &code), decision_of_code(answer.status(), &code));
    let service_error = ServiceError::new(answer, code, &message);
    Some(ServiceError { kind, decision, explanation: explanation(&service_error), ..service_error })
}

/// Reads the service error of a completion. After a conflict the whole upload must be repeated:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.
pub(super) fn read_completion(answer: &Response<Bytes>) -> Option<ServiceError> {
    let service_error = read(answer)?;
    let is_conflict = service_error.code == "ConditionalRequestConflict";
    Some(if is_conflict { ServiceError { decision: RetryDecision::Final, ..service_error } } else { service_error })
}

fn contains_error(answer: &Response<Bytes>) -> bool {
    let head = &answer.body()[..answer.body().len().min(1024)];
    head.windows(7).any(|part| part == b"<Error>")
}

fn decision_of_code(status: StatusCode, code: &str) -> RetryDecision {
    match (status.as_u16(), code) {
        // A function that an S3-compatible store does not have.
        (501, _) => RetryDecision::Final,
        (
            _,
            "SlowDown"
            | "RequestTimeout"
            | "RequestTimeTooSkewed"
            | "BadDigest"
            | "IncompleteBody"
            | "XAmzContentSHA256Mismatch",
        )
        | (_, "ConditionalRequestConflict" | "OperationAborted" | "TooManyRequests")
        | (429, _) => RetryDecision::Throttled { after: None },
        (_, "InternalError" | "ServiceUnavailable") | (500.., _) => RetryDecision::Failed,
        _ => RetryDecision::Final,
    }
}

fn kind(status: u16, code: &str) -> ErrorKind {
    match code {
        // The response to HEAD, which has no body.
        "" if status == 400 => ErrorKind::Unauthenticated,
        "NotSignedUp"
        | "AuthorizationHeaderMalformed"
        | "AuthorizationQueryParametersError"
        | "MissingSecurityHeader" => ErrorKind::Unauthenticated,
        "EntityTooLarge" | "KeyTooLongError" | "MetadataTooLarge" => ErrorKind::TooLarge,
        "InvalidObjectState" | "MethodNotAllowed" => ErrorKind::Unsupported,
        "InvalidURI" | "EntityTooSmall" => ErrorKind::InvalidInput,
        "NoSuchUpload"
        | "OperationAborted"
        | "BadDigest"
        | "IncompleteBody"
        | "XAmzContentSHA256Mismatch"
        | "TemporaryRedirect" => ErrorKind::Unavailable,
        code if code.starts_with("KMS.") || (300..=399).contains(&status) => ErrorKind::Config,
        _ => match classify(code, status) {
            // `rejection` has the kinds of errors of objects and buckets.
            ErrorClass::Missing | ErrorClass::Conflict => ErrorKind::Internal,
            class => class.kind(),
        },
    }
}

fn explanation(service_error: &ServiceError) -> String {
    let ServiceError { code, message, .. } = service_error;
    let next_step = match code.as_str() {
        "AccessDenied" => {
            "; allow the action in the role's policy, and s3:ListBucket, without which S3 returns this for an absent object"
        }
        "RequestTimeTooSkewed" => "; set the machine's clock",
        "ExpiredToken" | "TokenRefreshRequired" => "; get new credentials",
        "InvalidObjectState" => "; restore the object from its archive first",
        "NoSuchUpload" => "; the multipart upload was completed, aborted or has expired: write the object again",
        _ => "",
    };
    let status = service_error.status().as_u16();
    match (code.is_empty(), status) {
        (false, _) => format!("S3 returned {code}: {message}{next_step}"),
        (true, 400) => "S3 returned status 400 without a reason: check whether the credentials have expired".to_owned(),
        (true, _) => format!("S3 returned status {status} without a reason"),
    }
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::Origin;
    use object_store::{PutMode, UpdateVersion};

    use super::*;

    fn answer(status: u16, code: &str) -> Response<Bytes> {
        let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>m</Message><X>y</X></Error>");
        Response::builder().status(status).body(body.into()).unwrap()
    }

    fn classified(answer: &Response<Bytes>) -> (ErrorKind, RetryDecision, String) {
        let error = rejection(answer).error(&PutMode::Overwrite);
        (error.kind(), decide(answer), error.message().to_owned())
    }

    fn rejection(answer: &Response<Bytes>) -> ObjectError {
        super::rejection(&read(answer).unwrap(), "pages", "eu-west-1")
    }

    fn decide(answer: &Response<Bytes>) -> RetryDecision {
        read(answer).unwrap().decision
    }

    const THROTTLED: RetryDecision = RetryDecision::Throttled { after: None };

    #[test]
    fn codes_are_kinds_and_decisions() {
        let throttled = ErrorKind::Throttled;
        for (status, code, kind, decision) in [
            (403, "AccessDenied", ErrorKind::PermissionDenied, RetryDecision::Final),
            (403, "InvalidAccessKeyId", ErrorKind::Unauthenticated, RetryDecision::Final),
            (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated, RetryDecision::Final),
            (400, "ExpiredToken", ErrorKind::Unauthenticated, RetryDecision::Final),
            (404, "NoSuchKey", ErrorKind::NotFound, RetryDecision::Final),
            (404, "NoSuchVersion", ErrorKind::NotFound, RetryDecision::Final),
            (412, "PreconditionFailed", ErrorKind::Conflict, RetryDecision::Final),
            (416, "InvalidRange", ErrorKind::InvalidInput, RetryDecision::Final),
            (400, "EntityTooLarge", ErrorKind::TooLarge, RetryDecision::Final),
            (503, "SlowDown", throttled, THROTTLED),
            (500, "InternalError", ErrorKind::Unavailable, RetryDecision::Failed),
            (503, "ServiceUnavailable", ErrorKind::Unavailable, RetryDecision::Failed),
            (400, "RequestTimeout", ErrorKind::Unavailable, THROTTLED),
            (501, "NotImplemented", ErrorKind::Unsupported, RetryDecision::Final),
            (409, "ConditionalRequestConflict", ErrorKind::Conflict, THROTTLED),
            (418, "Teapot", ErrorKind::Internal, RetryDecision::Final),
            (200, "InternalError", ErrorKind::Unavailable, RetryDecision::Failed),
        ] {
            let (found, decided, message) = classified(&answer(status, code));
            assert_eq!((found, decided), (kind, decision), "{status} {code}");
            assert!(!message.is_empty());
        }
    }

    #[test]
    fn missing_bucket_is_distinguished_from_missing_object() {
        let update = PutMode::Update(UpdateVersion { e_tag: None, version: None });
        let of = |answer: &Response<Bytes>| rejection(answer).error(&update);
        let missing = of(&answer(404, "NoSuchBucket"));
        assert_eq!(
            (missing.kind(), missing.with_origin(Origin::Service).origin()),
            (ErrorKind::NotFound, Origin::Service)
        );
        assert!(classified(&answer(404, "NoSuchBucket")).2.contains("no bucket `pages` in S3: create it"));
        assert_eq!(of(&answer(404, "NoSuchKey")).kind(), ErrorKind::Conflict);
        let head = Response::builder().status(404).body(Bytes::new()).unwrap();
        assert!(matches!(rejection(&head), ObjectError::NoObjectOr(bucket) if bucket == "bucket `pages`"));
    }

    #[test]
    fn bucket_in_another_region_is_a_config_error_with_the_region() {
        let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-east-2</Region></Error>";
        let malformed = Response::builder().status(400).body(malformed.into()).unwrap();
        let header = |status| Response::builder().status(status).header("x-amz-bucket-region", "us-east-2");
        let head = header(301).body(Bytes::new()).unwrap();
        for response in [malformed, head, header(400).body(Bytes::new()).unwrap()] {
            let (kind, decision, message) = classified(&response);
            assert_eq!((kind, decision), (ErrorKind::Config, RetryDecision::Final));
            assert!(message.contains("s3://pages?region=us-east-2"), "{message}");
        }
        let here = Response::builder().status(400).header("x-amz-bucket-region", "eu-west-1");
        assert_eq!(classified(&here.body(Bytes::new()).unwrap()).0, ErrorKind::Unauthenticated);
    }

    #[test]
    fn success_is_no_service_error() {
        let copied = Response::new("<CopyObjectResult><ETag>\"1\"</ETag></CopyObjectResult>".into());
        assert!(read(&copied).is_none());
    }

    #[test]
    fn conflict_at_completion_is_final() {
        let conflict = answer(409, "ConditionalRequestConflict");
        let of_completion = |answer| read_completion(answer).unwrap().decision;
        assert_eq!((decide(&conflict), of_completion(&conflict)), (THROTTLED, RetryDecision::Final));
        assert_eq!(of_completion(&answer(503, "SlowDown")), THROTTLED);
    }
}
