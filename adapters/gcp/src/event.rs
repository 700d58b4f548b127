//! Events as Google Cloud sends them.
//!
//! | form | recognized by |
//! |---|---|
//! | a push of Pub/Sub without its wrapper | the header `x-goog-pubsub-message-id`, without a `ce-type` of Google |
//! | CloudEvents 1.0, structured | `Content-Type: application/cloudevents+json` |
//! | CloudEvents 1.0, binary | a header `ce-…` |
//! | a push of Pub/Sub | JSON with `message` |
//! | a background event, of functions of the first generation | JSON with `context`, or with `eventId` |
//!
//! The attributes of a message are headers of its push, so a message with a user's CloudEvent has headers `ce-…` too.
//!
//! Sources: the HTTP binding of CloudEvents 1.0.2; "Push subscriptions" of Pub/Sub; the conversion of
//! background events in Google's functions framework.

mod cloud_event;
mod document;
mod legacy;
mod object;
mod push;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use isobar_abstraction::Error;
use isobar_serve::error_status;
use serde_json::Value;

pub(crate) use cloud_event::CloudEvent;
pub(crate) use document::written_document;
pub(crate) use object::{change_of_event, change_of_message};
pub(crate) use push::Push;

/// The reason why an event is rejected, and the status of the response.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) status: StatusCode,
    pub(crate) error: Error,
}

impl Rejection {
    /// A rejection with 400: the request is malformed.
    fn malformed(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: Error::invalid_input(message) }
    }

    /// A rejection with 415.
    fn unsupported(message: &str) -> Self {
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, error: Error::invalid_input(message) }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self { status: error_status(&error), error }
    }
}

/// A received event.
#[derive(Debug)]
pub(crate) enum IncomingEvent {
    Push(Push),
    Event(CloudEvent),
}

impl IncomingEvent {
    /// Errors: 415 for a batch, and for formats other than JSON; 400 for a malformed event, naming the fault.
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Rejection> {
        if push::is_unwrapped(headers) {
            return Push::unwrapped(headers, body).map(Self::Push);
        }
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.strip_prefix("application/cloudevents") {
            Some("+json") => return CloudEvent::structured(body).map(Self::Event),
            Some(batch) if batch.starts_with("-batch") => {
                return Err(Rejection::unsupported("a batch of CloudEvents is not supported: send events one by one"));
            }
            Some(_) => return Err(Rejection::unsupported("only the JSON format of CloudEvents is supported")),
            None => {}
        }
        if headers.keys().any(|name| name.as_str().starts_with("ce-")) {
            return CloudEvent::binary(headers, body).map(Self::Event);
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Rejection::malformed(format!(
                "the event is not valid JSON at line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
        match &value {
            _ if value.get("message").is_some() => Push::wrapped(&value).map(Self::Push),
            _ if value.get("context").is_some() || value.get("eventId").is_some() => {
                legacy::event(&value).map(Self::Event)
            }
            _ => Err(Rejection::malformed(
                "the body is neither a CloudEvent, nor a push of Pub/Sub, nor a background event",
            )),
        }
    }

    /// The message in the event. Errors: 400 for an event of another type.
    pub(crate) fn message(self) -> Result<Push, Rejection> {
        match self {
            Self::Push(push) => Ok(push),
            Self::Event(event) if event.kind == cloud_event::MESSAGE => Push::wrapped(&event.json()?),
            Self::Event(event) => Err(event.unexpected("a message of Pub/Sub")),
        }
    }
}

#[cfg(test)]
mod tests;
