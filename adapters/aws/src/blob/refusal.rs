//! What the errors of S3 mean.
//!
//! Source: S3's list of error codes, <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Origin};
use isobar_rest::{Judgement, Refusal, unknown};
use serde::Deserialize;

use crate::service::refusal;

/// The errors of one bucket.
#[derive(Debug, Clone)]
pub(super) struct S3Refusals {
    bucket: String,
    region: String,
}

/// What a request wanted to find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Nothing,
    /// `If-None-Match: *` of a write.
    Absent,
    /// `If-Match`.
    Version,
}

impl Condition {
    fn of(request: &Parts) -> Self {
        let headers = &request.headers;
        match (headers.contains_key("if-match"), headers.contains_key("if-none-match")) {
            (true, _) => Self::Version,
            (_, true) if !request.method.is_safe() => Self::Absent,
            _ => Self::Nothing,
        }
    }
}

impl S3Refusals {
    pub(super) fn new(bucket: &str, region: &str) -> Self {
        Self { bucket: bucket.to_owned(), region: region.to_owned() }
    }

    /// The error of a refusal.
    pub(super) fn error(&self, request: &Parts, refusal: Refusal) -> Error {
        let uncertain = refusal.uncertain;
        unknown(self.known(request, refusal), uncertain)
    }

    fn known(&self, request: &Parts, refusal: Refusal) -> Error {
        let condition = Condition::of(request);
        match (refusal.status().as_u16(), refusal.code.as_str()) {
            (_, "NoSuchBucket") => self.no_bucket(),
            (_, "InvalidBucketName") => Error::config(format!("S3 takes no bucket named `{}`", self.bucket)),
            (_, "NoSuchKey") if condition == Condition::Version && !request.method.is_safe() => {
                Error::conflict("the object is gone")
            }
            (_, "NoSuchKey" | "NoSuchVersion") => Error::not_found("no such object").with_origin(Origin::Data),
            // An answer to HEAD has no body, and so no code: it may be the bucket that is missing. Most often
            // it is the object; every other call to a missing bucket says so.
            (404, "") => {
                let message = format!("no such object, or no bucket `{}`", self.bucket);
                Error::not_found("no such object").with_origin(Origin::Data).with_source(Error::not_found(message))
            }
            (412, _) if condition == Condition::Absent => Error::already_exists("an object with this key exists"),
            (412, _) => Error::conflict("the object is not in the version that was expected"),
            (409, "ConditionalRequestConflict") => Error::conflict("another write of this key came in between"),
            (416, _) => Error::invalid("the range holds no byte of the object").with_origin(Origin::Data),
            (301 | 400, _) => match self.elsewhere(&refusal.answer) {
                Some(region) => self.wrong_region(&region),
                None => refusal.into(),
            },
            _ => refusal.into(),
        }
    }

    fn no_bucket(&self) -> Error {
        let Self { bucket, region } = self;
        Error::not_found(format!(
            "no bucket `{bucket}` in S3: create it, as with `aws s3 mb s3://{bucket} --region {region}`"
        ))
    }

    /// The bucket's region, if it is not ours.
    fn elsewhere(&self, answer: &Response<Bytes>) -> Option<String> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Told {
            region: Option<String>,
        }
        let told = std::str::from_utf8(answer.body()).ok().and_then(|body| quick_xml::de::from_str::<Told>(body).ok());
        let header = answer.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        let region = told.and_then(|told| told.region).or_else(|| header.map(str::to_owned))?;
        (region != self.region).then_some(region)
    }

    fn wrong_region(&self, right: &str) -> Error {
        let Self { bucket, region } = self;
        Error::config(format!(
            "the bucket `{bucket}` is in the region {right}, not in {region}: set AWS_REGION={right}, or give it the URL \
             `s3://{bucket}?region={right}`"
        ))
    }
}

/// Reads what an answer refuses; one may come behind a success, in an answer that began before the work was done.
pub(super) fn read(answer: &Response<Bytes>) -> Option<Refusal> {
    if answer.status().is_success() && !contains_error(answer) {
        return None;
    }
    let (code, message) = refusal::told(answer);
    let (kind, judgement) = (kind(answer.status().as_u16(), &code), judge_code(answer.status(), &code));
    let refusal = Refusal::new(answer, code, &message);
    Some(Refusal { kind, judgement, explanation: explained(&refusal), ..refusal })
}

/// After a conflict the upload must be made anew:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.
pub(super) fn read_completion(answer: &Response<Bytes>) -> Option<Refusal> {
    let refusal = read(answer)?;
    let lost = refusal.code == "ConditionalRequestConflict";
    Some(if lost { Refusal { judgement: Judgement::Final, ..refusal } } else { refusal })
}

