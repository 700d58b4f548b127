//! What the errors of Cloud Storage mean.
//!
//! Source: <https://cloud.google.com/storage/docs/json_api/v1/status-codes>

use isobar_abstraction::{Error, ErrorKind};
use isobar_rest::ServiceError;
use isobar_rest::object::Refused;
use object_store::PutMode;

/// What is missing, by an answer of 404. Its reason is one word for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Object,
    Bucket,
    /// It does not say, as emulators do not.
    Either,
}

impl Missing {
    /// `None`, where the answer is another.
    pub(super) fn of(service_error: &ServiceError) -> Option<Self> {
        if service_error.status() != http::StatusCode::NOT_FOUND {
            return None;
        }
        let says = |what: &str| service_error.message.contains(what) || service_error.code == what;
        Some(match () {
            () if says("bucket does not exist") || says("NoSuchBucket") => Self::Bucket,
            () if service_error.message.starts_with("No such object") || says("NoSuchKey") => Self::Object,
            () if says("specified key does not exist") => Self::Object,
            () => Self::Either,
        })
    }
}

/// The error of a call for an object, which was to meet `mode`.
pub(super) fn error(bucket: &str, mode: &PutMode, service_error: &ServiceError) -> Error {
    let refused = match (service_error.status().as_u16(), Missing::of(service_error)) {
        (_, Some(Missing::Bucket)) => no_bucket(bucket),
        (_, Some(Missing::Object)) => Refused::NoObject,
        (_, Some(Missing::Either)) => Refused::NoObjectOr(format!("bucket `{bucket}`")),
        (412, _) => Refused::Unmet,
        (416, _) => Refused::EmptyRange,
        (413, _) => Refused::Other(ErrorKind::TooLarge, "Cloud Storage takes no object of more than 5 TiB".to_owned()),
        _ => Refused::Other(service_error.kind, service_error.explanation.clone()),
    };
    service_error.as_error(refused.error(mode))
}

/// The error of a call that makes an object: what is missing then is the bucket.
pub(super) fn error_of_write(bucket: &str, mode: &PutMode, service_error: &ServiceError) -> Error {
    match Missing::of(service_error) {
        Some(Missing::Either) => service_error.as_error(no_bucket(bucket).error(mode)),
        _ => error(bucket, mode, service_error),
    }
}

pub(super) fn no_bucket(bucket: &str) -> Refused {
    Refused::NoBucket(format!(
        "no bucket `{bucket}` in Cloud Storage: create it, as with `gcloud storage buckets create gs://{bucket}`"
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;

    use super::*;
    use crate::service;

    fn service_error(status: u16, body: &str) -> ServiceError {
        let answer = Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap();
        service::service_error::read(&answer, "the bucket `pages`").unwrap()
    }

    fn told(status: u16, reason: &str, message: &str) -> ServiceError {
        let error = serde_json::json!({"code": status, "message": message, "errors": [{"reason": reason}]});
        service_error(status, &serde_json::json!({ "error": error }).to_string())
    }

    #[test]
    fn errors_are_told_apart_by_status_and_reason() {
        let unauthorized = "Anonymous caller does not have storage.objects.get access";
        for (service_error, kind) in [
            (told(400, "invalid", "x"), ErrorKind::InvalidInput),
            (told(401, "required", unauthorized), ErrorKind::Unauthenticated),
            (told(403, "forbidden", "x"), ErrorKind::PermissionDenied),
            (told(403, "retentionPolicyNotMet", "x"), ErrorKind::PermissionDenied),
            (told(403, "rateLimitExceeded", "x"), ErrorKind::Throttled),
            (told(404, "notFound", "No such object: pages/a"), ErrorKind::NotFound),
            (told(408, "uploadBrokenConnection", "x"), ErrorKind::Timeout),
            (told(412, "conditionNotMet", "x"), ErrorKind::Conflict),
            (told(413, "uploadTooLarge", "x"), ErrorKind::TooLarge),
            (told(416, "requestedRangeNotSatisfiable", "x"), ErrorKind::InvalidInput),
            (told(429, "rateLimitExceeded", "x"), ErrorKind::Throttled),
            (told(500, "internalError", "x"), ErrorKind::Unavailable),
            (told(503, "backendError", "x"), ErrorKind::Unavailable),
            (told(504, "gatewayTimeout", "x"), ErrorKind::Timeout),
        ] {
            let status = service_error.status();
            assert_eq!(error("pages", &PutMode::Overwrite, &service_error).kind(), kind, "{status}");
        }
    }

    #[test]
    fn a_service_error_of_what_may_have_been_applied_says_so() {
        let uncertain = ServiceError { uncertain: true, ..told(412, "conditionNotMet", "x") };
        let error = error("pages", &PutMode::Create, &uncertain);
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::AlreadyExists, true));
    }

    #[test]
    fn a_missing_bucket_is_named_and_the_way_to_make_it() {
        let bucket = told(404, "notFound", "The specified bucket does not exist.");
        let xml = "<?xml version='1.0'?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not \
                   exist.</Message></Error>";
        for missing in [bucket, service_error(404, xml)] {
            assert_eq!(Missing::of(&missing), Some(Missing::Bucket));
            let error = error("pages", &PutMode::Create, &missing);
            assert!(error.kind() == ErrorKind::NotFound && error.message().contains("gs://pages"), "{error}");
        }
        let silent = told(404, "notFound", "Not Found");
        assert_eq!(Missing::of(&silent), Some(Missing::Either));
        assert!(error_of_write("pages", &PutMode::Create, &silent).message().contains("gs://pages"));
        let xml = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";
        assert_eq!(Missing::of(&service_error(404, xml)), Some(Missing::Object));
        assert_eq!(Missing::of(&told(403, "forbidden", "No such object")), None);
    }
}
