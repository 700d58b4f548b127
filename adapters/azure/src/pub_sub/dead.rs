//! Dead letters: messages in a queue `…--dead` of Service Bus, or `…-poison` of a storage account, with
//! the reason among their metadata.

use isobar_abstraction::Result;
use isobar_abstraction::driver::pub_sub::{DeadLetter, DeadLetterDetails};

use super::wire::{self, Arrived};

/// The dead letter that a message of a queue `…--dead` of Service Bus, or of a queue `…-poison` of a
/// storage account, is: its body or text as it was received, in base64 or not, and the user properties
/// of a Service Bus message.
///
/// One that the platform moved there itself, because the function never answered, tells no reason of
/// its own; Service Bus tells its own in `DeadLetterReason`. Errors: `InvalidInput`.
pub fn dead_letter(body: &[u8], properties: impl IntoIterator<Item = (String, String)>) -> Result<DeadLetter> {
    let mut said = Vec::new();
    let mut kept = Vec::new();
    for (name, value) in properties {
        match name.as_str() {
            "DeadLetterReason" | "DeadLetterErrorDescription" => said.push(value),
            _ => kept.push((name, value)),
        }
    }
    let Arrived { message, details } = wire::open(body, kept, 1)?;
    let by_platform = || {
        let reason = match said.is_empty() {
            true => "the platform gave up: the function never answered for it".to_owned(),
            false => said.join(": "),
        };
        DeadLetterDetails::new(message.attempt, &reason, message.published_at, "")
    };
    Ok(details.unwrap_or_else(by_platform).into_dead_letter(message))
}
