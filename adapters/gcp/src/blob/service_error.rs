//! The meaning of Cloud Storage's service errors.
//!
//! Source: <https://cloud.google.com/storage/docs/json_api/v1/status-codes>

use isobar_abstraction::{Error, ErrorKind};
use isobar_rest::ServiceError;
use isobar_rest::object::ObjectError;
use object_store::PutMode;

/// The missing resource of a response with 404, whose reason is the same for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Object,
    Bucket,
    /// The response does not distinguish them, as those of emulators.
    Either,
}

impl Missing {
    /// `None` for a response of another status.
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

/// The error of a call for an object under the condition `mode`.
pub(super) fn error(bucket: &str, mode: &PutMode, service_error: &ServiceError) -> Error {
    let refused = match (service_error.status().as_u16(), Missing::of(service_error)) {
        (_, Some(Missing::Bucket)) => no_bucket(bucket),
        (_, Some(Missing::Object)) => ObjectError::NoObject,
        (_, Some(Missing::Either)) => ObjectError::NoObjectOr(format!("bucket `{bucket}`")),
        (412, _) => ObjectError::PreconditionFailed,
        (416, _) => ObjectError::EmptyRange,
        (413, _) => ObjectError::Other(
            ErrorKind::TooLarge,
            "the object is larger than 5 TiB, the limit of Cloud Storage".to_owned(),
        ),
        _ => ObjectError::Other(service_error.kind, service_error.explanation.clone()),
    };
    service_error.mark_uncertain(refused.error(mode))
}

/// The error of a call that creates an object: only the bucket can be missing.
pub(super) fn error_of_write(bucket: &str, mode: &PutMode, service_error: &ServiceError) -> Error {
    match Missing::of(service_error) {
        Some(Missing::Either) => service_error.mark_uncertain(no_bucket(bucket).error(mode)),
        _ => error(bucket, mode, service_error),
    }
}

pub(super) fn no_bucket(bucket: &str) -> ObjectError {
    ObjectError::NoBucket(format!(
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

    fn json_error(status: u16, reason: &str, message: &str) -> ServiceError {
        let error = serde_json::json!({"code": status, "message": message, "errors": [{"reason": reason}]});
        service_error(status, &serde_json::json!({ "error": error }).to_string())
    }

    #[test]
    fn status_and_reason_determine_the_kind() {
        let unauthorized = "Anonymous caller does not have storage.objects.get access";
        for (service_error, kind) in [
            (json_error(400, "invalid", "x"), ErrorKind::InvalidInput),
            (json_error(401, "required", unauthorized), ErrorKind::Unauthenticated),
            (json_error(403, "forbidden", "x"), ErrorKind::PermissionDenied),
            (json_error(403, "retentionPolicyNotMet", "x"), ErrorKind::PermissionDenied),
            (json_error(403, "rateLimitExceeded", "x"), ErrorKind::Throttled),
            (json_error(404, "notFound", "No such object: pages/a"), ErrorKind::NotFound),
            (json_error(408, "uploadBrokenConnection", "x"), ErrorKind::Timeout),
            (json_error(412, "conditionNotMet", "x"), ErrorKind::Conflict),
            (json_error(413, "uploadTooLarge", "x"), ErrorKind::TooLarge),
            (json_error(416, "requestedRangeNotSatisfiable", "x"), ErrorKind::InvalidInput),
            (json_error(429, "rateLimitExceeded", "x"), ErrorKind::Throttled),
            (json_error(500, "internalError", "x"), ErrorKind::Unavailable),
            (json_error(503, "backendError", "x"), ErrorKind::Unavailable),
            (json_error(504, "gatewayTimeout", "x"), ErrorKind::Timeout),
        ] {
            let status = service_error.status();
            assert_eq!(error("pages", &PutMode::Overwrite, &service_error).kind(), kind, "{status}");
        }
    }

    #[test]
    fn an_uncertain_service_error_has_an_unknown_outcome() {
        let uncertain = ServiceError { uncertain: true, ..json_error(412, "conditionNotMet", "x") };
        let error = error("pages", &PutMode::Create, &uncertain);
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::AlreadyExists, true));
    }

    #[test]
    fn the_error_of_a_missing_bucket_says_how_to_create_it() {
        let bucket = json_error(404, "notFound", "The specified bucket does not exist.");
        let xml = "<?xml version='1.0'?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not \
                   exist.</Message></Error>";
        for missing in [bucket, service_error(404, xml)] {
            assert_eq!(Missing::of(&missing), Some(Missing::Bucket));
            let error = error("pages", &PutMode::Create, &missing);
            assert!(error.kind() == ErrorKind::NotFound && error.message().contains("gs://pages"), "{error}");
        }
        let silent = json_error(404, "notFound", "Not Found");
        assert_eq!(Missing::of(&silent), Some(Missing::Either));
        assert!(error_of_write("pages", &PutMode::Create, &silent).message().contains("gs://pages"));
        let xml = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";
        assert_eq!(Missing::of(&service_error(404, xml)), Some(Missing::Object));
        assert_eq!(Missing::of(&json_error(403, "forbidden", "No such object")), None);
    }
}
