//! Topics of Pub/Sub.
//!
//! | | Pub/Sub |
//! |---|---|
//! | topic | a topic, for messages with and without an ordering key |
//! | delivery | to every subscription; Pub/Sub pushes messages to a service |
//! | dead letters | for each subscription a topic `…--dead`, see [`dead_letters`] |
//! | order | by ordering key, for messages published in one region, in subscriptions with `enableMessageOrdering` |
//! | largest message | 10,000,000 bytes, with the body in base64: a body of about 7.4 million bytes |

pub(crate) mod backlog;
pub(crate) mod dead_letters;
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
use crate::config::{Placement, QueuePlacement};
use outgoing::{Entry, split};
use publisher::{Attempt, Publisher};

/// The maximum number of concurrent requests of one call of `publish`.
const MAX_CONCURRENT: usize = 8;

/// Opens the topic at a location of the configuration, without connecting. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn PubSub>> {
    match state.config.placement(at)? {
        Placement::PubSub { endpoint, project, topic } => {
            let publisher = Publisher::new(Arc::clone(state), endpoint, project, topic);
            Ok(Arc::new(CloudPubSub { state: Arc::clone(state), publisher }))
        }
        _ => Err(Error::config(format!("{at} is not in Pub/Sub: use a URL pubsub://"))),
    }
}

/// Publishes messages to the topic of a queue. Errors: that of a message that was not stored.
pub(crate) async fn publish(state: &Arc<State>, queue: &QueuePlacement, messages: Vec<RawMessage>) -> Result<()> {
    let publisher = Publisher::near(state, queue, queue.topic.clone());
    let topic = CloudPubSub { state: Arc::clone(state), publisher };
    topic.publish(messages).await.into_iter().try_for_each(|stored| stored.map(drop))
}

/// A topic of Pub/Sub.
#[derive(Debug)]
pub(crate) struct CloudPubSub {
    state: Arc<State>,
    publisher: Publisher,
}

/// The results of messages, with their indexes in the call.
type Results = Vec<(usize, Result<MessageId>)>;

impl CloudPubSub {
    /// Sends messages without an order in one request.
    async fn send(&self, batch: &[Entry<'_>]) -> Results {
        match self.publisher.publish(batch).await {
            Attempt::Done(sent) => sent,
            Attempt::SendSeparately => {
                let single = batch.iter().map(|entry| self.publisher.publish(std::slice::from_ref(entry)));
                all_of(single.collect()).await.into_iter().flat_map(Attempt::results).collect()
            }
        }
    }

    /// Sends the messages of one key, one request after the other: Pub/Sub stores a request as a whole and in its
    /// order. Messages after a failed one are not sent.
    async fn send_in_order(&self, entries: Vec<Entry<'_>>) -> Results {
        let mut sent = Results::with_capacity(entries.len());
        let mut batches = VecDeque::from(split(&entries));
        while let Some(batch) = batches.pop_front() {
            match error_of_earlier(&sent) {
                Some(error) => sent.extend(batch.iter().map(|entry| (entry.index, Err(error.clone())))),
                None => match self.publisher.publish(batch).await {
                    Attempt::Done(results) => sent.extend(results),
                    Attempt::SendSeparately => batch.chunks(1).rev().for_each(|single| batches.push_front(single)),
                },
            }
        }
        sent
    }
}

/// The error of a message after a failed one of its key, if one failed.
fn error_of_earlier(sent: &Results) -> Option<Error> {
    let failed = sent.iter().find_map(|(_, result)| result.as_ref().err())?;
    Some(Error::new(failed.kind(), "not sent, since an earlier message of its ordering key failed"))
}

/// Runs futures concurrently, at most [`MAX_CONCURRENT`] at a time. The outputs are in the order of completion.
async fn all_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffer_unordered(MAX_CONCURRENT).collect().await
}

/// The messages without a key, and those of each key, in their order.
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
        let entries = messages.iter().enumerate().map(|(index, raw)| Entry::new(index, wire::first(raw, now)));
        self.publish_entries(entries.collect()).await
    }
}

impl CloudPubSub {
    /// Publishes messages, whose indexes are their places.
    async fn publish_entries(&self, entries: Vec<Entry<'_>>) -> Vec<Result<MessageId>> {
        let count = entries.len();
        let (plain, keyed) = by_key(entries);
        let plain = split(&plain).into_iter().map(|batch| Either::Left(self.send(batch)));
        // Pub/Sub requires that all messages of a request have the same key.
        let keyed = keyed.into_iter().map(|entries| Either::Right(self.send_in_order(entries)));
        let sent: Vec<Results> = all_of(plain.chain(keyed).collect()).await;
        let mut results: HashMap<usize, Result<MessageId>> = sent.into_iter().flatten().collect();
        let missing = || Err(Error::internal("bug in isobar: a message was not published; please report it"));
        (0..count).map(|index| results.remove(&index).unwrap_or_else(missing)).collect()
    }
}

#[cfg(test)]
mod tests;
