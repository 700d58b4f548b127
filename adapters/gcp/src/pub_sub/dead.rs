//! Dead letters: messages in a topic `…--dead`, with the reason among their attributes.
//!
//! | of a dead letter | attribute |
//! |---|---|
//! | why, deliveries, when, from which topic | `isobar-dead-…`, see [`DeadLetterDetails`] |
//! | id, time of publishing | as of any copy, see [`wire`](super::wire) |

use isobar_abstraction::Result;
use isobar_abstraction::driver::pub_sub::{DeadLetter, DeadLetterDetails};
use serde_json::Value;

use super::wire::PubsubMessage;

/// The dead letter that a message of a topic `…--dead` is: a `PubsubMessage` in JSON, or what has one as its
/// `message`, which a push and each of the `receivedMessages` of a pull are.
///
/// One that Pub/Sub moved there itself, because the service never answered, tells no reason of its own,
/// and has the id of its move. Errors: `InvalidInput`.
pub fn dead_letter(message: &Value) -> Result<DeadLetter> {
    let message = if message["message"].is_object() { &message["message"] } else { message };
    let letter = PubsubMessage::read(message)?;
    let moved_at = letter.published_at;
    let arrived = letter.open(1);
    let message = arrived.message;
    let by_hand = || {
        let moved_at = moved_at.unwrap_or(message.published_at);
        DeadLetterDetails::new(
            message.attempt,
            "it is not told why: it was put there by hand, or has no room",
            moved_at,
            "",
        )
    };
    Ok(arrived.details.unwrap_or_else(by_hand).into_dead_letter(message))
}

#[cfg(test)]
mod tests;
