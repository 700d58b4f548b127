//! Service errors. A response is read once: the client decides on a retry by the result and returns it
//! to the caller.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Origin};

/// A successful response of a service, or its service error.
pub type ServiceResult<T> = std::result::Result<T, ServiceError>;

/// The most characters of a message.
const MAX_MESSAGE: usize = 500;

/// Whether a service error may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// No retry: the error is permanent.
    Final,
    /// The request was rejected without effect and may be retried later.
    Throttled {
        /// The wait that the service requests, where it is not in `Retry-After`.
        after: Option<Duration>,
    },
    /// The service failed and may have applied the request.
    Failed,
}

/// A response that is no success. `Debug` shows neither its message nor its body, which may contain
/// secrets.
#[derive(Clone)]
pub struct ServiceError {
    /// The error code of the service, such as `ConditionalCheckFailedException`; empty where it has none.
    pub code: String,
    /// The message of the service: one line of at most 500 characters.
    pub message: String,
    /// The kind of the error.
    pub kind: ErrorKind,
    /// Whether it may be retried.
    pub decision: RetryDecision,
    /// The message of the [`Error`] that is made of it.
    pub explanation: String,
    /// The index of the write in its batch, counted from 0.
    pub write: Option<usize>,
    /// Whether the call, or an earlier attempt of it, may have been applied. Set by the client.
    pub uncertain: bool,
    /// The response. Where retries are used up, it is that of the last attempt.
    pub response: Response<Bytes>,
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status().as_u16(), self.code)
    }
}

impl ServiceError {
    /// A service error with this code and message. Kind and decision follow from the status; a service with more
    /// specific codes sets them.
    pub fn new(response: &Response<Bytes>, code: impl Into<String>, message: &str) -> Self {
        let (code, status) = (code.into(), response.status().as_u16());
        let line = message.trim().lines().next().unwrap_or_default();
        let message: String = line.chars().filter(|character| !character.is_control()).take(MAX_MESSAGE).collect();
        let explanation = match (code.is_empty(), message.is_empty()) {
            (true, true) => format!("status {status}"),
            (true, false) => format!("status {status}: {message}"),
            (false, _) => format!("{code}: {message}"),
        };
        let (kind, decision) = (kind_of(status), decision_of(status));
        let response = response.clone();
        Self { code, message, kind, decision, explanation, write: None, uncertain: false, response }
    }

    /// A service error from the status alone; `None` for a success.
    pub fn from_status(response: &Response<Bytes>) -> Option<Self> {
        (!response.status().is_success()).then(|| Self::new(response, "", ""))
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Replaces this service error with a more specific `error`, whose outcome is unknown if this one's is.
    pub fn mark_uncertain(&self, error: Error) -> Error {
        mark_uncertain(error, self.uncertain)
    }
}

impl From<ServiceError> for Error {
    fn from(service_error: ServiceError) -> Self {
        let error = Self::new(service_error.kind, service_error.explanation).with_origin(Origin::Service);
        let error = match (service_error.kind, service_error.decision) {
            (ErrorKind::Throttled, RetryDecision::Throttled { after: Some(after) }) => error.with_retry_after(after),
            _ => error,
        };
        mark_uncertain(error, service_error.uncertain)
    }
}

/// Marks the outcome of `error` as unknown if `uncertain`: an attempt of the call may have been applied.
pub fn mark_uncertain(error: Error, uncertain: bool) -> Error {
    if uncertain { error.with_outcome_unknown() } else { error }
}

fn kind_of(status: u16) -> ErrorKind {
    match status {
        400 | 411 | 414 | 415 | 416 => ErrorKind::InvalidInput,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        409 | 412 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Throttled,
        501 => ErrorKind::Unsupported,
        408 | 500.. => ErrorKind::Unavailable,
        300..=399 => ErrorKind::Config,
        _ => ErrorKind::Internal,
    }
}

fn decision_of(status: u16) -> RetryDecision {
    match status {
        429 => RetryDecision::Throttled { after: None },
        501 | 505 => RetryDecision::Final,
        408 | 500.. => RetryDecision::Failed,
        _ => RetryDecision::Final,
    }
}
