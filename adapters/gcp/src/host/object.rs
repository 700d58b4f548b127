//! Object events of a bucket.
//!
//! A notification of the bucket arrives through the topic `<bucket>--events`, whose messages are retried, moved to
//! the dead letters and redriven like those of any topic. Eventarc may also call the trigger: then it retries by its
//! own rules, does not report the attempt, and reports an overwrite as a deletion.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::driver::host::{StoredChange, deliver_changes};
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{Body, Context, Error, EventQueue, Outcome};

use super::message::unreadable;
use super::{CloudRunService, response};
use crate::config::QueuePlacement;
use crate::event::{CloudEvent, Rejection, change_of_event, change_of_message};

impl CloudRunService {
    /// Handles an event of Eventarc.
    pub(super) async fn change(
        &self,
        queue: &EventQueue,
        place: &QueuePlacement,
        event: &CloudEvent,
        cx: &Context,
    ) -> std::result::Result<Response<Body>, Rejection> {
        match change_of_event(event)? {
            None => Ok(response::settled()),
            Some(change) => acknowledged(self.deliver_change(queue, place, change, cx).await),
        }
    }

    /// The outcome of a notification of the bucket.
    pub(super) async fn notification(
        &self,
        queue: &EventQueue,
        place: &QueuePlacement,
        message: &Message<Bytes>,
        cx: &Context,
    ) -> Outcome {
        match change_of_message(message) {
            Ok(None) => Outcome::Ack,
            Ok(Some(change)) => self.deliver_change(queue, place, change, cx).await,
            Err(error) => unreadable(&error),
        }
    }

    async fn deliver_change(
        &self,
        queue: &EventQueue,
        place: &QueuePlacement,
        change: StoredChange,
        cx: &Context,
    ) -> Outcome {
        deliver_changes(self.app.function.as_ref(), queue, place.source_name(), vec![change], cx).await
    }
}

/// The response to Eventarc, which has no dead letters: a rejected event is only logged.
fn acknowledged(outcome: Outcome) -> std::result::Result<Response<Body>, Rejection> {
    let error = match outcome {
        Outcome::Ack => return Ok(response::settled()),
        Outcome::Reject { reason } => {
            tracing::error!(reason, "the app rejected an event of Eventarc, which has no dead letters; it is dropped");
            return Ok(response::settled());
        }
        Outcome::Retry { reason, .. } => Error::unavailable(reason),
        _ => Error::unknown_variant("Outcome"),
    };
    Err(Rejection { status: StatusCode::INTERNAL_SERVER_ERROR, error })
}
