//! Dead letters: messages in a queue `…--dead` of Service Bus, or `…-poison` of a storage account, with
//! the reason among their metadata.

use std::time::SystemTime;

use isobar_abstraction::Result;
use isobar_abstraction::clock::millis;
use isobar_abstraction::pub_sub::DeadLetter;
use serde::{Deserialize, Serialize};

use super::wire::{self, Arrived};

/// Longest reason, as it stands in JSON: it must not make a message too large that was not before.
pub(crate) const REASON_BYTES: usize = 4_096;

/// Why a message is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Death {
    attempts: u32,
    reason: String,
    #[serde(with = "millis")]
    died_at: SystemTime,
    /// The queue, or the topic and its subscription, that it came from.
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
            // In a user property it is JSON within JSON, where each of these is escaped twice; it is the
            // message itself that counts there, in which it is escaped once.
            '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
            '\0'..='\x1f' => 6,
            other => other.len_utf8(),
        };
        if size > REASON_BYTES {
            return format!("{}…", &reason[..cut]);
        }
    }
    reason.to_owned()
}

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
    let Arrived { mut message, death } = wire::open(body, kept, 1)?;
    let Death { attempts, reason, died_at, .. } = death.unwrap_or_else(|| {
        let reason = match said.is_empty() {
            true => "the platform gave up: the function never answered for it".to_owned(),
            false => said.join(": "),
        };
        Death::new(message.attempt, &reason, message.published_at, "")
    });
    message.attempt = attempts;
    Ok(DeadLetter::new(&message, reason, died_at))
}