fn contains_error(answer: &Response<Bytes>) -> bool {
    let head = &answer.body()[..answer.body().len().min(1024)];
    head.windows(7).any(|part| part == b"<Error>")
}

fn judge_code(status: StatusCode, code: &str) -> Judgement {
    match (status.as_u16(), code) {
        // A function that a store of S3's kind does not have.
        (501, _) => Judgement::Final,
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
        | (429, _) => Judgement::Refused { after: None },
        (_, "InternalError" | "ServiceUnavailable") | (500.., _) => Judgement::Failed,
        _ => Judgement::Final,
    }
}

fn kind(status: u16, code: &str) -> ErrorKind {
    match code {
        "SlowDown" | "TooManyRequests" => ErrorKind::Throttled { retry_after: None },
        // An answer to HEAD, which has no body.
        "" if status == 400 => ErrorKind::Unauthenticated,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "RequestTimeTooSkewed"
        | "InvalidSecurity"
        | "NotSignedUp"
        | "AuthorizationHeaderMalformed"
        | "AuthorizationQueryParametersError"
        | "MissingSecurityHeader" => ErrorKind::Unauthenticated,
        "EntityTooLarge" => ErrorKind::TooLarge { limit: LARGEST_PUT },
        "KeyTooLongError" => ErrorKind::TooLarge { limit: crate::profile::PROFILE.limits.object_key_bytes },
        "MetadataTooLarge" => ErrorKind::TooLarge { limit: crate::profile::PROFILE.limits.metadata_bytes },
        "InvalidObjectState" | "MethodNotAllowed" | "NotImplemented" => ErrorKind::Unsupported,
        "InvalidArgument" | "InvalidRequest" | "InvalidURI" | "EntityTooSmall" => ErrorKind::InvalidInput,
        // The first two also come in an answer that began as a success.
        "InternalError"
        | "ServiceUnavailable"
        | "NoSuchUpload"
        | "OperationAborted"
        | "RequestTimeout"
        | "BadDigest"
        | "IncompleteBody"
        | "XAmzContentSHA256Mismatch"
        | "TemporaryRedirect" => ErrorKind::Unavailable,
        code if code.starts_with("KMS.") => ErrorKind::Config,
        _ => match status {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            429 => ErrorKind::Throttled { retry_after: None },
            300..=399 => ErrorKind::Config,
            501 => ErrorKind::Unsupported,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
    }
}

/// The largest object that is written in one request: 5 GiB.
const LARGEST_PUT: u64 = 5 << 30;

fn explained(refusal: &Refusal) -> String {
    let Refusal { code, message, .. } = refusal;
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
    let status = refusal.status().as_u16();
    match (code.is_empty(), status) {
        (false, _) => format!("S3 answered {code}: {message}{next}"),
        (true, 400) => "S3 answered 400, without a reason: the credentials may have expired".to_owned(),
        (true, _) => format!("S3 answered {status}, without a reason"),
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::*;

    fn answer(status: u16, code: &str) -> Response<Bytes> {
        let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>m</Message><X>y</X></Error>");
        Response::builder().status(status).body(body.into()).unwrap()
    }

    fn explained(method: Method, headers: &[(&str, &str)], answer: &Response<Bytes>) -> (ErrorKind, Judgement, String) {
        let error = error(method, headers, answer);
        (error.kind(), judge(answer), error.message().to_owned())
    }

    fn error(method: Method, headers: &[(&str, &str)], answer: &Response<Bytes>) -> Error {
        let mut request = Request::builder().method(method).uri("https://pages.s3.eu-west-1.amazonaws.com/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let error = S3Refusals::new("pages", "eu-west-1").error(&parts, read(answer).unwrap());
        assert!(!error.outcome_unknown());
        error
    }

    fn judge(answer: &Response<Bytes>) -> Judgement {
        read(answer).unwrap().judgement
    }

    const REFUSED: Judgement = Judgement::Refused { after: None };

    #[test]
    fn codes_are_kinds_and_judgements() {
        let throttled = ErrorKind::Throttled { retry_after: None };
        for (status, code, kind, judgement) in [
            (403, "AccessDenied", ErrorKind::PermissionDenied, Judgement::Final),
            (403, "InvalidAccessKeyId", ErrorKind::Unauthenticated, Judgement::Final),
            (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated, Judgement::Final),
            (400, "ExpiredToken", ErrorKind::Unauthenticated, Judgement::Final),
            (404, "NoSuchKey", ErrorKind::NotFound, Judgement::Final),
            (404, "NoSuchVersion", ErrorKind::NotFound, Judgement::Final),
            (400, "EntityTooLarge", ErrorKind::TooLarge { limit: 5_368_709_120 }, Judgement::Final),
            (503, "SlowDown", throttled, REFUSED),
            (500, "InternalError", ErrorKind::Unavailable, Judgement::Failed),
            (503, "ServiceUnavailable", ErrorKind::Unavailable, Judgement::Failed),
            (400, "RequestTimeout", ErrorKind::Unavailable, REFUSED),
            (501, "NotImplemented", ErrorKind::Unsupported, Judgement::Final),
            (409, "ConditionalRequestConflict", ErrorKind::Conflict, REFUSED),
            (418, "Teapot", ErrorKind::Internal, Judgement::Final),
            (200, "InternalError", ErrorKind::Unavailable, Judgement::Failed),
        ] {
            let (found, judged, message) = explained(Method::PUT, &[], &answer(status, code));
            assert_eq!((found, judged), (kind, judgement), "{status} {code}");
            assert!(!message.is_empty());
        }
    }

    #[test]
    fn a_failed_condition_is_told_by_what_was_wanted() {
        let failed = answer(412, "PreconditionFailed");
        let (create, update) = ([("if-none-match", "*")], [("if-match", "\"1\"")]);
        assert_eq!(explained(Method::PUT, &create, &failed).0, ErrorKind::AlreadyExists);
        assert_eq!(explained(Method::POST, &create, &failed).0, ErrorKind::AlreadyExists);
        assert_eq!(explained(Method::PUT, &update, &failed).0, ErrorKind::Conflict);
        assert_eq!(explained(Method::GET, &update, &failed).0, ErrorKind::Conflict);
        let gone = answer(404, "NoSuchKey");
        assert_eq!(explained(Method::PUT, &update, &gone).0, ErrorKind::Conflict);
        assert_eq!(explained(Method::GET, &update, &gone).0, ErrorKind::NotFound);
    }

    #[test]
    fn a_missing_bucket_is_named_and_the_way_to_make_it() {
        let (kind, _, message) = explained(Method::PUT, &[("if-match", "\"1\"")], &answer(404, "NoSuchBucket"));
        assert_eq!(kind, ErrorKind::NotFound);
        assert!(message.contains("`pages`") && message.contains("create it"), "{message}");
    }

    #[test]
    fn a_missing_object_is_told_apart_from_a_missing_bucket() {
        let of = |method, answer: &Response<Bytes>| error(method, &[], answer).with_origin(Origin::Service).origin();
        assert_eq!(of(Method::GET, &answer(404, "NoSuchKey")), Origin::Data);
        assert_eq!(of(Method::GET, &answer(404, "NoSuchBucket")), Origin::Service);
        assert_eq!(of(Method::PUT, &answer(409, "BucketAlreadyExists")), Origin::Service);
        // The answer to HEAD has no code: a client sees the likely reason, the log both.
        let head = Response::builder().status(404).body(Bytes::new()).unwrap();
        assert_eq!(of(Method::HEAD, &head), Origin::Data);
        let error = error(Method::HEAD, &[], &head);
        assert!(!error.message().contains("pages") && format!("{error:?}").contains("`pages`"), "{error:?}");
    }

    #[test]
    fn a_bucket_elsewhere_is_config_and_its_region_is_named() {
        let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-east-2</Region></Error>";
        let malformed = Response::builder().status(400).body(malformed.into()).unwrap();
        let header = |status| Response::builder().status(status).header("x-amz-bucket-region", "us-east-2");
        let head = header(301).body(Bytes::new()).unwrap();
        for elsewhere in [malformed, head, header(400).body(Bytes::new()).unwrap()] {
            let (kind, judgement, message) = explained(Method::HEAD, &[], &elsewhere);
            assert_eq!((kind, judgement), (ErrorKind::Config, Judgement::Final));
            assert!(message.contains("s3://pages?region=us-east-2"), "{message}");
        }
        let here = Response::builder().status(400).header("x-amz-bucket-region", "eu-west-1");
        assert_eq!(explained(Method::HEAD, &[], &here.body(Bytes::new()).unwrap()).0, ErrorKind::Unauthenticated);
    }

    #[test]
    fn a_success_is_no_error() {
        let copied = Response::new("<CopyObjectResult><ETag>\"1\"</ETag></CopyObjectResult>".into());
        assert!(read(&copied).is_none());
    }

    #[test]
    fn a_conflict_ends_an_upload() {
        let conflict = answer(409, "ConditionalRequestConflict");
        let of_completion = |answer| read_completion(answer).unwrap().judgement;
        assert_eq!((judge(&conflict), of_completion(&conflict)), (REFUSED, Judgement::Final));
        assert_eq!(of_completion(&answer(503, "SlowDown")), REFUSED);
    }
}
