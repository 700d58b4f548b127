//! Dead letters: messages in a queue `…--dead` of Service Bus, or `…-poison` of a storage account, with the reason in
//! their metadata.

use bytes::Bytes;
use isobar_abstraction::Result;
use isobar_abstraction::driver::pub_sub::{DeadLetter, DeadLetterDetails, Message};

use super::wire::{self, Arrived};

/// Reads a dead letter from a message of a queue `…--dead` of Service Bus, or of a queue `…-poison` of a storage account:
/// from its body or text as received, in base64 or not, and the user properties of a Service Bus message.
///
/// A message that the platform moved there itself, because the function never responded, has no reason from isobar;
/// Service Bus stores its own in `DeadLetterReason`. Errors: `InvalidInput`.
pub fn dead_letter(body: &[u8], properties: impl IntoIterator<Item = (String, String)>) -> Result<DeadLetter> {
    let mut reasons = Vec::new();
    let mut remaining = Vec::new();
    for (name, value) in properties {
        match name.as_str() {
            "DeadLetterReason" | "DeadLetterErrorDescription" => reasons.push(value),
            _ => remaining.push((name, value)),
        }
    }
    let Arrived { message, details } = wire::open(body, remaining, 1)?;
    Ok(details.unwrap_or_else(|| by_platform(&message, &reasons)).into_dead_letter(message))
}

/// The details of a message that the platform moved.
pub(super) fn by_platform(message: &Message<Bytes>, reasons: &[String]) -> DeadLetterDetails {
    let reason = match reasons.is_empty() {
        true => "the platform gave up: the function never responded for this message".to_owned(),
        false => reasons.join(": "),
    };
    DeadLetterDetails::new(message.attempt, &reason, message.published_at, "")
}
