//! The meaning of the errors of Service Bus and Storage Queues.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::ErrorKind;
use isobar_rest::{RetryDecision, ServiceError};

use crate::service::{self, Place};

/// A topic or a queue, as error messages name it: ``the topic `clicks` of Service Bus``.
pub(super) fn place(name: String) -> Place {
    let create = format!("{name} does not exist: create it, isobar never does");
    let grant = "grant the identity the role Azure Service Bus Data Sender or Storage Queue Data Contributor, or use a key \
                 or a signature that allows sending";
    Place { name, create, grant }
}

/// The service error of a response. With 503, only a throttled request was certainly not applied.
pub(super) fn read(answer: &Response<Bytes>, place: &Place) -> Option<ServiceError> {
    let service_error = service::read(answer)?;
    let message = service_error.message.to_ascii_lowercase();
    let mentions = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let (throttled, last) = (ErrorKind::Throttled, RetryDecision::Final);
    let (kind, decision) = match (answer.status().as_u16(), service_error.code.as_str()) {
        (503, _) if mentions(&["throttled"]) => (throttled, RetryDecision::Throttled { after: None }),
        // Service Bus reports this for valid credentials that do not allow sending.
        (401, _) if mentions(&["claim(s) are required"]) => (ErrorKind::PermissionDenied, last),
        // "The maximum entity size has been reached": the topic is full, which may change.
        (403, _) if mentions(&["quota", "entity size"]) => (ErrorKind::Unavailable, last),
        (403, _) if service_error.kind == ErrorKind::PermissionDenied && mentions(&["size", "too large"]) => {
            (ErrorKind::TooLarge, last)
        }
        (409, "QueueBeingDeleted" | "QueueDisabled") => (ErrorKind::Unavailable, last),
        (413, _) => (ErrorKind::TooLarge, last),
        _ => (service_error.kind, service_error.decision),
    };
    let service_error = ServiceError { kind, decision, ..service_error };
    Some(ServiceError { explanation: service::explained(&service_error, place), ..service_error })
}

/// Whether one invalid message may have failed the whole batch.
pub(super) fn is_of_content(service_error: &ServiceError) -> bool {
    matches!(service_error.kind, ErrorKind::InvalidInput | ErrorKind::TooLarge)
}
