//! What Google Cloud sends to the endpoints of events.
//!
//! | form | how it is known |
//! |---|---|
//! | a push of Pub/Sub without its wrapper | the header `x-goog-pubsub-message-id`, and no `ce-type` of Google's |
//! | CloudEvents 1.0, structured | `Content-Type: application/cloudevents+json` |
//! | CloudEvents 1.0, binary | a header `ce-…` |
//! | a push of Pub/Sub | JSON with `message` |
//! | a background event, as functions of the first generation had them | JSON with `context`, or with `eventId` |
//!
//! The attributes of a message are headers of its push, so one of somebody's own CloudEvents has `ce-…` too.
//!
//! Sources: the HTTP binding of CloudEvents 1.0.2; "Push subscriptions" of Pub/Sub; the conversion of
//! background events in Google's functions framework.

mod cloud_event;
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
pub(crate) use object::{change_of_event, change_of_message};
pub(crate) use push::Push;

/// Why an event is not taken, and the status that says so.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) error: Error,
}

impl Refused {
    /// 400: the request is not what its form says.
    fn malformed(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: Error::invalid_input(message) }
    }

    /// 415.
    fn of_another_type(message: &str) -> Self {
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, error: Error::invalid_input(message) }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { status: error_status(&error), error }
    }
}

/// An event as it came.
#[derive(Debug)]
pub(crate) enum Incoming {
    Push(Push),
    Event(CloudEvent),
}

impl Incoming {
    /// Errors: 415 for a batch, and for formats other than JSON; 400 for all that is malformed, naming what.
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Refused> {
        if push::is_unwrapped(headers) {
            return Push::unwrapped(headers, body).map(Self::Push);
        }
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.strip_prefix("application/cloudevents") {
            Some("+json") => return CloudEvent::structured(body).map(Self::Event),
            Some(batch) if batch.starts_with("-batch") => {
                return Err(Refused::of_another_type("events come one by one: a batch of CloudEvents is not taken"));
            }
            Some(_) => return Err(Refused::of_another_type("of the formats of CloudEvents only JSON is taken")),
            None => {}
        }
        if headers.keys().any(|name| name.as_str().starts_with("ce-")) {
            return CloudEvent::binary(headers, body).map(Self::Event);
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Refused::malformed(format!("the event is no JSON at line {} column {}", error.line(), error.column()))
        })?;
        match &value {
            _ if value.get("message").is_some() => Push::wrapped(&value).map(Self::Push),
            _ if value.get("context").is_some() || value.get("eventId").is_some() => {
                legacy::event(&value).map(Self::Event)
            }
            _ => Err(Refused::malformed("it is neither a CloudEvent, nor a push of Pub/Sub, nor a background event")),
        }
    }

    /// The message of it. Errors: 400 for an event of another kind.
    pub(crate) fn message(self) -> Result<Push, Refused> {
        match self {
            Self::Push(push) => Ok(push),
            Self::Event(event) if event.kind == cloud_event::MESSAGE => Push::wrapped(&event.json()?),
            Self::Event(event) => Err(event.strange("a message of Pub/Sub")),
        }
    }
}

#[cfg(test)]
mod tests;
