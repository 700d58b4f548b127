//! Dead letters: messages in a queue `…--dead`, with the reason in `isobar.meta`.

use std::time::SystemTime;

use isobar_abstraction::clock::from_millis;
use isobar_abstraction::driver::pub_sub::{DeadLetter, DeadLetterDetails};
use isobar_abstraction::{Error, Result};
use serde_json::Value;

use super::wire::{Arrived, attributes};

/// The dead letter that a message of a queue `…--dead` is: a message as `ReceiveMessage` of SQS answers
/// it in JSON, with all attributes of both kinds.
///
/// One that SQS moved there itself, because the function never answered, tells no reason of its own.
/// The body of an object event's is the notification of S3. Errors: `InvalidInput`.
pub fn dead_letter(message: &Value) -> Result<DeadLetter> {
    let text = |name: &str| message[name].as_str().map(str::to_owned);
    let missing = |name: &str| Error::invalid_input(format!("the message has no `{name}`"));
    let number = |name: &str| message["Attributes"][name].as_str().and_then(|text| text.parse::<u64>().ok());
    let received = number("ApproximateReceiveCount").unwrap_or(1);
    let arrived = Arrived {
        id: text("MessageId").ok_or_else(|| missing("MessageId"))?,
        body: text("Body").ok_or_else(|| missing("Body"))?,
        attributes: attributes(&message["MessageAttributes"])?,
        sent_at: number("SentTimestamp").map_or(SystemTime::UNIX_EPOCH, from_millis),
        attempt: u32::try_from(received).unwrap_or(u32::MAX),
        group: None,
    };
    let sent_at = arrived.sent_at;
    let (message, dead) = arrived.open()?;
    let by_sqs =
        || DeadLetterDetails::new(message.attempt, "SQS gave up: the function never answered for it", sent_at, "");
    Ok(dead.unwrap_or_else(by_sqs).into_dead_letter(message))
}

#[cfg(test)]
mod tests;
