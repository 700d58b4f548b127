//! Topics of messages: [`Topic`] is the type for apps.
//!
//! The contract is what SNS with SQS, Service Bus, Storage Queues, Pub/Sub and a local queue have in common: delivery at
//! least once to each subscription, attributes, a delay of some minutes, attempts with a backoff, and dead letters. Order is
//! for messages with an ordering key, because order for a whole topic would permit one delivery at a time. There is no
//! handler of batches: Pub/Sub pushes one message in a request.

pub(crate) mod backlog;
pub(crate) mod dead_letter;
pub(crate) mod driver;
pub(crate) mod message;
pub(crate) mod topic;

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;

pub(crate) use driver::{PubSub, RawMessage};
pub(crate) use message::plain_text;
pub use message::{Message, MessageId, Outgoing};
pub(crate) use topic::DEFAULT_SUBSCRIPTION;
pub use topic::{Subscription, Topic};

/// A message, an object event or a write that is not delivered any more, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id of the message, of the object event or of the write.
    pub id: String,
    /// The number of deliveries.
    pub attempts: u32,
    /// The reason: that of the handler's rejection, or that of the last attempt.
    pub reason: String,
    /// The time at which it became a dead letter.
    #[serde(with = "crate::clock::millis")]
    pub died_at: SystemTime,
    /// The body of the message; of an object event or a write its JSON.
    #[serde(serialize_with = "lossy_text")]
    pub body: Bytes,
    /// The attributes of the message.
    pub attributes: BTreeMap<String, String>,
}

impl DeadLetter {
    /// For hosts: the dead letter of a message at its current attempt.
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
