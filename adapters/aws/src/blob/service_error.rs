//! What the errors of S3 mean.
//!
//! Source: S3's list of error codes, <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::ErrorKind;
use isobar_rest::object::Refused;
use isobar_rest::{RetryDecision, ServiceError};
use serde::Deserialize;

use crate::service_error;
use crate::service_error::code::{Meaning, meaning};

/// What was refused, of a bucket in a region.
pub(super) fn refused(service_error: &ServiceError, bucket: &str, region: &str) -> Refused {
    let config = |message| Refused::Other(ErrorKind::Config, message);
    match (service_error.status().as_u16(), service_error.code.as_str()) {
        (_, "NoSuchBucket") => Refused::NoBucket(format!(
            "no bucket `{bucket}` in S3: create it, as with `aws s3 mb s3://{bucket} --region {region}`"
        )),
        (_, "InvalidBucketName") => config(format!("S3 takes no bucket named `{bucket}`")),
        (_, "NoSuchKey" | "NoSuchVersion") => Refused::NoObject,
        // An answer to HEAD has no body, and so no code: it may be the bucket that is missing. Most often
        // it is the object; every other call to a missing bucket says so.
        (404, "") => Refused::NoObjectOr(format!("bucket `{bucket}`")),
        (412, _) => Refused::Unmet,
        (409, "ConditionalRequestConflict") => Refused::Overtaken("another write of this key came in between"),
        (416, _) => Refused::EmptyRange,
        (301, _) | (400, "" | "AuthorizationHeaderMalformed")
            if let Some(right) = region_of(&service_error.answer).filter(|right| right.as_str() != region) =>
        {
            config(format!(
                "the bucket `{bucket}` is in the region {right}, not in {region}: set AWS_REGION={right}, or give it the \
                 URL `s3://{bucket}?region={right}`"
            ))
        }
        _ => Refused::Other(service_error.kind, service_error.explanation.clone()),
    }
}

/// The bucket's region, where the answer has it.
fn region_of(answer: &Response<Bytes>) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Told {
        region: Option<String>,
    }
    let told = std::str::from_utf8(answer.body()).ok().and_then(|body| quick_xml::de::from_str::<Told>(body).ok());
    let header = answer.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
    told.and_then(|told| told.region).or_else(|| header.map(str::to_owned))
}

/// Reads what an answer refuses; one may come behind a success, in an answer that began before the work was done.
pub(super) fn read(answer: &Response<Bytes>) -> Option<ServiceError> {
    if answer.status().is_success() && !contains_error(answer) {
        return None;
    }
    let (code, message) = service_error::code_and_message(answer);
    let (kind, decision) = (kind(answer.status().as_u16(), &code), decision_of_code(answer.status(), &code));
    let service_error = ServiceError::new(answer, code, &message);
    Some(ServiceError { kind, decision, explanation: explained(&service_error), ..service_error })
}

/// After a conflict the upload must be made anew:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.
pub(super) fn read_completion(answer: &Response<Bytes>) -> Option<ServiceError> {
    let service_error = read(answer)?;
    let lost = service_error.code == "ConditionalRequestConflict";
    Some(if lost { ServiceError { decision: RetryDecision::Final, ..service_error } } else { service_error })
}

fn contains_error(answer: &Response<Bytes>) -> bool {
    let head = &answer.body()[..answer.body().len().min(1024)];
    head.windows(7).any(|part| part == b"<Error>")
}

fn decision_of_code(status: StatusCode, code: &str) -> RetryDecision {
    match (status.as_u16(), code) {
        // A function that a store of S3's kind does not have.
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
        // An answer to HEAD, which has no body.
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
        _ => match meaning(code, status) {
            // Of objects and buckets `refused` says more.
            Meaning::Missing | Meaning::Conflict => ErrorKind::Internal,
            meaning => meaning.kind(),
        },
    }
}

