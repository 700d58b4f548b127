//! Dead letters: messages in a topic `…--dead`, with the reason among their attributes.
//!
//! | of a dead letter | attribute |
//! |---|---|
//! | why | `isobar-dead-reason`, and `-2` to `-4` where it is longer than one value may be |
//! | deliveries, when, from which topic | `isobar-dead-attempts`, `isobar-dead-at`, `isobar-dead-source` |
//! | id, time of publishing | as of any copy, see [`wire`](super::wire) |

use std::collections::BTreeMap;
use std::time::SystemTime;

use isobar_abstraction::Result;
use isobar_abstraction::pub_sub::DeadLetter;
use serde_json::Value;

use super::wire::{Carried, OF_DEAD, PubsubMessage, time, written};

const REASON: &str = "isobar-dead-reason";
const ATTEMPTS: &str = "isobar-dead-attempts";
const AT: &str = "isobar-dead-at";
const SOURCE: &str = "isobar-dead-source";

/// Bytes of the value of an attribute.
///
/// <https://cloud.google.com/pubsub/quotas#resource_limits>
const VALUE_BYTES: usize = 1_024;

/// Attributes that a reason may take.
const PARTS: usize = 4;

/// Longest reason. A part may lack the three bytes of a character that did not fit.
const REASON_BYTES: usize = PARTS * (VALUE_BYTES - 3);

/// Why a message is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    attempts: u32,
    reason: String,
    died_at: SystemTime,
    /// The topic, or the bucket, that it came from.
    source: String,
}

impl Death {
    pub(crate) fn new(attempts: u32, reason: &str, died_at: SystemTime, source: &str) -> Self {
        Self { attempts, reason: shortened(reason), died_at, source: source.to_owned() }
    }

    /// Puts it among the attributes of a copy.
    pub(super) fn write(self, copy: &mut Carried<'_>) {
        for (place, part) in parts(&self.reason).into_iter().enumerate() {
            copy.say(name_of_part(place), part.to_owned());
        }
        copy.say(ATTEMPTS, self.attempts.to_string());
        copy.say(AT, written(self.died_at));
        copy.say(SOURCE, self.source);
    }

    /// Finds it among the attributes that are ours and Pub/Sub's. `moved_at` is when Pub/Sub took the dead
    /// letter.
    pub(super) fn read(ours: &BTreeMap<String, String>, moved_at: Option<SystemTime>) -> Option<Self> {
        let said = |name: &str| ours.get(name).map(String::as_str);
        let died_at = |told: Option<&str>| told.and_then(time).or(moved_at).unwrap_or(SystemTime::UNIX_EPOCH);
        let count = |told: Option<&str>| told.and_then(|text| text.parse().ok()).unwrap_or(1);
        if let Some(at) = said(AT) {
            let reason = (0..PARTS).filter_map(|place| said(&name_of_part(place))).collect();
            let source = said(SOURCE).unwrap_or_default().to_owned();
            return Some(Self { attempts: count(said(ATTEMPTS)), reason, died_at: died_at(Some(at)), source });
        }
        let of_platform = |name: &str| said(&format!("{OF_DEAD}Source{name}"));
        let attempts = of_platform("DeliveryCount")?;
        let reason = match of_platform("DeliveryErrorMessage") {
            Some(told) => format!("Pub/Sub gave up: {told}"),
            None => "Pub/Sub gave up: the service never answered for it".to_owned(),
        };
        let source = of_platform("Subscription").unwrap_or_default();
        Some(Self::new(count(Some(attempts)), &reason, died_at(None), source))
    }
}

fn name_of_part(place: usize) -> String {
    if place == 0 { REASON.to_owned() } else { format!("{REASON}-{}", place + 1) }
}

/// A reason in pieces that fit into values. A value is never empty.
fn parts(mut reason: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !reason.is_empty() && parts.len() < PARTS {
        let (part, rest) = reason.split_at(reason.floor_char_boundary(VALUE_BYTES));
        parts.push(part);
        reason = rest;
    }
    parts
}

/// The beginning of a reason, of at most [`REASON_BYTES`].
fn shortened(reason: &str) -> String {
    if reason.len() <= REASON_BYTES {
        return reason.to_owned();
    }
    let cut = reason.floor_char_boundary(REASON_BYTES - '…'.len_utf8());
    format!("{}…", &reason[..cut])
}

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
    let mut message = arrived.message;
    let Death { attempts, reason, died_at, .. } = arrived.death.unwrap_or_else(|| {
        let moved_at = moved_at.unwrap_or(message.published_at);
        Death::new(message.attempt, "it is not told why: it was put there by hand, or has no room", moved_at, "")
    });
    message.attempt = attempts;
    Ok(DeadLetter::new(&message, reason, died_at))
}

#[cfg(test)]
mod tests;
