//! Dead letters: messages in a topic `…--dead`, with the reason among their attributes.
//!
//! | content | attributes |
//! |---|---|
//! | reason, deliveries, time, source | `isobar-dead-…`, see [`DeadLetterDetails`] |
//! | id, time of publishing | as in any copy, see [`wire`](super::wire) |

use isobar_abstraction::Result;
use isobar_abstraction::driver::pub_sub::{DeadLetter, DeadLetterDetails};
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
    let without_details = || {
        let moved_at = moved_at.unwrap_or(message.published_at);
        DeadLetterDetails::new(
            message.attempt,
            "no reason was recorded: the message was published by hand, or had no room for the details",
            moved_at,
            "",
        )
    };
    Ok(received.details.unwrap_or_else(without_details).into_dead_letter(message))
}

#[cfg(test)]
mod tests;
