//! placeholder: the helper `pubsub` replaces this file.

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::Result;
use isobar_abstraction::pub_sub::{Message, MessageId};

/// placeholder: a received message, opened.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) message: Message<Bytes>,
}

/// placeholder: takes every message for somebody else's.
pub(crate) fn open(body: &[u8], properties: Vec<(String, String)>, platform_attempt: u32) -> Result<Arrived> {
    let properties = properties.into_iter().filter(|(name, _)| !name.starts_with('$'));
    let id = MessageId::new("placeholder");
    let mut message = Message::new(id, Bytes::copy_from_slice(body), SystemTime::UNIX_EPOCH);
    message.attempt = platform_attempt;
    message.attributes = properties.collect();
    Ok(Arrived { message })
}

impl Arrived {
    /// placeholder: a message that cannot be opened, as it came.
    pub(crate) fn raw(body: &[u8], _: Vec<(String, String)>, platform_attempt: u32) -> Self {
        let id = MessageId::new("placeholder");
        let mut message = Message::new(id, Bytes::copy_from_slice(body), SystemTime::UNIX_EPOCH);
        message.attempt = platform_attempt;
        Self { message }
    }
}