fn explained(service_error: &ServiceError) -> String {
    let ServiceError { code, message, .. } = service_error;
    let next = match code.as_str() {
        "AccessDenied" => {
            "; allow it in the role's policy, and s3:ListBucket too, without which S3 answers so for an absent object"
        }
        "RequestTimeTooSkewed" => "; set the machine's clock",
        "ExpiredToken" | "TokenRefreshRequired" => "; get new credentials",
        "InvalidObjectState" => "; restore the object from its archive first",
        "NoSuchUpload" => "; the multipart write was completed, aborted or expired: write the object anew",
        _ => "",
    };
    let status = service_error.status().as_u16();
    match (code.is_empty(), status) {
        (false, _) => format!("S3 answered {code}: {message}{next}"),
        (true, 400) => "S3 answered 400, without a reason: the credentials may have expired".to_owned(),
        (true, _) => format!("S3 answered {status}, without a reason"),
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

    fn explained(answer: &Response<Bytes>) -> (ErrorKind, RetryDecision, String) {
        let error = refused(answer).error(&PutMode::Overwrite);
        (error.kind(), decide(answer), error.message().to_owned())
    }

    fn refused(answer: &Response<Bytes>) -> Refused {
        super::refused(&read(answer).unwrap(), "pages", "eu-west-1")
    }

    fn decide(answer: &Response<Bytes>) -> RetryDecision {
        read(answer).unwrap().decision
    }

    const REFUSED: RetryDecision = RetryDecision::Throttled { after: None };

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
            (503, "SlowDown", throttled, REFUSED),
            (500, "InternalError", ErrorKind::Unavailable, RetryDecision::Failed),
            (503, "ServiceUnavailable", ErrorKind::Unavailable, RetryDecision::Failed),
            (400, "RequestTimeout", ErrorKind::Unavailable, REFUSED),
            (501, "NotImplemented", ErrorKind::Unsupported, RetryDecision::Final),
            (409, "ConditionalRequestConflict", ErrorKind::Conflict, REFUSED),
            (418, "Teapot", ErrorKind::Internal, RetryDecision::Final),
            (200, "InternalError", ErrorKind::Unavailable, RetryDecision::Failed),
        ] {
            let (found, decided, message) = explained(&answer(status, code));
            assert_eq!((found, decided), (kind, decision), "{status} {code}");
            assert!(!message.is_empty());
        }
    }

    #[test]
    fn a_missing_bucket_is_named_and_told_apart_from_a_missing_object() {
        let update = PutMode::Update(UpdateVersion { e_tag: None, version: None });
        let of = |answer: &Response<Bytes>| refused(answer).error(&update);
        let missing = of(&answer(404, "NoSuchBucket"));
        assert_eq!(
            (missing.kind(), missing.with_origin(Origin::Service).origin()),
            (ErrorKind::NotFound, Origin::Service)
        );
        assert!(explained(&answer(404, "NoSuchBucket")).2.contains("no bucket `pages` in S3: create it"));
        assert_eq!(of(&answer(404, "NoSuchKey")).kind(), ErrorKind::Conflict);
        let head = Response::builder().status(404).body(Bytes::new()).unwrap();
        assert!(matches!(refused(&head), Refused::NoObjectOr(bucket) if bucket == "bucket `pages`"));
    }

    #[test]
    fn a_bucket_elsewhere_is_config_and_its_region_is_named() {
        let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-east-2</Region></Error>";
        let malformed = Response::builder().status(400).body(malformed.into()).unwrap();
        let header = |status| Response::builder().status(status).header("x-amz-bucket-region", "us-east-2");
        let head = header(301).body(Bytes::new()).unwrap();
        for elsewhere in [malformed, head, header(400).body(Bytes::new()).unwrap()] {
            let (kind, decision, message) = explained(&elsewhere);
            assert_eq!((kind, decision), (ErrorKind::Config, RetryDecision::Final));
            assert!(message.contains("s3://pages?region=us-east-2"), "{message}");
        }
        let here = Response::builder().status(400).header("x-amz-bucket-region", "eu-west-1");
        assert_eq!(explained(&here.body(Bytes::new()).unwrap()).0, ErrorKind::Unauthenticated);
    }

    #[test]
    fn a_success_is_no_error() {
        let copied = Response::new("<CopyObjectResult><ETag>\"1\"</ETag></CopyObjectResult>".into());
        assert!(read(&copied).is_none());
    }

    #[test]
    fn a_conflict_ends_an_upload() {
        let conflict = answer(409, "ConditionalRequestConflict");
        let of_completion = |answer| read_completion(answer).unwrap().decision;
        assert_eq!((decide(&conflict), of_completion(&conflict)), (REFUSED, RetryDecision::Final));
        assert_eq!(of_completion(&answer(503, "SlowDown")), REFUSED);
    }
}
