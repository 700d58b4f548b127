//! What a pub/sub service is to the portable types: the trait that an adapter implements, and its types.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Message, MessageId};
use crate::{Result, TraceParent};

/// A pub/sub service: the trait that an adapter implements.
///
/// Delivery is the host's part. The portable type has already checked sizes, attributes, ordering
/// keys and access, so an implementer never gets an empty body or an empty batch.
///
/// Implementers must:
/// - answer with one result for each message, in the order of the messages, whatever the service
///   did with its neighbours, and split the batch as the service wants it;
/// - have a message stored durably before it is `Ok`;
/// - keep body, attributes, ordering key and trace parent bit for bit;
/// - set `outcome_unknown` where a message may have been taken although the call failed.
#[async_trait]
pub trait PubSub: fmt::Debug + Send + Sync + 'static {
    /// Publishes messages.
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>>;
}

/// A message on its way to a service, as a driver gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawMessage {
    /// The body; never empty.
    pub body: Bytes,
    /// Up to 8 attributes.
    pub attributes: BTreeMap<String, String>,
    /// Messages of one key are delivered one after the other, in the order of publishing.
    pub ordering_key: Option<String>,
    /// The trace of the publisher; it travels as the attribute `traceparent`.
    pub trace_parent: TraceParent,
}

impl RawMessage {
    /// A message without attributes and ordering key.
    pub fn new(body: impl Into<Bytes>, trace_parent: TraceParent) -> Self {
        Self { body: body.into(), attributes: BTreeMap::new(), ordering_key: None, trace_parent }
    }

    /// Its attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: BTreeMap<String, String>) -> Self {
        self.attributes = attributes;
        self
    }

    /// Its ordering key.
    #[must_use]
    pub fn with_ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }

    /// The message as it will arrive, under its id.
    pub fn into_message(self, id: MessageId, published_at: SystemTime) -> Message<Bytes> {
        let Self { body, attributes, ordering_key, trace_parent } = self;
        let trace_parent = Some(trace_parent);
        Message { attributes, ordering_key, trace_parent, ..Message::new(id, body, published_at) }
    }
}
