//! [`PubSub`]: the trait that an adapter of a pub/sub service implements, and its types.
//!
//! It has one method. Delivery is not part of it: a host receives messages in the platform's form, as an invocation on AWS
//! and as requests on Azure and Google Cloud, and calls [`host::deliver`](crate::driver::host::deliver).

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Message, MessageId};
use crate::{Result, TraceParent};

/// A pub/sub service: the trait that an adapter implements.
///
/// The portable type has checked sizes, attributes, ordering keys and access. So an implementer never receives an empty
/// body or an empty batch.
///
/// Implementers must:
/// - return one result for each message, in the order of the messages, independent of the results of the others;
/// - divide the batch by the limits of the service: 10 messages on SNS, 1,000 on Pub/Sub;
/// - have a message stored durably before it is `Ok`;
/// - keep body, attributes, ordering key and trace parent bit for bit, also a body that is not text;
/// - keep the order of messages with the same ordering key, within a batch and between calls that follow each other;
/// - send the due time with the message: its host delivers it not before that time, and counts no earlier delivery as an
///   attempt;
/// - return `Unsupported` for an ordering key if the service keeps no order, as a Storage Queue;
/// - set [`outcome_unknown`](crate::Error::with_outcome_unknown) if a message may have been accepted although the request
///   failed.
#[async_trait]
pub trait PubSub: fmt::Debug + Send + Sync + 'static {
    /// Publishes messages, and returns the id or the error of each.
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>>;
}

/// A message to publish in the form of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawMessage {
    /// The body, never empty. It can be any bytes: see [`plain_text`](super::plain_text).
    pub body: Bytes,
    /// The attributes, at most 8 with the portable limits.
    pub attributes: BTreeMap<String, String>,
    /// The ordering key: messages with the same one are delivered one after the other, in the order of publishing.
    pub ordering_key: Option<String>,
    /// The earliest time of the first delivery, by the clock of the provider; `None` for no delay. Never together with an
    /// ordering key.
    pub due: Option<SystemTime>,
    /// The trace of the publisher, to send as the attribute `traceparent`.
    pub trace_parent: TraceParent,
}

impl RawMessage {
    /// A message without attributes, ordering key and due time.
    pub fn new(body: impl Into<Bytes>, trace_parent: TraceParent) -> Self {
        Self { body: body.into(), attributes: BTreeMap::new(), ordering_key: None, due: None, trace_parent }
    }

    /// Sets the attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: BTreeMap<String, String>) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the ordering key.
    #[must_use]
    pub fn with_ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }

    /// Sets the due time; `None` for no delay.
    #[must_use]
    pub fn with_due(mut self, due: impl Into<Option<SystemTime>>) -> Self {
        self.due = due.into();
        self
    }

    /// The message in the form of a delivery, with its id.
    pub fn into_message(self, id: MessageId, published_at: SystemTime) -> Message<Bytes> {
        let Self { body, attributes, ordering_key, trace_parent, due: _ } = self;
        let trace_parent = Some(trace_parent);
        Message { attributes, ordering_key, trace_parent, ..Message::new(id, body, published_at) }
    }
}
