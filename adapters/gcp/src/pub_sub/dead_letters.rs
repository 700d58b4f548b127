//! Dead letters: messages in a topic `…--dead`, with the reason among their attributes.
//!
//! | content | attributes |
//! |---|---|
//! | reason, deliveries, time, source | `isobar-dead-…`, see [`DeadLetterDetails`] |
//! | id, time of publishing | as in any copy, see [`wire`](super::wire) |

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::Result;
use isobar_abstraction::driver::pub_sub::{DeadLetter, DeadLetterDetails, Message};
use serde_json::Value;

use super::wire::PubsubMessage;

/// Reads a message of a topic `…--dead`: a `PubsubMessage` in JSON, or an object with a `PubsubMessage` in `message`,
/// such as a push or one of the `receivedMessages` of a pull.
///
/// Pub/Sub itself moves a message there if the service never answers. Such a dead letter has no reason from the app,
/// and the id that Pub/Sub created when it moved the message. Errors: `InvalidInput`.
pub fn dead_letter(message: &Value) -> Result<DeadLetter> {
    let message = if message["message"].is_object() { &message["message"] } else { message };
    let dead_letter = PubsubMessage::read(message)?;
    let moved_at = dead_letter.published_at;
    let received = dead_letter.open(1);
    let message = received.message;
    Ok(received.details.unwrap_or_else(|| details_of(&message, moved_at)).into_dead_letter(message))
}

/// The details of a dead letter without any.
pub(super) fn details_of(message: &Message<Bytes>, moved_at: Option<SystemTime>) -> DeadLetterDetails {
    let reason = "no reason was recorded: the message was published by hand, or had no room for the details";
    DeadLetterDetails::new(message.attempt, reason, moved_at.unwrap_or(message.published_at), "")
}

#[cfg(test)]
mod tests;
