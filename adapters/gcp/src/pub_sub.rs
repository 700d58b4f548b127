//! Topics of Pub/Sub, and what their messages look like there.
//!
//! | | Pub/Sub |
//! |---|---|
//! | a topic is | a topic; messages with an ordering key and those without share it |
//! | who gets a message | every subscription; to a service Pub/Sub pushes it |
//! | dead letters | the topic `…--dead`, see [`dead`] |
//! | order | by ordering key, of who publishes from one region, in subscriptions with `enableMessageOrdering` |
//! | largest message | 10,000,000 bytes, its body in base64: about 7.4 million bytes of it |

pub(crate) mod dead;
mod outgoing;
mod publisher;
pub(crate) mod settle;
pub(crate) mod wire;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::Either;
use futures_util::stream::{self, StreamExt};
use isobar_abstraction::driver::Location;
use isobar_abstraction::driver::pub_sub::{MessageId, PubSub, RawMessage};
use isobar_abstraction::{Error, Result};

use crate::State;
use crate::config::Placement;
use outgoing::{Entry, split};
use publisher::{Attempt, Publisher};

/// Requests under way at once for one call of `publish`.
const AT_ONCE: usize = 8;

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn PubSub>> {
    match state.config.placement(at)? {
        Placement::PubSub { endpoint, project, topic } => {
            let publisher = Publisher::new(Arc::clone(state), endpoint, project, topic);
            Ok(Arc::new(CloudPubSub { state: Arc::clone(state), publisher }))
        }
        _ => Err(Error::config(format!("{at} is not in Pub/Sub"))),
    }
}

/// A topic of Pub/Sub.
#[derive(Debug)]
pub(crate) struct CloudPubSub {
    state: Arc<State>,
    publisher: Publisher,
}

/// What became of messages, by their places in the call.
type Sent = Vec<(usize, Result<MessageId>)>;

impl CloudPubSub {
    /// Sends messages of which none waits for another, in one request.
    async fn send(&self, batch: &[Entry<'_>]) -> Sent {
        match self.publisher.publish(batch).await {
            Attempt::Done(sent) => sent,
            Attempt::EachAlone => {
                let alone = batch.iter().map(|entry| self.publisher.publish(std::slice::from_ref(entry)));
                all_of(alone.collect()).await.into_iter().flat_map(Attempt::sent).collect()
            }
        }
    }

    /// Sends the messages of one key, one request after the other: a request is stored as a whole and in
    /// its order. What follows a message that failed is not sent.
    async fn send_in_order(&self, entries: Vec<Entry<'_>>) -> Sent {
        let mut sent = Sent::with_capacity(entries.len());
        let mut batches = VecDeque::from(split(&entries));
        while let Some(batch) = batches.pop_front() {
            match held_back(&sent) {
                Some(error) => sent.extend(batch.iter().map(|entry| (entry.place, Err(error.clone())))),
                None => match self.publisher.publish(batch).await {
                    Attempt::Done(results) => sent.extend(results),
                    Attempt::EachAlone => batch.chunks(1).rev().for_each(|alone| batches.push_front(alone)),
                },
            }
        }
        sent
    }
}

/// The error of a message whose forerunner failed, if it did.
fn held_back(sent: &Sent) -> Option<Error> {
    let failed = sent.iter().find_map(|(_, result)| result.as_ref().err())?;
    Some(Error::new(failed.kind(), "not sent, since an earlier message of its ordering key failed"))
}

/// Runs these, so many at once as a call may have requests. In no order: whoever ends makes room.
async fn all_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffer_unordered(AT_ONCE).collect().await
}

/// The messages of each key, and those of none, all in their order.
fn by_key(entries: Vec<Entry<'_>>) -> (Vec<Entry<'_>>, Vec<Vec<Entry<'_>>>) {
    let mut plain = Vec::new();
    let mut keyed: Vec<Vec<Entry<'_>>> = Vec::new();
    let mut groups: HashMap<&str, usize> = HashMap::new();
    for entry in entries {
        let Some(key) = entry.key() else {
            plain.push(entry);
            continue;
        };
        let group = *groups.entry(key).or_insert(keyed.len());
        if group == keyed.len() {
            keyed.push(Vec::new());
        }
        keyed[group].push(entry);
    }
    (plain, keyed)
}

#[async_trait]
impl PubSub for CloudPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let now = self.state.clock.now();
        let entries: Vec<_> =
            messages.iter().enumerate().map(|(place, raw)| Entry::new(place, wire::first(raw, now))).collect();
        let (plain, keyed) = by_key(entries);
        let plain = split(&plain).into_iter().map(|batch| Either::Left(self.send(batch)));
        // A request has messages of one key only: so Pub/Sub wants it.
        let keyed = keyed.into_iter().map(|entries| Either::Right(self.send_in_order(entries)));
        let sent: Vec<Sent> = all_of(plain.chain(keyed).collect()).await;
        let mut results: HashMap<usize, Result<MessageId>> = sent.into_iter().flatten().collect();
        let left_out = || Err(Error::internal("a message was left out"));
        (0..messages.len()).map(|place| results.remove(&place).unwrap_or_else(left_out)).collect()
    }
}

#[cfg(test)]
mod tests;
