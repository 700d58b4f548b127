//! Pub/sub of the local provider: topics, and the events of buckets, in one durable queue.

mod dead;
mod lane;
mod look;
mod queue;
mod record;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::pub_sub::{MessageId, PubSub, RawMessage};
use isobar_abstraction::{Error, Result};

pub(crate) use lane::{Row, enqueue_in};
pub(crate) use queue::{Leased, Queue};

/// Where events come from: a topic, or a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    kind: ResourceKind,
    name: String,
}

impl Source {
    pub(crate) fn topic(name: impl Into<String>) -> Self {
        Self { kind: ResourceKind::Topic, name: name.into() }
    }

    pub(crate) fn bucket(name: impl Into<String>) -> Self {
        Self { kind: ResourceKind::Bucket, name: name.into() }
    }

    pub(crate) fn kind(&self) -> ResourceKind {
        self.kind
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        format!("{}/{}", self.kind.name(), self.name)
    }

    fn from_key(key: &str) -> Option<Self> {
        match key.split_once('/')? {
            ("topic", name) => Some(Self::topic(name)),
            ("bucket", name) => Some(Self::bucket(name)),
            _ => None,
        }
    }
}

/// A topic in the local queue.
#[derive(Debug)]
pub(crate) struct LocalPubSub {
    source: Source,
    queue: Queue,
}

impl LocalPubSub {
    pub(crate) fn new(topic: &str, queue: Queue) -> Self {
        Self { source: Source::topic(topic), queue }
    }
}

#[async_trait]
impl PubSub for LocalPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let count = messages.len();
        match self.queue.publish(&self.source, messages).await {
            Ok(ids) => ids.into_iter().map(Ok).collect(),
            Err(error) => (0..count).map(|_| Err(Error::clone(&error))).collect(),
        }
    }
}
