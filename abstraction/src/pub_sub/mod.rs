//! Pub/sub: the type that apps hold is [`Topic`].

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
