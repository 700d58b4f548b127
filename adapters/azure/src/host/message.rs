//! Messages of a topic, from Service Bus or from a Storage Queue; and the writes of a table, from their queue.

use std::time::Duration;

use crate::profile::PROFILE;
use futures_util::future::{Either, select};
use http::Response;
use isobar_abstraction::driver::RetryPolicy;
use isobar_abstraction::driver::host::deliver;
use isobar_abstraction::{Body, Context, Error, ErrorKind, EventQueue, Outcome, Result, clock};

use super::{CustomHandler, Kind, answer};
use crate::config::Placed;
use crate::event::{self, Payload};
use crate::pub_sub::settle::{Settled, carry_out};
use crate::pub_sub::wire::{self, Arrived, FOR};

/// The time for settling a message after its handler's deadline.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(4);

impl CustomHandler {
    /// Handles a message. An unreadable message is treated as one that the app rejects.
    pub(super) async fn message(&self, kind: Kind, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let (trigger, placed) = self.queue(kind, name)?;
        let payload = Payload::read(body)?;
        payload.check_single()?;
        let properties = payload.properties();
        // Service Bus does not distinguish the case of names.
        if let Placed::ServiceBus { subscription, .. } = &placed
            && properties.iter().any(|(name, value)| name == FOR && !value.eq_ignore_ascii_case(subscription))
        {
            tracing::debug!("skipped a copy for another subscription");
            return Ok(answer::done());
        }
        let (arrived, unreadable) = self.opened(&payload, properties)?;
        let cx = cx.with_attempt(arrived.message.attempt);
        let outcome = match (unreadable, trigger.0.event(arrived.message.clone())) {
            (Some(rejected), _) => rejected,
            (None, Ok(event)) => deliver(self.app.function.as_ref(), event, cx.clone()).await,
            (None, Err(error)) => Outcome::reject(format!("the message cannot be read: {}", error.message())),
        };
        self.settled(kind, &placed, &arrived, outcome, trigger, &cx).await
    }

    /// The queue of the trigger of a function, with its retry policy, and its place.
    pub(super) fn queue(&self, kind: Kind, name: &str) -> Result<((EventQueue, RetryPolicy), Placed)> {
        let trigger = kind.queue(name, &self.app.manifest).ok_or_else(|| self.unknown(&kind.plain(name)))?;
        let placed = self.state.config.trigger(&trigger.0)?;
        Ok((trigger, placed))
    }

    /// A message, and the outcome if it is unreadable, which no retry changes.
    pub(super) fn opened(
        &self,
        payload: &Payload<'_>,
        properties: Vec<(String, String)>,
    ) -> Result<(Arrived, Option<Outcome>)> {
        let (body, attempt) = (event::bytes(payload.only()?), payload.attempt());
        let (mut arrived, unreadable) = match wire::open(&body, properties.clone(), attempt) {
            Ok(arrived) => (arrived, None),
            Err(error) => {
                let reason = format!("the message cannot be read: {}", error.message());
                (Arrived::raw(&body, properties, attempt), Some(Outcome::reject(reason)))
            }
        };
        arrived.message.published_at = clock::sent_at(arrived.message.published_at, self.state.clock.now());
        Ok((arrived, unreadable))
    }

    /// Applies the app's outcome, and responds to the platform only after that: the platform deletes a completed
    /// message.
    ///
    /// `kind` is that of the called function. The ordering key does not show whether the subscription has sessions:
    /// other senders set one on the plain topic too.
    pub(super) async fn settled(
        &self,
        kind: Kind,
        placed: &Placed,
        arrived: &Arrived,
        outcome: Outcome,
        (queue, retry): (EventQueue, RetryPolicy),
        cx: &Context,
    ) -> Result<Response<Body>> {
        if outcome == Outcome::Ack {
            return Ok(answer::done());
        }
        let attempt = arrived.message.attempt;
        let (ordered, limits) = (kind == Kind::Fifo, &PROFILE.limits);
        let longest = if ordered { limits.ordered_retry_after } else { limits.retry_after };
        let settlement = retry.settle(attempt, outcome, longest);
        let settling = carry_out(&self.state, placed, arrived, settlement, attempt, ordered);
        let timeout = SETTLE_TIMEOUT + self.hold_time(kind);
        let late = self.state.clock.sleep(cx.remaining().unwrap_or_default().saturating_add(timeout));
        match select(std::pin::pin!(settling), late).await {
            Either::Left((Ok(Settled::Done), _)) => return Ok(answer::done()),
            Either::Left((Err(error), _)) => {
                let id = arrived.message.id.as_str();
                tracing::error!(%queue, id, attempt, ?error, "a message cannot be settled; the platform delivers it again");
            }
            _ => {}
        }
        Err(again("the message is not settled; the platform delivers it again"))
    }
}

fn again(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, why)
}
