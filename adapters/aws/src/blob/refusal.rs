//! What the errors of S3 mean.
//!
//! Source: S3's list of error codes, <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind};
use isobar_rest::{Judgement, Refusals};
use serde::Deserialize;

/// What an error of S3 says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Told {
    code: String,
    message: String,
    region: Option<String>,
}

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

    /// Is this answer the last word?
    pub(super) fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        told(answer).map_or(Judgement::Final, |told| judge(answer.status(), &told.code))
    }

    fn error(&self, request: &Parts, answer: &Response<Bytes>, told: &Told) -> Error {
        let condition = Condition::of(request);
        match (answer.status().as_u16(), told.code.as_str()) {
            (_, "NoSuchBucket") => self.no_bucket(),
            (_, "InvalidBucketName") => Error::config(format!("S3 takes no bucket named `{}`", self.bucket)),
            (_, "NoSuchKey") if condition == Condition::Version && !request.method.is_safe() => {
                Error::conflict("the object is gone")
            }
            (_, "NoSuchKey") => Error::not_found("no such object"),
            // An answer to HEAD has no body, and so no code.
            (404, "") => Error::not_found(format!("no such object, or no bucket `{}`", self.bucket)),
            (412, _) if condition == Condition::Absent => Error::already_exists("an object with this key exists"),
            (412, _) => Error::conflict("the object is not in the version that was expected"),
            (409, "ConditionalRequestConflict") => Error::conflict("another write of this key came in between"),
            (416, _) => Error::invalid("the range holds no byte of the object"),
            (301 | 400, _) if self.elsewhere(answer, told).is_some() => self.wrong_region(answer, told),
            (status, code) => Error::new(kind(status, code), message(status, told)),
        }
    }

    fn no_bucket(&self) -> Error {
        let Self { bucket, region } = self;
        Error::not_found(format!(
            "no bucket `{bucket}` in S3: create it, as with `aws s3 mb s3://{bucket} --region {region}`"
        ))
    }

    /// The bucket's region, if it is not ours.
    fn elsewhere(&self, answer: &Response<Bytes>, told: &Told) -> Option<String> {
        let header = answer.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        let region = told.region.as_deref().or(header)?;
        (region != self.region).then(|| region.to_owned())
    }

    fn wrong_region(&self, answer: &Response<Bytes>, told: &Told) -> Error {
        let Self { bucket, region } = self;
        let right = self.elsewhere(answer, told).unwrap_or_default();
        Error::config(format!(
            "the bucket `{bucket}` is in the region {right}, not in {region}: set AWS_REGION={right}, or give it the URL \
             `s3://{bucket}?region={right}`"
        ))
    }
}

impl Refusals for S3Refusals {
    fn explain(&self, request: &Parts, answer: &Response<Bytes>) -> Option<(Error, Judgement)> {
        // An answer to a condition of a read that `object_store` knows itself.
        if answer.status() == StatusCode::NOT_MODIFIED {
            return None;
        }
        let told = told(answer)?;
        Some((self.error(request, answer, &told), judge(answer.status(), &told.code)))
    }

    /// A copy begins its answer before it is done:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>.
    fn hides(&self, request: &Parts) -> bool {
        request.headers.contains_key("x-amz-copy-source")
    }
}

/// What an answer says of an error; `None` where it is none.
fn told(answer: &Response<Bytes>) -> Option<Told> {
    let told = std::str::from_utf8(answer.body()).ok().filter(|body| body.contains("<Error>"));
    match told.and_then(|body| quick_xml::de::from_str(body).ok()) {
        None if answer.status().is_success() => None,
        told => Some(told.unwrap_or_default()),
    }
}

fn judge(status: StatusCode, code: &str) -> Judgement {
    match (status.as_u16(), code) {
        // A function that a store of S3's kind does not have.
        (501, _) => Judgement::Final,
        (_, "SlowDown" | "RequestTimeout" | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch")
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

fn message(status: u16, told: &Told) -> String {
    let Told { code, message, .. } = told;
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
        let mut request = Request::builder().method(method).uri("https://pages.s3.eu-west-1.amazonaws.com/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let (error, judgement) = S3Refusals::new("pages", "eu-west-1").explain(&parts, answer).unwrap();
        assert!(!error.outcome_unknown());
        (error.kind(), judgement, error.message().to_owned())
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
        let head = Response::builder().status(404).body(Bytes::new()).unwrap();
        assert!(explained(Method::HEAD, &[], &head).2.contains("`pages`"));
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
    fn a_success_is_no_error_and_not_modified_is_left_alone() {
        let (parts, ()) = Request::put("/a").body(()).unwrap().into_parts();
        let copied = "<CopyObjectResult><ETag>\"1\"</ETag></CopyObjectResult>";
        let refusals = S3Refusals::new("pages", "eu-west-1");
        assert!(refusals.explain(&parts, &Response::new(copied.into())).is_none());
        let unchanged = Response::builder().status(304).body(Bytes::new()).unwrap();
        assert!(refusals.explain(&parts, &unchanged).is_none());
    }
}
