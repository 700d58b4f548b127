//! Object events of a bucket.
//!
//! A notification of the bucket arrives through the topic `<bucket>--events`, whose messages are retried, moved to
//! the dead letters and redriven like those of any topic. Eventarc may also call the trigger: then it retries by its
//! own rules, does not report the attempt, and reports an overwrite as a deletion.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::host::deliver_changes;
use isobar_abstraction::{Body, Context, Error, Outcome};

use super::target::{Kind, events_of};
use super::{CloudRunService, response};
use crate::event::{IncomingEvent, Rejection, change_of_event, change_of_message};

impl CloudRunService {
    pub(super) async fn object(
        &self,
        name: &str,
        headers: &HeaderMap,
        body: &Bytes,
        cx: Context,
    ) -> std::result::Result<Response<Body>, Rejection> {
        let trigger = self.app.manifest.objects().find(|trigger| trigger.bucket == name);
        let trigger = trigger.ok_or_else(|| self.unknown(&Kind::Bucket.path(name)))?;
        let (bucket, events) = events_of(&self.state.config, &self.state.config.location(ResourceKind::Bucket, name))?;
        let function = self.app.function.as_ref();
        let push = match IncomingEvent::read(headers, body)? {
            IncomingEvent::Push(push) => push,
            IncomingEvent::Event(event) => {
                return match change_of_event(&event)? {
                    None => Ok(response::settled()),
                    Some(change) => {
                        acknowledged(deliver_changes(function, &trigger.queue(), &bucket, vec![change], &cx).await)
                    }
                };
            }
        };
        let Some(delivery) = self.delivery(&events, push).await? else { return Ok(response::settled()) };
        let cx = cx.with_attempt(delivery.attempt);
        let outcome = match change_of_message(&delivery.received.message) {
            Ok(None) => Outcome::Ack,
            Ok(Some(change)) => deliver_changes(function, &trigger.queue(), &bucket, vec![change], &cx).await,
            Err(error) => Outcome::reject(format!("the event cannot be read: {}", error.message())),
        };
        self.settled(&events, &delivery, outcome, trigger.retry).await
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
