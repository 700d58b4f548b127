//! Messages of a topic, as Pub/Sub pushes them.
//!
//! Pub/Sub redelivers a message that is not acknowledged by the retry policy of the subscription, by default after
//! 10 s at the earliest, and reports the delivery attempt only if the subscription has a dead-letter policy. So a
//! message to retry is acknowledged, and a copy with its due time and its attempts is published ([`settle`]). A copy
//! of a message with an ordering key would be out of order: such a message is not acknowledged, and the messages after
//! it wait.

use std::time::Duration;

use crate::profile::PROFILE;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::driver::host::deliver;
use isobar_abstraction::driver::{Location, ResourceKind, RetryPolicy, Settlement};
use isobar_abstraction::{Body, Context, Error, ErrorKind, Event, Outcome, Result, clock};

use super::{CloudRunService, Kind, response};
use crate::event::{IncomingEvent, Push, Rejection};
use crate::pub_sub::settle;
use crate::pub_sub::wire::ReceivedMessage;

/// The maximum time that a call stays open until a copy is due, or before a message is left unacknowledged: Cloud Run
/// bills this time. Equal to the profile's limit for a message with a key.
const MAX_HOLD: Duration = Duration::from_secs(20);

/// Deliveries of a copy before its due time after which a new copy replaces it: they count for the dead-letter policy
/// of the subscription, whose limit is at most 100.
const MAX_EARLY_DELIVERIES: u32 = 50;

/// A message and its subscription.
pub(super) struct Delivery {
    pub(super) received: ReceivedMessage,
    /// The subscription. Without it no copy can be addressed.
    pub(super) subscription: Option<String>,
    pub(super) attempt: u32,
}

impl CloudRunService {
    pub(super) async fn message(
        &self,
        name: &str,
        headers: &HeaderMap,
        body: &Bytes,
        cx: Context,
    ) -> std::result::Result<Response<Body>, Rejection> {
        let trigger = self.app.manifest.messages().find(|trigger| trigger.topic == name);
        let trigger = trigger.ok_or_else(|| self.unknown(&Kind::Topic.path(name)))?;
        let at = self.state.config.location(ResourceKind::Topic, name);
        let push = IncomingEvent::read(headers, body)?.message()?;
        let Some(delivery) = self.delivery(&at, push).await? else { return Ok(response::settled()) };
        let mut message = delivery.received.message.clone();
        message.attempt = delivery.attempt;
        let event = Event::Message { topic: name.to_owned(), subscription: trigger.subscription.clone(), message };
        let outcome = deliver(self.app.function.as_ref(), event, cx).await;
        self.settled(&at, &delivery, outcome, trigger.retry).await
    }

    /// A message to handle now; waits until a copy is due. `None` for a message that is settled: a copy for another
    /// subscription, or one that a new copy has replaced. Errors: if it must be delivered again.
    pub(super) async fn delivery(&self, at: &Location, push: Push) -> Result<Option<Delivery>> {
        let Push { message, subscription, attempt } = push;
        let mut received = message.open(attempt.unwrap_or(1));
        received.message.published_at = clock::sent_at(received.message.published_at, self.state.clock.now());
        if let (Some(meant_for), Some(here)) = (&received.meant_for, &subscription)
            && meant_for != here
        {
            tracing::debug!("a copy for another subscription is ignored");
            return Ok(None);
        }
        // Deliveries before the due time, which Pub/Sub counts, are not attempts.
        let attempts =
            if received.due.is_some() { received.attempts.saturating_add(1) } else { received.message.attempt };
        let delivery = Delivery { received, subscription, attempt: attempts };
        let now = self.state.clock.now();
        let Some(left) = delivery.received.due.and_then(|due| due.duration_since(now).ok()) else {
            return Ok(Some(delivery));
        };
        if left <= MAX_HOLD {
            self.state.clock.pause(left).await;
            return Ok(Some(delivery));
        }
        match (attempt.unwrap_or(1) >= MAX_EARLY_DELIVERIES, &delivery.subscription) {
            (true, Some(subscription)) => {
                let Delivery { received, .. } = &delivery;
                settle::publish_copy(&self.state, at, &received.message, subscription, left, received.attempts).await?;
                Ok(None)
            }
            _ => Err(Error::new(ErrorKind::Unavailable, "the copy of a message to retry later is not due yet")),
        }
    }

    /// Applies the app's outcome, and acknowledges only after that: an acknowledged message is stored nowhere else.
    pub(super) async fn settled(
        &self,
        at: &Location,
        delivery: &Delivery,
        outcome: Outcome,
        retry: RetryPolicy,
    ) -> std::result::Result<Response<Body>, Rejection> {
        let Delivery { received, subscription, attempt } = delivery;
        let message = &received.message;
        let longest = PROFILE.limits.longest_retry(message.ordering_key.as_deref());
        let settled = match (retry.settle(*attempt, outcome, longest), subscription) {
            (Settlement::Done, _) => return Ok(response::settled()),
            (Settlement::DeadLetter(reason), _) => {
                settle::publish_dead_letter(&self.state, at, message, &reason, *attempt).await
            }
            (Settlement::Retry(wait), Some(subscription)) if message.ordering_key.is_none() => {
                settle::publish_copy(&self.state, at, message, subscription, wait, *attempt).await
            }
            (Settlement::Retry(wait), _) => {
                self.state.clock.pause(wait.min(MAX_HOLD)).await;
                return Err(redeliver("the message is retried"));
            }
        };
        settled.map(|()| response::settled()).map_err(|error| {
            let id = message.id.as_str();
            tracing::error!(%at, id, attempt, ?error, "the outcome of a message could not be stored; it is delivered again");
            redeliver("the outcome of the message could not be stored; it is delivered again")
        })
    }
}

fn redeliver(reason: &str) -> Rejection {
    Rejection { status: StatusCode::INTERNAL_SERVER_ERROR, error: Error::new(ErrorKind::Unavailable, reason) }
}
