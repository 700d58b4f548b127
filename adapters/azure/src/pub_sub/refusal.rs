//! What the errors of Service Bus and of Storage Queues mean.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::ErrorKind;
use isobar_rest::{Judgement, Refusal};

use crate::service::{self, Place};

/// A topic or a queue, as errors say it: ``the topic `clicks` of Service Bus``.
pub(super) fn place(name: String) -> Place {
    let create = format!("{name} is not there: create it, the library never does");
    let grant = "give who runs this the role Azure Service Bus Data Sender or Storage Queue Data Contributor, or a key or \
                 signature that may send";
    Place { name, create, grant }
}

/// Reads what was refused. Of those that answer 503, only who says that it is throttling has surely done nothing.
pub(super) fn read(answer: &Response<Bytes>, place: &Place) -> Option<Refusal> {
    let refusal = service::read(answer)?;
    let message = refusal.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let (throttled, last) = (ErrorKind::Throttled, Judgement::Final);
    let (kind, judgement) = match (answer.status().as_u16(), refusal.code.as_str()) {
        (503, _) if says(&["throttled"]) => (throttled, Judgement::Refused { after: None }),
        // Service Bus says so of good credentials that do not allow sending.
        (401, _) if says(&["claim(s) are required"]) => (ErrorKind::PermissionDenied, last),
        // "The maximum entity size has been reached": the topic is full, which may pass.
        (403, _) if says(&["quota", "entity size"]) => (ErrorKind::Unavailable, last),
        (403, _) if refusal.kind == ErrorKind::PermissionDenied && says(&["size", "too large"]) => {
            (ErrorKind::TooLarge, last)
        }
        (409, "QueueBeingDeleted" | "QueueDisabled") => (ErrorKind::Unavailable, last),
        (413, _) => (ErrorKind::TooLarge, last),
        _ => (refusal.kind, refusal.judgement),
    };
    let refusal = Refusal { kind, judgement, ..refusal };
    Some(Refusal { explanation: service::explained(&refusal, place), ..refusal })
}

/// May one message of several be to blame for all of them?
pub(super) fn is_of_content(refusal: &Refusal) -> bool {
    matches!(refusal.kind, ErrorKind::InvalidInput | ErrorKind::TooLarge)
}
