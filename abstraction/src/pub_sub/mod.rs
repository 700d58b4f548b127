//! Pub/sub: the driver trait and its types. The type that apps hold is [`Topic`].

mod death;
mod message;
mod topic;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;

pub use death::Death;
pub use message::{Message, MessageId, Outgoing, plain_text};
pub use topic::{DEFAULT_SUBSCRIPTION, Subscription, Topic};

use crate::{Result, TraceParent};

/// A pub/sub service: the trait that an adapter implements.
///
/// Delivery is the host's part. The portable type has already checked sizes, attributes, ordering
/// keys and access, so an implementer is never given an empty body or an empty batch.
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

/// A message on its way to a service, as a driver is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The message as it will arrive, under its id.
    pub fn into_message(self, id: MessageId, published_at: SystemTime) -> Message<Bytes> {
        let Self { body, attributes, ordering_key, trace_parent } = self;
        let trace_parent = Some(trace_parent);
        Message { attributes, ordering_key, trace_parent, ..Message::new(id, body, published_at) }
    }
}

/// An event that was given up, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id of the message, or of the object event.
    pub id: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: String,
    /// When.
    #[serde(with = "crate::clock::millis")]
    pub died_at: SystemTime,
    /// Its body; of an object event, its JSON.
    #[serde(serialize_with = "lossy_text")]
    pub body: Bytes,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

impl DeadLetter {
    /// For hosts: a message that was given up.
    pub fn new(message: &Message<Bytes>, reason: impl Into<String>, died_at: SystemTime) -> Self {
        Self {
            id: message.id.to_string(),
            attempts: message.attempt,
            reason: reason.into(),
            died_at,
            body: message.body.clone(),
            attributes: message.attributes.clone(),
        }
    }
}

fn lossy_text<S: serde::Serializer>(body: &Bytes, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}
