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
    let id = MessageId::new("placeholder");
    let mut message = Message::new(id, Bytes::copy_from_slice(body), SystemTime::UNIX_EPOCH);
    message.attempt = platform_attempt;
    message.attributes = properties.into_iter().collect();
    Ok(Arrived { message })
}
