//! Messages of a topic, as Pub/Sub pushes them.
//!
//! Pub/Sub delivers again what is not acknowledged when its subscription's retry policy says so, at the
//! earliest after 10 s unless it is told otherwise, and tells how often only where the subscription has
//! a dead-letter policy. So a message that is to be tried again is acknowledged, and published anew as a
//! copy that tells when it is due, and how often it was delivered ([`settle`]). One with an ordering key
//! would come out of its order so: it is given back, and what follows it waits.

use std::time::Duration;

use crate::profile::PROFILE;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::driver::host::deliver;
use isobar_abstraction::driver::{Location, ResourceKind, RetryPolicy, Settlement};
use isobar_abstraction::{Body, Context, Error, ErrorKind, Event, Outcome, Result, clock};

use super::{CloudRunService, Kind, answer};
use crate::event::{Incoming, Push, Refused};
use crate::pub_sub::settle;
use crate::pub_sub::wire::Arrived;

/// The longest time for which a call is held open until a copy is due, or before a message is given back:
/// whoever waits is paid for. As long as the profile lets a message with a key wait.
const LONGEST_HOLD: Duration = Duration::from_secs(20);

/// Deliveries of a copy that is not due after which another takes its place: those count for the
/// subscription's dead-letter policy, which gives up after 100 at most.
const MANY: u32 = 50;

/// A message, and the subscription that it came by.
pub(super) struct Delivered {
    pub(super) arrived: Arrived,
    /// Without it there is no way to send a copy back.
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
    ) -> std::result::Result<Response<Body>, Refused> {
        let trigger = self.app.manifest.messages().find(|trigger| trigger.topic == name);
        let trigger = trigger.ok_or_else(|| self.unknown(&Kind::Topic.path(name)))?;
        let at = self.state.config.location(ResourceKind::Topic, name);
        let push = Incoming::read(headers, body)?.message()?;
        let Some(delivered) = self.delivered(&at, push).await? else { return Ok(answer::done()) };
        let mut message = delivered.arrived.message.clone();
        message.attempt = delivered.attempt;
        let event = Event::Message { topic: name.to_owned(), subscription: trigger.subscription.clone(), message };
        let outcome = deliver(self.app.function.as_ref(), event, cx).await;
        self.settled(&at, &delivered, outcome, trigger.retry).await
    }

    /// A message that is to be handled now: a copy is waited for until it is due. `None` for what is done
    /// with: a copy for another subscription, or one whose place another has taken. Errors: where it is to come again.
    pub(super) async fn delivered(&self, at: &Location, push: Push) -> Result<Option<Delivered>> {
        let Push { message, subscription, attempt } = push;
        let mut arrived = message.open(attempt.unwrap_or(1));
        arrived.message.published_at = clock::sent_at(arrived.message.published_at, self.state.clock.now());
        if let (Some(meant_for), Some(here)) = (&arrived.meant_for, &subscription)
            && meant_for != here
        {
            tracing::debug!("a copy for another subscription is left to that");
            return Ok(None);
        }
        // What Pub/Sub counted while a copy was not due were no tries.
        let tried = if arrived.due.is_some() { arrived.attempts.saturating_add(1) } else { arrived.message.attempt };
        let delivered = Delivered { arrived, subscription, attempt: tried };
        let now = self.state.clock.now();
        let Some(left) = delivered.arrived.due.and_then(|due| due.duration_since(now).ok()) else {
            return Ok(Some(delivered));
        };
        if left <= LONGEST_HOLD {
            self.state.clock.pause(left).await;
            return Ok(Some(delivered));
        }
        match (attempt.unwrap_or(1) >= MANY, &delivered.subscription) {
            (true, Some(subscription)) => {
                let Delivered { arrived, .. } = &delivered;
                settle::again(&self.state, at, &arrived.message, subscription, left, arrived.attempts).await?;
                Ok(None)
            }
            _ => Err(Error::new(ErrorKind::Unavailable, "a message that is to be tried again later is not due yet")),
        }
    }

    /// Does what the app answered, and acknowledges only then: a message that is acknowledged is in no
    /// other place.
    pub(super) async fn settled(
        &self,
        at: &Location,
        delivered: &Delivered,
        outcome: Outcome,
        retry: RetryPolicy,
    ) -> std::result::Result<Response<Body>, Refused> {
        let Delivered { arrived, subscription, attempt } = delivered;
        let message = &arrived.message;
        let longest = PROFILE.limits.longest_retry(message.ordering_key.as_deref());
        let kept = match (retry.settle(*attempt, outcome, longest), subscription) {
            (Settlement::Done, _) => return Ok(answer::done()),
            (Settlement::DeadLetter(reason), _) => settle::bury(&self.state, at, message, &reason, *attempt).await,
            (Settlement::Retry(wait), Some(subscription)) if message.ordering_key.is_none() => {
                settle::again(&self.state, at, message, subscription, wait, *attempt).await
            }
            (Settlement::Retry(wait), _) => {
                self.state.clock.pause(wait.min(LONGEST_HOLD)).await;
                return Err(again("the message is to be tried again"));
            }
        };
        kept.map(|()| answer::done()).map_err(|error| {
            let id = message.id.as_str();
            tracing::error!(%at, id, attempt, ?error, "what became of a message cannot be kept; it comes again");
            again("what became of the message cannot be kept; it comes again")
        })
    }
}

fn again(why: &str) -> Refused {
    Refused { status: StatusCode::INTERNAL_SERVER_ERROR, error: Error::new(ErrorKind::Unavailable, why) }
}
