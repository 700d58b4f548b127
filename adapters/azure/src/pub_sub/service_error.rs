//! What the errors of Service Bus and of Storage Queues mean.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::ErrorKind;
use isobar_rest::{RetryDecision, ServiceError};

use crate::service::{self, Place};

/// A topic or a queue, as errors say it: ``the topic `clicks` of Service Bus``.
pub(super) fn place(name: String) -> Place {
    let create = format!("{name} is not there: create it, the library never does");
    let grant = "give who runs this the role Azure Service Bus Data Sender or Storage Queue Data Contributor, or a key or \
                 signature that may send";
    Place { name, create, grant }
}

/// Reads what was refused. Of those that answer 503, only who says that it is throttling has surely done nothing.
pub(super) fn read(answer: &Response<Bytes>, place: &Place) -> Option<ServiceError> {
    let service_error = service::read(answer)?;
    let message = service_error.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let (throttled, last) = (ErrorKind::Throttled, RetryDecision::Final);
    let (kind, decision) = match (answer.status().as_u16(), service_error.code.as_str()) {
        (503, _) if says(&["throttled"]) => (throttled, RetryDecision::Throttled { after: None }),
        // Service Bus says so of good credentials that do not allow sending.
        (401, _) if says(&["claim(s) are required"]) => (ErrorKind::PermissionDenied, last),
        // "The maximum entity size has been reached": the topic is full, which may pass.
        (403, _) if says(&["quota", "entity size"]) => (ErrorKind::Unavailable, last),
        (403, _) if service_error.kind == ErrorKind::PermissionDenied && says(&["size", "too large"]) => {
            (ErrorKind::TooLarge, last)
        }
        (409, "QueueBeingDeleted" | "QueueDisabled") => (ErrorKind::Unavailable, last),
        (413, _) => (ErrorKind::TooLarge, last),
        _ => (service_error.kind, service_error.decision),
    };
    let service_error = ServiceError { kind, decision, ..service_error };
    Some(ServiceError { explanation: service::explained(&service_error, place), ..service_error })
}

/// May one message of several be to blame for all of them?
pub(super) fn is_of_content(service_error: &ServiceError) -> bool {
    matches!(service_error.kind, ErrorKind::InvalidInput | ErrorKind::TooLarge)
}
