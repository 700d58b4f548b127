//! Dead letters: messages in a queue `…--dead` with their details in `isobar.meta`.

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::clock::from_millis;
use isobar_abstraction::driver::pub_sub::{DeadLetter, DeadLetterDetails, Message};
use isobar_abstraction::{Error, Result};
use serde_json::Value;

use super::wire::{DecodedMessage, ReceivedMessage, attributes};

/// Reads a dead letter from a message of a queue `…--dead`, as SQS's `ReceiveMessage` returns it in JSON
/// with all `Attributes` and `MessageAttributes`.
///
/// A message that SQS itself moved there, because the function returned no response, has no reason from
/// the app. The body of an object event is the notification of S3. Errors: `InvalidInput`.
pub fn dead_letter(message: &Value) -> Result<DeadLetter> {
    let text = |name: &str| message[name].as_str().map(str::to_owned);
    let missing = |name: &str| Error::invalid_input(format!("the message has no `{name}`"));
    let number = |name: &str| message["Attributes"][name].as_str().and_then(|text| text.parse::<u64>().ok());
    let receive_count = number("ApproximateReceiveCount").unwrap_or(1);
    let received = ReceivedMessage {
        id: text("MessageId").ok_or_else(|| missing("MessageId"))?,
        body: text("Body").ok_or_else(|| missing("Body"))?,
        attributes: attributes(&message["MessageAttributes"])?,
        sent_at: number("SentTimestamp").map_or(SystemTime::UNIX_EPOCH, from_millis),
        attempt: u32::try_from(receive_count).unwrap_or(u32::MAX),
        group: None,
    };
    let sent_at = received.sent_at;
    let DecodedMessage { message, dead, .. } = received.decode()?;
    Ok(dead.unwrap_or_else(|| by_sqs(&message, sent_at)).into_dead_letter(message))
}

/// The details of a message that SQS itself moved, as it was sent to its queue.
pub(super) fn by_sqs(message: &Message<Bytes>, sent_at: SystemTime) -> DeadLetterDetails {
    let reason = "SQS moved the message: the function returned no response for it in any attempt";
    DeadLetterDetails::new(message.attempt, reason, sent_at, "")
}

#[cfg(test)]
mod tests;
