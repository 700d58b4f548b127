//! Settlement of a message: publishes a copy to retry later, or a dead letter.
//!
//! Pub/Sub redelivers a message by the retry policy of the subscription, which cannot wait as long as a handler may
//! request. So a copy with its due time and its attempts is published.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message};
use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, ErrorKind, Result};

use super::outgoing::Entry;
use super::publisher::Publisher;
use super::wire::{ATTEMPTS, DUE, FOR, WireMessage, copy, timestamp};
use crate::State;
use crate::config::Placement;

/// Publishes a copy that is due after `wait`, for one subscription: its name without the project. `attempt` is the
/// delivery attempt of the message.
///
/// Not for a message with an ordering key: its copy would follow later messages of the key.
pub(crate) async fn publish_copy(
    state: &Arc<State>,
    at: &Location,
    message: &Message<Bytes>,
    subscription: &str,
    wait: Duration,
    attempt: u32,
) -> Result<()> {
    let Placement::PubSub { endpoint, project, topic } = state.config.placement(at)? else { return Err(no_topic(at)) };
    let due = later(state.clock.now(), wait);
    let mut copy = copy(message);
    copy.set(ATTEMPTS, attempt.to_string());
    copy.set(DUE, timestamp(due));
    copy.set(FOR, subscription);
    send(&Publisher::new(Arc::clone(state), endpoint, project, topic), copy).await
}

/// Publishes a dead letter with its reason to the dead-letter topic of `at`, the topic of the message or the bucket of
/// the event.
pub(crate) async fn publish_dead_letter(
    state: &Arc<State>,
    at: &Location,
    message: &Message<Bytes>,
    reason: &str,
    attempt: u32,
) -> Result<()> {
    let (publisher, source) = dead_letter_topic(state, at)?;
    let mut dead_letter = copy(message);
    for (name, value) in DeadLetterDetails::new(attempt, reason, state.clock.now(), &source).attributes() {
        dead_letter.set(name, value);
    }
    match send(&publisher, dead_letter).await {
        Err(error) if is_full(&error) => {
            // A message of another publisher with too many attributes: it is stored unchanged.
            tracing::error!(%at, id = message.id.as_str(), reason, "a dead letter is stored without its reason: its attributes are full");
            send(&publisher, unchanged(message)).await
        }
        sent => sent,
    }
}

/// The publisher of the dead-letter topic, and the name of the source.
fn dead_letter_topic(state: &Arc<State>, at: &Location) -> Result<(Publisher, String)> {
    let (placement, source) = match state.config.placement(at)? {
        Placement::PubSub { endpoint, project, topic } => {
            let dead_letters = Derived::DeadLetters.of(&topic);
            (Placement::PubSub { endpoint, project, topic: dead_letters }, topic)
        }
        Placement::Storage { bucket, .. } => {
            let dead_letters = Derived::DeadLetters.of(&Derived::Events.of(&bucket));
            let url = ResourceUrl::parse(&format!("pubsub://{dead_letters}"))?;
            (state.config.placement(&Location::new(ResourceKind::Topic, at.name()).with_url(url))?, bucket)
        }
        Placement::Firestore { .. } => return Err(no_topic(at)),
    };
    let Placement::PubSub { endpoint, project, topic } = placement else { return Err(no_topic(at)) };
    Ok((Publisher::new(Arc::clone(state), endpoint, project, topic), source))
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

fn no_topic(at: &Location) -> Error {
    Error::config(format!("{at} is neither in Pub/Sub nor in Cloud Storage"))
}
