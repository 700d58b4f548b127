//! Service errors of Google's APIs: retry decision, kind and explanation.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::ErrorKind;
use isobar_rest::{RetryDecision, ServiceError};
use serde_json::Value;

/// The body of an error.
#[derive(Default)]
struct ErrorBody {
    /// The canonical code of Google's APIs.
    status: String,
    /// The first reason, which Cloud Storage sends instead of the code.
    reason: String,
    message: String,
    /// The delay in `RetryInfo`.
    delay: Option<Duration>,
}

impl ErrorBody {
    /// Reads `{"error": {"code", "status", "message", "errors": [{"reason"}], "details": [{"@type", "retryDelay"}]}}`,
    /// which streaming methods put into an array.
    fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return Self::of_xml(body) };
        let error = &value.get(0).unwrap_or(&value)["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut delays = error["details"].as_array().into_iter().flatten().filter_map(|detail| {
            let seconds = detail["retryDelay"].as_str()?.strip_suffix('s')?.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        });
        Self {
            status: text(&error["status"]),
            reason: text(&error["errors"][0]["reason"]),
            message: text(&error["message"]),
            delay: delays.next(),
        }
    }

    /// Reads an error of Cloud Storage's XML API.
    fn of_xml(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let within = |name: &str| {
            let (_, rest) = body.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0)
        };
        let reason = within("Code").unwrap_or_default().chars().take(100).collect();
        Self { reason, message: within("Message").unwrap_or_default().to_owned(), ..Self::default() }
    }
}

/// The service error of a response; `None` for a success. `resource` is the name of the resource in errors.
///
/// Its code is the canonical code of Google's APIs, such as `ABORTED`, or the reason of Cloud Storage, such as
/// `rateLimitExceeded`.
///
/// Sources: <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>; AIP-194 for what is retried;
/// Cloud Storage "Retry strategy".
pub(crate) fn read(answer: &Response<Bytes>, resource: &str) -> Option<ServiceError> {
    // With 308 Cloud Storage reports the progress of an upload.
    if answer.status().is_success() || answer.status() == StatusCode::PERMANENT_REDIRECT {
        return None;
    }
    let ErrorBody { status: reported, reason, message, delay: after } = ErrorBody::read(answer.body());
    let status = answer.status();
    // Cloud Storage and proxies send no canonical code.
    let canonical = if kind_of(&reported).is_some() { reported.as_str() } else { of_http(status.as_u16()) };
    let code = if reason.is_empty() || canonical == reported { canonical } else { &reason };
    let service_error = ServiceError::new(answer, code, &message);
    // Cloud Storage and IAM return 403 for some of their limits.
    let is_limited =
        canonical == "RESOURCE_EXHAUSTED" || ["rateLimitExceeded", "userRateLimitExceeded"].contains(&reason.as_str());
    let decision = match canonical {
        _ if is_limited => RetryDecision::Throttled { after },
        // Sent by the front end without forwarding the call, or by the service: the outcome is unknown.
        "UNAVAILABLE" | "INTERNAL" | "DEADLINE_EXCEEDED" | "UNKNOWN"
            if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT =>
        {
            RetryDecision::Failed
        }
        _ => RetryDecision::Final,
    };
    let kind = match kind_of(canonical) {
        _ if is_limited => ErrorKind::Throttled,
        _ if status == StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        kind => kind.unwrap_or(ErrorKind::Internal),
    };
    let explanation = explained(kind, status.as_u16(), &service_error.message, resource);
    Some(ServiceError { kind, decision, explanation, ..service_error })
}

fn explained(kind: ErrorKind, status: u16, message: &str, resource: &str) -> String {
    match kind {
        ErrorKind::Unauthenticated => format!(
            "{resource}: Google rejects the credentials ({status}): renew them, or check that this machine's clock \
             is right"
        ),
        ErrorKind::PermissionDenied => {
            format!("{resource}: {message} ({status}): grant the role to the account that runs this app")
        }
        ErrorKind::NotFound => {
            format!("{resource} does not exist ({status}): {message}: create it, isobar does not")
        }
        _ => format!("{resource}: {message} ({status})"),
    }
}

/// The kind of a canonical code; `None` for other text.
fn kind_of(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "ABORTED" | "FAILED_PRECONDITION" => ErrorKind::Conflict,
        "ALREADY_EXISTS" => ErrorKind::AlreadyExists,
        "CANCELLED" | "DATA_LOSS" | "UNKNOWN" => ErrorKind::Internal,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" => ErrorKind::InvalidInput,
        "NOT_FOUND" => ErrorKind::NotFound,
        "PERMISSION_DENIED" => ErrorKind::PermissionDenied,
        "RESOURCE_EXHAUSTED" => ErrorKind::Throttled,
        "UNAUTHENTICATED" => ErrorKind::Unauthenticated,
        "UNAVAILABLE" | "INTERNAL" => ErrorKind::Unavailable,
        "UNIMPLEMENTED" => ErrorKind::Unsupported,
        _ => return None,
    })
}

/// The canonical code of a status.
fn of_http(status: u16) -> &'static str {
    match status {
        400 | 411 | 413 | 414 | 415 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        412 => "FAILED_PRECONDITION",
        416 => "OUT_OF_RANGE",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        500..=599 => "INTERNAL",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> ServiceError {
        let answer = Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap();
        read(&answer, "the topic `clicks`").unwrap()
    }

    #[test]
    fn the_canonical_code_determines_the_kind() {
        let exists = answer(409, r#"{"error":{"code":409,"status":"ALREADY_EXISTS","message":"there"}}"#);
        let lost = answer(409, r#"[{"error":{"code":409,"status":"ABORTED","message":"contention"}}]"#);
        let stale = answer(400, r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"stale"}}"#);
        let wrong = answer(400, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"bad"}}"#);
        let kinds = [exists, lost, stale, wrong].map(|service_error| service_error.kind);
        use ErrorKind::{AlreadyExists, Conflict, InvalidInput};
        assert_eq!(kinds, [AlreadyExists, Conflict, Conflict, InvalidInput]);
    }

    #[test]
    fn a_throttled_call_waits_as_long_as_the_service_requests() {
        let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow down",
            "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}"#;
        assert_eq!(answer(429, body).decision, RetryDecision::Throttled { after: Some(Duration::from_millis(1_500)) });
        let limited = r#"{"error":{"code":403,"message":"x","errors":[{"reason":"rateLimitExceeded"}]}}"#;
        assert_eq!(answer(403, limited).decision, RetryDecision::Throttled { after: None });
        assert_eq!(answer(503, "<html>").decision, RetryDecision::Failed);
        assert_eq!(answer(403, "{}").decision, RetryDecision::Final);
        assert_eq!(answer(404, "\u{0}").kind, ErrorKind::NotFound);
    }
}
