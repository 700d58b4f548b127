//! What becomes of a message after its handler answered: a copy that is tried again later, or a dead
//! letter.
//!
//! Pub/Sub delivers again what was not acknowledged when its subscription's retry policy says so, which
//! cannot wait for as long as a handler asked to. A copy tells when it is due, and how often its message
//! was delivered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message};
use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, ErrorKind, Result};

use super::outgoing::Entry;
use super::publisher::Publisher;
use super::wire::{ATTEMPTS, Carried, DUE, FOR, copy, written};
use crate::State;
use crate::config::Placement;

/// Publishes a copy that is due after `wait`, for one subscription: its name
/// without the project. `attempt` is how often the message was delivered.
///
/// Not for a message with an ordering key: a copy would come after the later ones of its key.
pub(crate) async fn again(
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
    copy.say(ATTEMPTS, attempt.to_string());
    copy.say(DUE, written(due));
    copy.say(FOR, subscription);
    send(&Publisher::new(Arc::clone(state), endpoint, project, topic), copy).await
}

/// Keeps a dead letter with its reason, in the topic of them that belongs to `at`, which is the topic that
/// the message came from, or the bucket whose event it is.
pub(crate) async fn bury(
    state: &Arc<State>,
    at: &Location,
    message: &Message<Bytes>,
    reason: &str,
    attempt: u32,
) -> Result<()> {
    let (grave, source) = grave(state, at)?;
    let mut letter = copy(message);
    for (name, value) in DeadLetterDetails::new(attempt, reason, state.clock.now(), &source).attributes() {
        letter.say(name, value);
    }
    match send(&grave, letter).await {
        Err(error) if is_full(&error) => {
            // Somebody else's message, which has no room for a reason. It is kept as it came.
            tracing::error!(%at, id = message.id.as_str(), reason, "a dead letter has no room to tell its reason");
            send(&grave, as_it_came(message)).await
        }
        sent => sent,
    }
}

/// Where the dead letters go, and the name of what they come from.
fn grave(state: &Arc<State>, at: &Location) -> Result<(Publisher, String)> {
    let (placed, source) = match state.config.placement(at)? {
        Placement::PubSub { endpoint, project, topic } => {
            let grave = Derived::DeadLetters.of(&topic);
            (Placement::PubSub { endpoint, project, topic: grave }, topic)
        }
        Placement::Storage { bucket, .. } => {
            let grave = Derived::DeadLetters.of(&Derived::Events.of(&bucket));
            let url = ResourceUrl::parse(&format!("pubsub://{grave}"))?;
            (state.config.placement(&Location::new(ResourceKind::Topic, at.name()).with_url(url))?, bucket)
        }
        Placement::Firestore { .. } => return Err(no_topic(at)),
    };
    let Placement::PubSub { endpoint, project, topic } = placed else { return Err(no_topic(at)) };
    Ok((Publisher::new(Arc::clone(state), endpoint, project, topic), source))
}

async fn send(publisher: &Publisher, carried: Carried<'_>) -> Result<()> {
    let sent = publisher.publish(&[Entry::new(0, carried)]).await.sent();
    let (_, result) = sent.into_iter().next().ok_or_else(|| Error::internal("a message was left out"))?;
    result.map(|_| ())
}

/// Does Pub/Sub not take a message for what we added to it?
fn is_full(error: &Error) -> bool {
    !error.outcome_unknown() && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge)
}

fn as_it_came(message: &Message<Bytes>) -> Carried<'_> {
    let mut copy = copy(message);
    copy.attributes.retain(|name, _| message.attributes.contains_key(name.as_ref()));
    copy
}

fn no_topic(at: &Location) -> Error {
    Error::config(format!("{at} is neither in Pub/Sub nor in Cloud Storage"))
}
