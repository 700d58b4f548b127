//! Dead letters: messages in a queue `…--dead`, with the reason in `isobar.meta`.

use std::time::SystemTime;

use isobar_abstraction::clock::{from_millis, millis};
use isobar_abstraction::pub_sub::DeadLetter;
use isobar_abstraction::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::wire::{Arrived, attributes};

/// Longest reason, as it stands in JSON: it must not make a message too large that was not before.
const REASON_BYTES: usize = 4_096;

/// Why a message is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Death {
    attempts: u32,
    reason: String,
    #[serde(with = "millis")]
    died_at: SystemTime,
    /// The queue or the topic that it came from.
    source: String,
}

impl Death {
    pub(crate) fn new(attempts: u32, reason: &str, died_at: SystemTime, source: &str) -> Self {
        Self { attempts, reason: shortened(reason), died_at, source: source.to_owned() }
    }
}

/// The beginning of a reason, of at most [`REASON_BYTES`] with its escapes.
fn shortened(reason: &str) -> String {
    let (mut size, mut cut) = (0, 0);
    for (place, character) in reason.char_indices() {
        if size + '…'.len_utf8() <= REASON_BYTES {
            cut = place;
        }
        size += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => 6,
            other => other.len_utf8(),
        };
        if size > REASON_BYTES {
            return format!("{}…", &reason[..cut]);
        }
    }
    reason.to_owned()
}

/// The dead letter that a message of a queue `…--dead` is: a message as `ReceiveMessage` of SQS answers
/// it in JSON, with all attributes of both kinds.
///
/// One that SQS moved there itself, because the function never answered, tells no reason of its own.
/// The body of an object event's is the notification of S3. Errors: `InvalidInput`.
pub fn dead_letter(message: &Value) -> Result<DeadLetter> {
    let text = |name: &str| message[name].as_str().map(str::to_owned);
    let missing = |name: &str| Error::invalid(format!("the message has no `{name}`"));
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
    let (mut message, dead) = arrived.open()?;
    let Death { attempts, reason, died_at, .. } = dead
        .unwrap_or_else(|| Death::new(message.attempt, "SQS gave up: the function never answered for it", sent_at, ""));
    message.attempt = attempts;
    Ok(DeadLetter::new(&message, reason, died_at))
}

#[cfg(test)]
mod tests;
