//! Pub/sub of the local provider: the queues of subscriptions, of object events and of writes, in one file.

mod backlog;
mod dead;
mod enqueue;
mod held;
mod lane;
mod look;
mod queue;
mod record;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::pub_sub::{MessageId, PubSub, RawMessage};
use isobar_abstraction::{Error, EventQueue, Result};

pub(crate) use backlog::LocalBacklog;
pub(crate) use enqueue::Enqueuer;
pub(crate) use lane::Row;
pub(crate) use look::{Waiting, each_message};
pub(crate) use queue::{Leased, Queue};
pub(crate) use record::number_in;

/// The name of a queue in the file: `topic/clicks`, or `topic/clicks/index`. The source has its physical name.
fn key(queue: &EventQueue) -> String {
    let source = source_key(queue.kind(), queue.source());
    if queue.is_default() { source } else { format!("{source}/{}", queue.name()) }
}

fn source_key(kind: ResourceKind, source: &str) -> String {
    format!("{kind}/{source}")
}

fn from_key(key: &str) -> Option<EventQueue> {
    let (kind, rest) = key.split_once('/')?;
    let kind = ResourceKind::OWN.into_iter().find(|own| own.name() == kind)?;
    // The name of a queue is a logical name, which contains no slash.
    Some(match rest.rsplit_once('/') {
        Some((source, name)) => EventQueue::of(kind, source).named(name),
        None => EventQueue::of(kind, rest),
    })
}

/// A topic in the local queue.
#[derive(Debug)]
pub(crate) struct LocalPubSub {
    topic: String,
    queue: Queue,
}

impl LocalPubSub {
    pub(crate) fn new(topic: &str, queue: Queue) -> Self {
        Self { topic: topic.to_owned(), queue }
    }
}

#[async_trait]
impl PubSub for LocalPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let count = messages.len();
        match self.queue.publish(&self.topic, messages).await {
            Ok(ids) => ids.into_iter().map(Ok).collect(),
            Err(error) => (0..count).map(|_| Err(Error::clone(&error))).collect(),
        }
    }
}
