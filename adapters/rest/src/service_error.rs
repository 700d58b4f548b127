//! What a service answers instead of a success. Read once: the client tries again by it, the caller
//! gets it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Origin};

/// What a service answered: a success, or its service error, which is the caller's to understand.
pub type ServiceResult<T> = std::result::Result<T, ServiceError>;

/// Longest message that is kept, in characters.
const MESSAGE: usize = 500;

/// What to do after a service error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Nothing: the error will not go away.
    Final,
    /// The service did nothing and asks for patience: a throttled or refused request.
    Throttled {
        /// How long the service asks to wait, where it says so in another place than `Retry-After`.
        after: Option<Duration>,
    },
    /// The service failed, and may have done what it was asked for.
    Failed,
}

/// What a service answered instead of a success. `Debug` shows neither its message nor its body, which
/// may hold secrets.
#[derive(Clone)]
pub struct ServiceError {
    /// The service's own code, such as `ConditionalCheckFailedException`; empty where it has none.
    pub code: String,
    /// What it said: one line of at most 500 characters.
    pub message: String,
    /// The kind of its error.
    pub kind: ErrorKind,
    /// Whether another attempt may help.
    pub decision: RetryDecision,
    /// The text of the error that it becomes.
    pub explanation: String,
    /// Which write of a batch it is about, counted from 0.
    pub write: Option<usize>,
    /// May the call, or an earlier attempt of it, have been applied? Set by the client.
    pub uncertain: bool,
    /// The answer as it came. Where retries are used up it is the one that asked for a retry.
    pub response: Response<Bytes>,
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status().as_u16(), self.code)
    }
}

impl ServiceError {
    /// A service error of this code and message. Kind and decision are what the status says; a service whose
    /// codes say more sets them.
    pub fn new(answer: &Response<Bytes>, code: impl Into<String>, message: &str) -> Self {
        let (code, status) = (code.into(), answer.status().as_u16());
        let line = message.trim().lines().next().unwrap_or_default();
        let message: String = line.chars().filter(|character| !character.is_control()).take(MESSAGE).collect();
        let explanation = match (code.is_empty(), message.is_empty()) {
            (true, true) => format!("status {status}"),
            (true, false) => format!("status {status}: {message}"),
            (false, _) => format!("{code}: {message}"),
        };
        let (kind, decision) = (kind_of(status), decision_of(status));
        let response = answer.clone();
        Self { code, message, kind, decision, explanation, write: None, uncertain: false, response }
    }

    /// What the status alone says; `None` of a success.
    pub fn from_status(answer: &Response<Bytes>) -> Option<Self> {
        (!answer.status().is_success()).then(|| Self::new(answer, "", ""))
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The error of a caller who knows better what it means; its outcome is unknown where this one's is.
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

/// The error of a call of which an attempt may have been applied.
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
