//! Settles a message after its handler returned: sends a copy to retry later, moves it to the dead letters, or completes
//! it.
//!
//! isobar counts the attempts, not the platform, and in the same way on both services: a retry is a copy that contains
//! the number of attempts. Only a message of a subscription with sessions stays in place, since a copy would be delivered
//! after later messages of its key: its response is held back for the wait, so that the platform delivers it again after
//! that, before any other message of its session.

use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::clock::later;
use isobar_abstraction::driver::pub_sub::DeadLetterDetails;
use isobar_abstraction::driver::{Derived, POISON, Settlement};
use isobar_abstraction::{Error, Result};

use super::service_bus::{Entry, Extra, send_one};
use super::storage_queue::{TEXT_BYTES, send, text};
use super::wire::{Arrived, Sending, envelope};
use crate::State;
use crate::config::Placed;

/// The response to the platform for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The message is complete: respond with 2xx.
    Done,
    /// The platform must deliver the message again: respond with 500.
    Again,
}

/// Carries out the settlement of a trigger's [`RetryPolicy`](isobar_abstraction::driver::RetryPolicy) for a message. `placed`
/// is the place of the trigger's queue; `ordered` means that its subscription has sessions.
///
/// After an error the platform must deliver the message again: nothing is dropped.
pub(crate) async fn carry_out(
    state: &Arc<State>,
    placed: &Placed,
    arrived: &Arrived,
    settlement: Settlement,
    attempt: u32,
    ordered: bool,
) -> Result<Settled> {
    match settlement {
        Settlement::Done => {}
        Settlement::Retry(wait) if ordered => return Ok(hold(state, wait).await),
        Settlement::Retry(wait) => send_copy(state, placed, arrived, wait, attempt).await?,
        Settlement::DeadLetter(reason) => send_dead_letter(state, placed, arrived, &reason, attempt).await?,
    }
    Ok(Settled::Done)
}

/// Holds the response back for the wait, which is at most the profile's `ordered_retry_after`.
async fn hold(state: &Arc<State>, wait: Duration) -> Settled {
    state.clock.pause(wait).await;
    Settled::Again
}

/// Sends a copy that is delivered after `wait`.
async fn send_copy(state: &Arc<State>, placed: &Placed, arrived: &Arrived, wait: Duration, attempt: u32) -> Result<()> {
    let sending = Sending { attempts: attempt, details: None };
    match placed {
        Placed::ServiceBus { namespace, topic, subscription } => {
            let extra = Extra {
                only_for: Some(subscription),
                id_suffix: Some(format!("~{attempt}")),
                not_before: Some(later(state.clock.now(), wait)),
                ..Extra::default()
            };
            let entry = Entry::new(&arrived.message, sending, &extra)?;
            send_one(state, namespace, topic, &entry).await
        }
        Placed::Queue { account, queue } => {
            let text = text(&envelope::write(&arrived.message, sending)?);
            // A message of another sender may be too large with an envelope: then the platform counts the attempts.
            send(state, account, queue, &text, Some(wait)).await
        }
        _ => Err(no_queue()),
    }
}

/// Sends a message to the dead letters, with its reason.
async fn send_dead_letter(
    state: &Arc<State>,
    placed: &Placed,
    arrived: &Arrived,
    reason: &str,
    attempt: u32,
) -> Result<()> {
    let now = state.clock.now();
    let details = |source: &str| Some(DeadLetterDetails::new(attempt, reason, now, source));
    match placed {
        Placed::ServiceBus { namespace, topic, subscription } => {
            let sending = Sending { attempts: 0, details: details(&format!("{topic}/{subscription}")) };
            // With its subscription, so that a redrive to the topic reaches no other.
            let extra = Extra {
                only_for: Some(subscription),
                id_suffix: Some("~dead".to_owned()),
                unordered: true,
                ..Extra::default()
            };
            let entry = Entry::new(&arrived.message, sending, &extra)?;
            // The subscription of the ordered messages has the same queue of dead letters.
            send_one(state, namespace, &Derived::DeadLetters.of(subscription), &entry).await
        }
        Placed::Queue { account, queue } => {
            let sending = Sending { attempts: 0, details: details(queue) };
            let mut dead_letter = text(&envelope::write(&arrived.message, sending)?);
            if dead_letter.len() > TEXT_BYTES {
                // A message of another sender, too large for an envelope. It is stored as received.
                tracing::error!(queue, reason, "a dead letter is stored without its reason, since it is too large");
                dead_letter = text(&arrived.message.body);
            }
            // Functions itself uses this name.
            send(state, account, &format!("{queue}{POISON}"), &dead_letter, None).await
        }
        _ => Err(no_queue()),
    }
}

fn no_queue() -> Error {
    Error::internal("bug in isobar: a message is from neither Service Bus nor a Storage Queue; please report it")
}
