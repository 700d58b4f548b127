//! Object events of a bucket.
//!
//! A notification of the bucket goes through the topic `<bucket>--events`, whose messages are tried again,
//! given up and put back like those of any topic. Eventarc may also call the trigger: then it tries again by
//! its own rules, counts without telling, and calls what was overwritten deleted.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::host::deliver_changes;
use isobar_abstraction::{Body, Context, Error, Outcome};

use super::called::{Kind, events_of};
use super::{CloudRunService, answer};
use crate::event::{Incoming, Refused, change_of_event, change_of_message};

impl CloudRunService {
    pub(super) async fn object(
        &self,
        name: &str,
        headers: &HeaderMap,
        body: &Bytes,
        cx: Context,
    ) -> std::result::Result<Response<Body>, Refused> {
        let trigger = self.app.manifest.objects().find(|trigger| trigger.bucket == name);
        let trigger = trigger.ok_or_else(|| self.unknown(&Kind::Bucket.path(name)))?;
        let (bucket, events) = events_of(&self.state.config, &self.state.config.location(ResourceKind::Bucket, name))?;
        let function = self.app.function.as_ref();
        let push = match Incoming::read(headers, body)? {
            Incoming::Push(push) => push,
            Incoming::Event(event) => {
                return match change_of_event(&event)? {
                    None => Ok(answer::done()),
                    Some(change) => acknowledged(deliver_changes(function, name, &bucket, vec![change], &cx).await),
                };
            }
        };
        let Some(delivered) = self.delivered(&events, push).await? else { return Ok(answer::done()) };
        let cx = cx.with_attempt(delivered.attempt);
        let outcome = match change_of_message(&delivered.arrived.message) {
            Ok(None) => Outcome::Ack,
            Ok(Some(change)) => deliver_changes(function, name, &bucket, vec![change], &cx).await,
            Err(error) => Outcome::reject(format!("the event cannot be read: {}", error.message())),
        };
        self.settled(&events, &delivered, outcome, trigger.retry).await
    }
}

/// Eventarc has no place for what was rejected but its log and ours.
fn acknowledged(outcome: Outcome) -> std::result::Result<Response<Body>, Refused> {
    let error = match outcome {
        Outcome::Ack => return Ok(answer::done()),
        Outcome::Reject { reason } => {
            tracing::error!(reason, "an event of Eventarc is rejected, and lost");
            return Ok(answer::done());
        }
        Outcome::Retry { reason, .. } => Error::unavailable(reason),
        _ => Error::unknown_variant("Outcome"),
    };
    Err(Refused { status: StatusCode::INTERNAL_SERVER_ERROR, error })
}
