//! Messages of the queues of triggers, as Pub/Sub pushes them.
//!
//! Pub/Sub redelivers a message that is not acknowledged by the retry policy of the subscription, by default after
//! 10 s at the earliest, and reports the delivery attempt only if the subscription has a dead-letter policy. So a
//! message to retry is acknowledged, and a copy with its due time and its attempts is published ([`settle`]). A copy
//! of a message with an ordering key would be out of order: such a message is not acknowledged, and the messages after
//! it wait.
//!
//! A message with a due time, which is a copy or was published with a delay, is not acknowledged before it; Pub/Sub then
//! delivers it again by the retry policy of the subscription, whose backoff is at most [`MAX_BACKOFF`].

use std::time::Duration;

use crate::profile::PROFILE;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::driver::host::deliver;
use isobar_abstraction::driver::{ResourceKind, RetryPolicy, Settlement};
use isobar_abstraction::{Body, Context, Error, ErrorKind, EventQueue, Outcome, Result, clock};

use super::{CloudRunService, response};
use crate::config::QueuePlacement;
use crate::event::{IncomingEvent, Push, Rejection};
use crate::pub_sub::settle;
use crate::pub_sub::wire::ReceivedMessage;

/// The maximum time that a call stays open until a copy is due, or before a message is left unacknowledged: Cloud Run
/// bills this time. Equal to the profile's limit for a message with a key, and the longest backoff of a subscription.
pub(super) const MAX_HOLD: Duration = Duration::from_secs(20);

/// The longest backoff of a subscription that the deployment creates. A message that is not due can be up to that much late,
/// less [`MAX_HOLD`]; and Pub/Sub moves no message of a service that fails to the dead letters for an hour and a half.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Deliveries of a message before its due time after which a copy for the same subscription replaces it: they count for
/// the dead-letter policy of the subscription, whose limit is at most 100.
pub(super) const MAX_EARLY_DELIVERIES: u32 = 50;

/// A message and its subscription.
struct Delivery {
    received: ReceivedMessage,
    /// The subscription of the push; that of the queue where the push does not name one.
    subscription: String,
    attempt: u32,
}

impl CloudRunService {
    /// Handles a call of the trigger with this queue.
    pub(super) async fn event(
        &self,
        (queue, retry): &(EventQueue, RetryPolicy),
        headers: &HeaderMap,
        body: &Bytes,
        cx: Context,
    ) -> std::result::Result<Response<Body>, Rejection> {
        let place = self.state.config.queue(queue)?;
        let push = match IncomingEvent::read(headers, body)? {
            IncomingEvent::Event(event) if queue.kind() == ResourceKind::Bucket => {
                return self.change(queue, &place, &event, &cx).await;
            }
            IncomingEvent::Event(event) if queue.kind() == ResourceKind::Table => {
                return self.document(queue, &place, &event, &cx).await;
            }
            incoming => incoming.message()?,
        };
        let Some(delivery) = self.delivery(&place, push).await? else { return Ok(response::settled()) };
        let mut message = delivery.received.message.clone();
        message.attempt = delivery.attempt;
        let cx = cx.with_attempt(delivery.attempt);
        let outcome = match queue.kind() {
            ResourceKind::Bucket => self.notification(queue, &place, &message, &cx).await,
            _ => match queue.event(message) {
                Ok(event) => deliver(self.app.function.as_ref(), event, cx).await,
                Err(error) => unreadable(&error),
            },
        };
        self.settled(&place, &delivery, outcome, *retry).await
    }

    /// A message to handle now; waits until it is due. `None` for a message that is settled: one for another
    /// subscription, or one that a copy has replaced. Errors: if it must be delivered again.
    async fn delivery(&self, queue: &QueuePlacement, push: Push) -> Result<Option<Delivery>> {
        let Push { message, subscription, attempt } = push;
        let mut received = message.open(attempt.unwrap_or(1));
        received.message.published_at = clock::sent_at(received.message.published_at, self.state.clock.now());
        let subscription = subscription.unwrap_or_else(|| queue.subscription.clone());
        if received.meant_for.as_ref().is_some_and(|meant_for| *meant_for != subscription) {
            tracing::debug!("a message for another subscription is ignored");
            return Ok(None);
        }
        // Deliveries before the due time, which Pub/Sub counts, are not attempts.
        let attempts =
            if received.due.is_some() { received.attempts.saturating_add(1) } else { received.message.attempt };
        let delivery = Delivery { received, subscription, attempt: attempts };
        let now = self.state.clock.now();
        let Some((due, left)) = delivery.received.due.and_then(|due| Some((due, due.duration_since(now).ok()?))) else {
            return Ok(Some(delivery));
        };
        if left <= MAX_HOLD {
            self.state.clock.pause(left).await;
            return Ok(Some(delivery));
        }
        if attempt.unwrap_or(1) < MAX_EARLY_DELIVERIES {
            let due = clock::to_rfc3339(due);
            return Err(Error::new(ErrorKind::Unavailable, format!("the message is not due before {due}")));
        }
        let Delivery { received, subscription, .. } = &delivery;
        settle::publish_copy(&self.state, queue, &received.message, subscription, left, received.attempts).await?;
        Ok(None)
    }

    /// Applies the app's outcome, and acknowledges only after that: an acknowledged message is stored nowhere else.
    async fn settled(
        &self,
        queue: &QueuePlacement,
        delivery: &Delivery,
        outcome: Outcome,
        retry: RetryPolicy,
    ) -> std::result::Result<Response<Body>, Rejection> {
        let Delivery { received, subscription, attempt } = delivery;
        let message = &received.message;
        let longest = PROFILE.limits.longest_retry(message.ordering_key.as_deref());
        let settled = match retry.settle(*attempt, outcome, longest) {
            Settlement::Done => return Ok(response::settled()),
            Settlement::DeadLetter(reason) => {
                settle::publish_dead_letter(&self.state, queue, message, subscription, &reason, *attempt).await
            }
            Settlement::Retry(wait) if message.ordering_key.is_none() => {
                settle::publish_copy(&self.state, queue, message, subscription, wait, *attempt).await
            }
            Settlement::Retry(wait) => {
                self.state.clock.pause(wait.min(MAX_HOLD)).await;
                return Err(redeliver("the message is retried"));
            }
        };
        settled.map(|()| response::settled()).map_err(|error| {
            let id = message.id.as_str();
            tracing::error!(
                subscription,
                id,
                attempt,
                ?error,
                "the outcome of a message could not be stored; it is delivered again"
            );
            redeliver("the outcome of the message could not be stored; it is delivered again")
        })
    }
}

/// The outcome of a message that is no event of its queue.
pub(super) fn unreadable(error: &Error) -> Outcome {
    Outcome::reject(format!("the event cannot be read: {}", error.message()))
}

fn redeliver(reason: &str) -> Rejection {
    Rejection { status: StatusCode::INTERNAL_SERVER_ERROR, error: Error::new(ErrorKind::Unavailable, reason) }
}
