//! The error that a service answered: whether to try again, and what it is to a caller.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Origin};
use isobar_rest::Judgement;
use serde::Deserialize;

/// The canonical codes of Google's APIs.
///
/// Source: <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
}

impl Status {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ABORTED" => Self::Aborted,
            "ALREADY_EXISTS" => Self::AlreadyExists,
            "CANCELLED" => Self::Cancelled,
            "DATA_LOSS" => Self::DataLoss,
            "DEADLINE_EXCEEDED" => Self::DeadlineExceeded,
            "FAILED_PRECONDITION" => Self::FailedPrecondition,
            "INTERNAL" => Self::Internal,
            "INVALID_ARGUMENT" => Self::InvalidArgument,
            "NOT_FOUND" => Self::NotFound,
            "OUT_OF_RANGE" => Self::OutOfRange,
            "PERMISSION_DENIED" => Self::PermissionDenied,
            "RESOURCE_EXHAUSTED" => Self::ResourceExhausted,
            "UNAUTHENTICATED" => Self::Unauthenticated,
            "UNAVAILABLE" => Self::Unavailable,
            "UNIMPLEMENTED" => Self::Unimplemented,
            "UNKNOWN" => Self::Unknown,
            _ => return None,
        })
    }

    /// Of an answer that does not say it, as Cloud Storage's and those of what lies between.
    fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 411 | 413 | 414 | 415 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::NotFound,
            408 | 504 => Self::DeadlineExceeded,
            409 => Self::Aborted,
            412 => Self::FailedPrecondition,
            416 => Self::OutOfRange,
            429 => Self::ResourceExhausted,
            501 => Self::Unimplemented,
            502 | 503 => Self::Unavailable,
            500..=599 => Self::Internal,
            _ => Self::Unknown,
        }
    }
}

/// The error that a service answered.
#[derive(Clone)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) http: StatusCode,
    /// What it said.
    pub(crate) message: String,
    /// Cloud Storage's reason, such as `rateLimitExceeded`.
    pub(crate) reason: String,
    /// May the call, or an earlier attempt of it, have been applied?
    pub(crate) uncertain: bool,
    /// What was called, as errors say it.
    resource: String,
    /// How long the service asks to wait.
    retry_after: Option<Duration>,
}

/// A message may echo what was sent.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.http.as_u16(), self.status)
    }
}

/// `{"error": {"code", "status", "message", "errors": [{"reason"}], "details": [{"@type", "retryDelay"}]}}`,
/// which a call that answers with a stream puts into an array.
#[derive(Deserialize, Default)]
struct Told {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default)]
    retry_delay: String,
}

#[derive(Deserialize)]
struct Body {
    error: Told,
}

impl Told {
    fn read(body: &[u8]) -> Self {
        let one = || serde_json::from_slice::<Body>(body).ok();
        let first = || serde_json::from_slice::<Vec<Body>>(body).ok()?.into_iter().next();
        one().or_else(first).map(|body| body.error).unwrap_or_default()
    }

