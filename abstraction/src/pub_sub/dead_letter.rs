//! The details of a dead letter, stored with the message.
//!
//! The services have different places for them: Pub/Sub has attributes only, queues have the body. Both forms are here, so
//! that a tool reads a dead letter of any provider.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use super::{DeadLetter, Message};
use crate::clock::{millis, parse, to_utc};

/// For adapters: the details of a dead letter. A dead letter is a copy of the message with these details: as JSON, or as
/// attributes where the service has no place for JSON.
///
/// Both forms are stored data: a later version of isobar must be able to read them.
///
/// ```
/// use std::time::SystemTime;
/// use isobar_abstraction::driver::pub_sub::DeadLetterDetails;
///
/// let details = DeadLetterDetails::new(5, "no such page", SystemTime::UNIX_EPOCH, "clicks");
/// let attributes = details.attributes().into_iter().collect();
/// assert_eq!(DeadLetterDetails::from_attributes(&attributes, SystemTime::now()), Some(details));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetterDetails {
    /// The number of deliveries.
    pub attempts: u32,
    /// The reason why the message was not delivered again; at most [`DeadLetterDetails::REASON_BYTES`], with a `…` where it
    /// was cut.
    pub reason: String,
    /// The time at which it became a dead letter.
    #[serde(with = "millis")]
    pub died_at: SystemTime,
    /// The queue, topic, subscription or bucket of the message.
    pub source: String,
}

const REASON: &str = "isobar-dead-reason";
const ATTEMPTS: &str = "isobar-dead-attempts";
const AT: &str = "isobar-dead-at";
const SOURCE: &str = "isobar-dead-source";

/// The largest size of an attribute's value in bytes: the smallest limit of the services, that of
/// [Pub/Sub](https://cloud.google.com/pubsub/quotas#resource_limits).
const VALUE_BYTES: usize = 1_024;

/// The largest number of attributes of a reason.
const PARTS: usize = 4;

impl DeadLetterDetails {
    /// The largest size of a reason in JSON, in bytes. A longer one could make the dead letter larger than the service
    /// accepts. Each attribute can be up to three bytes shorter than its limit, because a character is not divided.
    pub const REASON_BYTES: usize = PARTS * (VALUE_BYTES - 3);

    /// The details of a dead letter. A reason that is too long is cut.
    pub fn new(attempts: u32, reason: &str, died_at: SystemTime, source: &str) -> Self {
        Self { attempts, reason: shortened(reason), died_at, source: source.to_owned() }
    }

    /// The dead letter of a message with these details.
    pub fn into_dead_letter(self, mut message: Message<Bytes>) -> DeadLetter {
        message.attempt = self.attempts;
        DeadLetter::new(&message, self.reason, self.died_at)
    }

    /// The details as attributes, whose names begin with `isobar-dead-`. A long reason is divided into up to four attributes.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let mut attributes: Vec<_> = vec![
            (ATTEMPTS.to_owned(), self.attempts.to_string()),
            (AT.to_owned(), to_utc(self.died_at).to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            (SOURCE.to_owned(), self.source.clone()),
        ];
        let mut rest = self.reason.as_str();
        for place in 0..PARTS {
            // A value is never empty.
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at(rest.floor_char_boundary(VALUE_BYTES));
            attributes.push((name_of_part(place), part.to_owned()));
            rest = after;
        }
        attributes
    }

    /// The details in the attributes of a message; `None` if it is not a dead letter of isobar. `died_at` replaces a time that
    /// cannot be read.
    pub fn from_attributes(attributes: &BTreeMap<String, String>, died_at: SystemTime) -> Option<Self> {
        let value = |name: &str| attributes.get(name).map(String::as_str);
        let at = value(AT)?;
        Some(Self {
            attempts: value(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or(1),
            reason: (0..PARTS).filter_map(|place| value(&name_of_part(place))).collect(),
            died_at: parse(at).unwrap_or(died_at),
            source: value(SOURCE).unwrap_or_default().to_owned(),
        })
    }
}

fn name_of_part(place: usize) -> String {
    if place == 0 { REASON.to_owned() } else { format!("{REASON}-{}", place + 1) }
}

/// A reason, cut to [`DeadLetterDetails::REASON_BYTES`] with its escapes.
fn shortened(reason: &str) -> String {
    let (mut size, mut cut) = (0, 0);
    for (place, character) in reason.char_indices() {
        if size + '…'.len_utf8() <= DeadLetterDetails::REASON_BYTES {
            cut = place;
        }
        size += match character {
            // JSON inside of JSON escapes these twice. The limit counts the message itself, which escapes them once.
            '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => 6,
            other => other.len_utf8(),
        };
        if size > DeadLetterDetails::REASON_BYTES {
            return format!("{}…", &reason[..cut]);
        }
    }
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MOST: usize = DeadLetterDetails::REASON_BYTES;

    fn json_bytes(text: &str) -> usize {
        serde_json::to_string(text).unwrap().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff").len() - 2
    }

    fn details(reason: &str) -> DeadLetterDetails {
        let died_at = SystemTime::UNIX_EPOCH + Duration::new(1_767_225_600, 999_000_000);
        DeadLetterDetails::new(5, reason, died_at, "clicks")
    }

    #[test]
    fn a_short_reason_is_not_changed() {
        let reasons = [String::new(), "x".repeat(MOST), "\u{e9}".repeat(MOST / 2), "\"".repeat(MOST / 2)];
        for reason in reasons {
            assert_eq!(details(&reason).reason, reason);
        }
        for (reason, rest) in [("x".repeat(MOST + 1), MOST - 3), ("\u{e9}".repeat(MOST / 2) + "x", MOST - 4)] {
            assert_eq!(details(&reason).reason.len(), rest + 3, "with the ellipsis");
        }
    }

    #[test]
    fn a_longer_reason_is_cut_at_a_character_and_is_the_same_from_attributes() {
        let characters = ["x", "\u{e9}", "\u{20ac}", "\u{1f600}", "\"", "\\", "\n", "\x08", "\0", "\u{fffe}", "\u{7f}"];
        for character in characters {
            for begin in ["", "y", "yy", "yyy", "yyyyy"] {
                let reason = format!("{begin}{}", character.repeat(5_000));
                let details = details(&reason);
                assert!(reason.starts_with(details.reason.strip_suffix('…').unwrap()));
                let size = json_bytes(&details.reason);
                assert!((MOST - 5..=MOST).contains(&size), "{character:?} {size}");
                let attributes: BTreeMap<_, _> = details.attributes().into_iter().collect();
                assert!(attributes.values().all(|value| (1..=VALUE_BYTES).contains(&value.len())));
                assert_eq!(DeadLetterDetails::from_attributes(&attributes, SystemTime::UNIX_EPOCH), Some(details));
            }
        }
    }

    /// Every later version must read the stored details.
    #[test]
    fn the_stored_forms_do_not_change() {
        let json = r#"{"attempts":5,"reason":"no \"page\"","died_at":1767225600999,"source":"clicks"}"#;
        assert_eq!(serde_json::to_string(&details("no \"page\"")).unwrap(), json);
        assert_eq!(serde_json::from_str::<DeadLetterDetails>(json).unwrap(), details("no \"page\""));
        let attributes = [
            ("isobar-dead-attempts", "5"),
            ("isobar-dead-at", "2026-01-01T00:00:00.999Z"),
            ("isobar-dead-source", "clicks"),
            ("isobar-dead-reason", "no \"page\""),
        ];
        assert_eq!(details("no \"page\"").attributes(), attributes.map(|(name, value)| (name.into(), value.into())));
    }
}
