//! Settlement of a message: publishes a copy to retry later, or a dead letter.
//!
//! Pub/Sub redelivers a message by the retry policy of the subscription, which cannot wait as long as a handler may
//! request. So a copy with its due time and its attempts is published.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message};
use isobar_abstraction::{Error, ErrorKind, Result};

use super::outgoing::Entry;
use super::publisher::Publisher;
use super::wire::{ATTEMPTS, DUE, FOR, WireMessage, copy, timestamp};
use crate::State;
use crate::config::QueuePlacement;

/// Publishes a copy that is due after `wait`, for one subscription: its name without the project. `attempt` is the
/// delivery attempt of the message.
///
/// Not for a message with an ordering key: its copy would follow later messages of the key.
pub(crate) async fn publish_copy(
    state: &Arc<State>,
    queue: &QueuePlacement,
    message: &Message<Bytes>,
    subscription: &str,
    wait: Duration,
    attempt: u32,
) -> Result<()> {
    let due = later(state.clock.now(), wait);
    let mut copy = copy(message);
    copy.set(ATTEMPTS, attempt.to_string());
    copy.set(DUE, timestamp(due));
    copy.set(FOR, subscription);
    send(&Publisher::near(state, queue, queue.topic.clone()), copy).await
}

/// Publishes a dead letter with its reason to the dead-letter topic of the queue. Sent to the topic of the queue without
/// change, it is for `subscription` only.
pub(crate) async fn publish_dead_letter(
    state: &Arc<State>,
    queue: &QueuePlacement,
    message: &Message<Bytes>,
    subscription: &str,
    reason: &str,
    attempt: u32,
) -> Result<()> {
    let publisher = Publisher::near(state, queue, queue.dead_letters());
    let details = DeadLetterDetails::new(attempt, reason, state.clock.now(), queue.source_name());
    let mut dead_letter = copy(message);
    for (name, value) in details.attributes() {
        dead_letter.set(name, value);
    }
    dead_letter.set(FOR, subscription);
    match send(&publisher, dead_letter).await {
        Err(error) if is_full(&error) => {
            // A message of another publisher with too many attributes.
            tracing::error!(
                subscription,
                id = message.id.as_str(),
                reason,
                "a dead letter is stored without its reason: its attributes are full"
            );
            send_without_reason(&publisher, message, subscription).await
        }
        sent => sent,
    }
}

/// Publishes a dead letter for which only one attribute, or none, has room.
async fn send_without_reason(publisher: &Publisher, message: &Message<Bytes>, subscription: &str) -> Result<()> {
    let mut named = unchanged(message);
    named.set(FOR, subscription);
    match send(publisher, named).await {
        Err(error) if is_full(&error) => {
            let id = message.id.as_str();
            tracing::error!(
                subscription,
                id,
                "a dead letter is stored without `{FOR}` too: sent again, it reaches every subscription of its topic"
            );
            send(publisher, unchanged(message)).await
        }
        sent => sent,
    }
}

async fn send(publisher: &Publisher, message: WireMessage<'_>) -> Result<()> {
    let results = publisher.publish(&[Entry::new(0, message)]).await.results();
    let (_, result) = results
        .into_iter()
        .next()
        .ok_or_else(|| Error::internal("bug in isobar: a message was not published; please report it"))?;
    result.map(|_| ())
}

/// Whether Pub/Sub may have rejected a message because of isobar's attributes.
fn is_full(error: &Error) -> bool {
    !error.outcome_unknown() && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge)
}

fn unchanged(message: &Message<Bytes>) -> WireMessage<'_> {
    let mut copy = copy(message);
    copy.attributes.retain(|name, _| message.attributes.contains_key(name.as_ref()));
    copy
}