    /// Of `RetryInfo`: seconds with an `s`.
    fn delay(&self) -> Option<Duration> {
        let seconds =
            self.details.iter().find_map(|detail| detail.retry_delay.strip_suffix('s')?.parse::<f64>().ok())?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Most of a service's own words that an error shows.
const WORDS: usize = 500;

impl Refusal {
    pub(crate) fn read(answer: &Response<Bytes>) -> Self {
        let told = Told::read(answer.body());
        let mut message = told.message.clone();
        if message.len() > WORDS {
            message.truncate(message.floor_char_boundary(WORDS));
        }
        Self {
            status: Status::named(&told.status).unwrap_or_else(|| Status::of_http(answer.status())),
            http: answer.status(),
            retry_after: told.delay(),
            reason: told.errors.into_iter().next().map(|error| error.reason).unwrap_or_default(),
            message,
            uncertain: false,
            resource: String::new(),
        }
    }

    pub(super) fn of(self, resource: &str, uncertain: bool) -> Self {
        Self { resource: resource.to_owned(), uncertain, ..self }
    }

    /// Whether to try again.
    ///
    /// Sources: AIP-194 for what is retried; Cloud Storage "Retry strategy".
    pub(crate) fn judge(&self) -> Judgement {
        match self.status {
            Status::ResourceExhausted => Judgement::Refused { after: self.retry_after },
            // Told by the front end, which did not hand the call on, or by a service in trouble: nobody knows.
            Status::Unavailable | Status::Internal | Status::DeadlineExceeded | Status::Unknown
                if self.http.is_server_error() || self.http == StatusCode::REQUEST_TIMEOUT =>
            {
                Judgement::Failed
            }
            _ if self.is_rate_limit() => Judgement::Refused { after: self.retry_after },
            _ => Judgement::Final,
        }
    }

    /// Cloud Storage and IAM say 403 for some of their limits.
    fn is_rate_limit(&self) -> bool {
        ["rateLimitExceeded", "userRateLimitExceeded"].contains(&self.reason.as_str())
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self.status {
            _ if self.is_rate_limit() => ErrorKind::Throttled { retry_after: self.retry_after },
            _ if self.http == StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge { limit: 0 },
            Status::ResourceExhausted => ErrorKind::Throttled { retry_after: self.retry_after },
            Status::Aborted | Status::FailedPrecondition => ErrorKind::Conflict,
            Status::AlreadyExists => ErrorKind::AlreadyExists,
            Status::InvalidArgument | Status::OutOfRange => ErrorKind::InvalidInput,
            Status::NotFound => ErrorKind::NotFound,
            Status::PermissionDenied => ErrorKind::PermissionDenied,
            Status::Unauthenticated => ErrorKind::Unauthenticated,
            Status::Unimplemented => ErrorKind::Unsupported,
            Status::DeadlineExceeded => ErrorKind::Timeout,
            Status::Unavailable | Status::Internal => ErrorKind::Unavailable,
            Status::Cancelled | Status::DataLoss | Status::Unknown => ErrorKind::Internal,
        }
    }

    fn told(&self) -> String {
        let Self { resource, message, .. } = self;
        let code = self.http.as_u16();
        match self.status {
            Status::Unauthenticated => {
                format!(
                    "{resource}: Google does not take the credentials ({code}): renew them, or see that this machine's clock is right"
                )
            }
            Status::PermissionDenied => format!("{resource}: {message} ({code}): grant the role to who runs this"),
            Status::NotFound => {
                format!("{resource} is not there ({code}): {message}: create it, the library never does")
            }
            _ => format!("{resource}: {message} ({code})"),
        }
    }
}

/// The error of a refusal that the adapter does not treat itself.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let error = Self::new(refusal.kind(), refusal.told()).with_origin(Origin::Service);
        super::unknown(error, refusal.uncertain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Refusal {
        let answer = Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap();
        Refusal::read(&answer).of("the topic `clicks`", false)
    }

    #[test]
    fn the_same_http_status_may_be_different_things() {
        let taken = answer(409, r#"{"error":{"code":409,"status":"ALREADY_EXISTS","message":"there"}}"#);
        let lost = answer(409, r#"[{"error":{"code":409,"status":"ABORTED","message":"contention"}}]"#);
        let stale = answer(400, r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"stale"}}"#);
        let wrong = answer(400, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"bad"}}"#);
        let kinds = [taken, lost, stale, wrong].map(|refusal| refusal.kind());
        use ErrorKind::{AlreadyExists, Conflict, InvalidInput};
        assert_eq!(kinds, [AlreadyExists, Conflict, Conflict, InvalidInput]);
    }

    #[test]
    fn patience_is_what_the_service_asks_for() {
        let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow down",
            "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}"#;
        assert_eq!(answer(429, body).judge(), Judgement::Refused { after: Some(Duration::from_millis(1_500)) });
        let limited = r#"{"error":{"code":403,"message":"x","errors":[{"reason":"rateLimitExceeded"}]}}"#;
        assert_eq!(answer(403, limited).judge(), Judgement::Refused { after: None });
        assert_eq!(answer(503, "<html>").judge(), Judgement::Failed);
        assert_eq!(answer(403, "{}").judge(), Judgement::Final);
        assert_eq!(answer(404, "\u{0}").kind(), ErrorKind::NotFound);
    }
}
