//! What becomes of a message after its handler answered: a copy that is tried again later, a dead
//! letter, or nothing more.
//!
//! The attempts are counted here and alike on both services, not by the platform: what is tried again is
//! a copy that carries how often it was delivered. Only a message of a subscription with sessions is left
//! where it is, since a copy would come after the later ones of its key: its answer is held back for the wait, so
//! that the platform delivers it again then, before any other of its session.

use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::clock::later;
use isobar_abstraction::driver::pub_sub::DeadLetterDetails;
use isobar_abstraction::driver::{Derived, Location, POISON, Settlement};
use isobar_abstraction::{Error, Result};

use super::service_bus::{Entry, Extra, send_one};
use super::storage_queue::{TEXT_BYTES, send, text};
use super::wire::{Arrived, Sending, envelope};
use crate::State;
use crate::config::Placed;

/// What the platform is told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is done with: answer 2xx.
    Done,
    /// It is to come again as it is: answer 500.
    Again,
}

/// Carries out what a trigger's [`RetryPolicy`](isobar_abstraction::driver::RetryPolicy) said of a message. `at` is its topic;
/// `ordered` says that its subscription has sessions.
///
/// What cannot be kept is logged, and the message is to come again: nothing is dropped.
pub(crate) async fn carry_out(
    state: &Arc<State>,
    at: &Location,
    arrived: &Arrived,
    settlement: Settlement,
    attempt: u32,
    ordered: bool,
) -> Settled {
    let kept = match settlement {
        Settlement::Done => return Settled::Done,
        Settlement::Retry(wait) if ordered => return hold(state, wait).await,
        Settlement::Retry(wait) => again(state, at, arrived, wait, attempt).await,
        Settlement::DeadLetter(reason) => bury(state, at, arrived, &reason, attempt).await,
    };
    match kept {
        Ok(()) => Settled::Done,
        Err(error) => {
            let id = arrived.message.id.as_str();
            tracing::error!(%at, id, attempt, ?error, "what became of a message cannot be kept; it comes again");
            Settled::Again
        }
    }
}

/// Holds the answer back, for no longer than the profile's `ordered_retry_after`.
async fn hold(state: &Arc<State>, wait: Duration) -> Settled {
    state.clock.pause(wait).await;
    Settled::Again
}

/// Sends a copy that comes after `wait`.
async fn again(state: &Arc<State>, at: &Location, arrived: &Arrived, wait: Duration, attempt: u32) -> Result<()> {
    let sending = Sending { attempts: attempt, details: None };
    match state.config.place(at)? {
        Placed::ServiceBus { namespace, topic, subscription } => {
            let extra = Extra {
                meant_for: Some(&subscription),
                id_end: Some(format!("~{attempt}")),
                not_before: Some(later(state.clock.now(), wait)),
                ..Extra::default()
            };
            let entry = Entry::new(&arrived.message, sending, &extra)?;
            send_one(state, &namespace, &topic, &entry).await
        }
        Placed::Queue { account, queue } => {
            let text = text(&envelope::write(&arrived.message, sending)?);
            // Somebody else's message may be too large for an envelope: then the platform counts.
            send(state, &account, &queue, &text, Some(wait)).await
        }
        _ => Err(no_topic(at)),
    }
}

/// Keeps a dead letter with its reason.
async fn bury(state: &Arc<State>, at: &Location, arrived: &Arrived, reason: &str, attempt: u32) -> Result<()> {
    let now = state.clock.now();
    let details = |source: &str| Some(DeadLetterDetails::new(attempt, reason, now, source));
    match state.config.place(at)? {
        Placed::ServiceBus { namespace, topic, subscription } => {
            let sending = Sending { attempts: 0, details: details(&format!("{topic}/{subscription}")) };
            let extra = Extra { id_end: Some("~dead".to_owned()), unordered: true, ..Extra::default() };
            let entry = Entry::new(&arrived.message, sending, &extra)?;
            // Also of the subscription of the ordered messages.
            send_one(state, &namespace, &Derived::DeadLetters.of(&subscription), &entry).await
        }
        Placed::Queue { account, queue } => {
            let sending = Sending { attempts: 0, details: details(&queue) };
            let mut letter = text(&envelope::write(&arrived.message, sending)?);
            if letter.len() > TEXT_BYTES {
                // Somebody else's message, which has no room for a reason. It is kept as it came.
                tracing::error!(queue, reason, "a dead letter is too large to tell its reason");
                letter = text(&arrived.message.body);
            }
            // The name is Functions' own.
            send(state, &account, &format!("{queue}{POISON}"), &letter, None).await
        }
        _ => Err(no_topic(at)),
    }
}

fn no_topic(at: &Location) -> Error {
    Error::config(format!("{at} is neither in Service Bus nor in a Storage Queue"))
}
