//! The error that Service Bus or a Storage Queue answered.

use std::fmt;

use bytes::Bytes;
use http::Response;
use isobar_abstraction::{Error, ErrorKind, Origin};
use isobar_rest::Judgement;
use serde::Deserialize;

/// The longest part of what a service said that is shown.
const SHOWN: usize = 300;

/// The error that a service answered.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    /// The service's code, such as `QueueNotFound`. Service Bus has but the status.
    code: String,
    message: String,
    /// May the call, or an earlier attempt of it, have been applied?
    pub(super) uncertain: bool,
}

/// What it said may echo what was signed.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

/// `Detail` is Service Bus's word for a message.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Told {
    code: String,
    message: String,
    detail: String,
}

impl Refusal {
    pub(super) fn read(answer: &Response<Bytes>) -> Self {
        let xml = std::str::from_utf8(answer.body()).unwrap_or_default();
        let Told { code, message, detail } =
            quick_xml::de::from_str(xml.trim_start_matches('\u{feff}')).unwrap_or_default();
        let header = answer.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
        let message = if message.is_empty() { detail } else { message };
        let first = message.lines().next().unwrap_or_default();
        Self {
            status: answer.status().as_u16(),
            code: header.unwrap_or(&code).chars().filter(char::is_ascii_alphanumeric).take(60).collect(),
            message: first.chars().filter(|character| !character.is_control()).take(SHOWN).collect(),
            uncertain: false,
        }
    }

    pub(super) fn uncertain(self, uncertain: bool) -> Self {
        Self { uncertain, ..self }
    }

    /// Whether to try again. Of those that answer 503, only who says that it is throttling has surely done
    /// nothing.
    pub(super) fn judge(&self) -> Judgement {
        match (self.kind(), self.status) {
            (ErrorKind::Throttled { .. }, _) => Judgement::Refused { after: None },
            (_, 408 | 500 | 502..=504) => Judgement::Failed,
            _ => Judgement::Final,
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self.status, 404 | 410)
    }

    /// Are other credentials all that Service Bus wants?
    pub(super) fn is_unauthenticated(&self) -> bool {
        self.status == 401 && self.kind() == ErrorKind::Unauthenticated
    }

    /// May one message of several be to blame for all of them?
    pub(super) fn is_of_content(&self) -> bool {
        matches!(self.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge { .. })
    }

    fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    }

    fn kind(&self) -> ErrorKind {
        match (self.status, self.code.as_str()) {
            (429, _) | (503, "ServerBusy") => ErrorKind::Throttled { retry_after: None },
            (503, _) if self.says(&["throttled"]) => ErrorKind::Throttled { retry_after: None },
            // Service Bus says so of good credentials that do not allow sending.
            (401, _) if self.says(&["claim(s) are required"]) => ErrorKind::PermissionDenied,
            (401, _) | (403, "AuthenticationFailed") => ErrorKind::Unauthenticated,
            // Azurite's word for a wrong signature; the service's for a firewall.
            (403, "AuthorizationFailure") if self.says(&["failed to authenticate"]) => ErrorKind::Unauthenticated,
            // "The maximum entity size has been reached": the topic is full, which may pass.
            (403, _) if self.says(&["quota", "entity size"]) => ErrorKind::Unavailable,
            (403, _) if self.says(&["size", "too large"]) => ErrorKind::TooLarge { limit: 262_144 },
            (403, _) => ErrorKind::PermissionDenied,
            (409, "QueueBeingDeleted" | "QueueDisabled") => ErrorKind::Unavailable,
            (413, "RequestBodyTooLarge") => ErrorKind::TooLarge { limit: 65_536 },
            (413, _) => ErrorKind::TooLarge { limit: 262_144 },
            (status, _) => of_status(status),
        }
    }

    /// The error of it for `place`, such as ``the topic `clicks` of Service Bus``.
    pub(super) fn explain(&self, place: &str) -> Error {
        let Self { status, code, message, uncertain } = self;
        let kind = self.kind();
        let text = match kind {
            ErrorKind::NotFound => format!("{place} is not there: create it, the library never does"),
            // What the service says of these is not shown: it may echo what was signed.
            ErrorKind::Unauthenticated => format!(
                "{place} does not take the credentials ({status} {code}): check the key or the token, whose account \
                 or namespace it is, and this machine's clock"
            ),
            ErrorKind::PermissionDenied => {
                format!(
                    "{place} does not let us send ({status} {code}): give who runs this the role Azure Service Bus Data \
                     Sender or Storage Queue Data Contributor, or a key or signature that may send, and let its network in"
                )
            }
            _ => format!("{place} answers {status} {code}: {message}"),
        };
        let error = Error::new(kind, text).with_origin(Origin::Service);
        if *uncertain { error.with_outcome_unknown() } else { error }
    }
}

fn of_status(status: u16) -> ErrorKind {
    match status {
        400 => ErrorKind::InvalidInput,
        404 | 410 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        408 | 500.. => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}
