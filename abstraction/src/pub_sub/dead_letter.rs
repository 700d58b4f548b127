//! Why a message is dead, as it is stored beside the message.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use super::{DeadLetter, Message};
use crate::clock::{millis, parse, to_utc};

/// For adapters: why a message is dead. A dead letter is a copy of the message with this beside it: as JSON, or as
/// attributes where the service has no place for JSON.
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
    /// How often the message was delivered.
    pub attempts: u32,
    /// Why it was given up; at most [`DeadLetterDetails::REASON_BYTES`], with a `…` where it was cut.
    pub reason: String,
    /// When.
    #[serde(with = "millis")]
    pub died_at: SystemTime,
    /// The queue, topic, subscription or bucket that it came from.
    pub source: String,
}

const REASON: &str = "isobar-dead-reason";
const ATTEMPTS: &str = "isobar-dead-attempts";
const AT: &str = "isobar-dead-at";
const SOURCE: &str = "isobar-dead-source";

/// Bytes of the value of an attribute, the fewest that a service takes: Pub/Sub.
///
/// <https://cloud.google.com/pubsub/quotas#resource_limits>
const VALUE_BYTES: usize = 1_024;

/// Attributes that a reason may take.
const PARTS: usize = 4;

impl DeadLetterDetails {
    /// Longest reason, as it stands in JSON: it must not make a message too large that was not before. In
    /// attributes, a part may lack the three bytes of a character that did not fit.
    pub const REASON_BYTES: usize = PARTS * (VALUE_BYTES - 3);

    /// With the beginning of a reason that is too long.
    pub fn new(attempts: u32, reason: &str, died_at: SystemTime, source: &str) -> Self {
        Self { attempts, reason: shortened(reason), died_at, source: source.to_owned() }
    }

    /// The dead letter of this message.
    pub fn into_dead_letter(self, mut message: Message<Bytes>) -> DeadLetter {
        message.attempt = self.attempts;
        DeadLetter::new(&message, self.reason, self.died_at)
    }

    /// As attributes, all of whose names begin with `isobar-dead-`. A long reason is in up to four of them.
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

    /// From the attributes of a message; `None` where it is no dead letter of isobar's. `died_at` is for a time that
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

/// The beginning of a reason, of at most [`DeadLetterDetails::REASON_BYTES`] with its escapes.
fn shortened(reason: &str) -> String {
    let (mut size, mut cut) = (0, 0);
    for (place, character) in reason.char_indices() {
        if size + '…'.len_utf8() <= DeadLetterDetails::REASON_BYTES {
            cut = place;
        }
        size += match character {
            // Within JSON within JSON each of these is escaped twice; it is the message itself that counts, in which it
            // is escaped once.
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
    fn a_reason_that_fits_is_left_as_it_is() {
        let reasons = [String::new(), "x".repeat(MOST), "\u{e9}".repeat(MOST / 2), "\"".repeat(MOST / 2)];
        for reason in reasons {
            assert_eq!(details(&reason).reason, reason);
        }
        for (reason, kept) in [("x".repeat(MOST + 1), MOST - 3), ("\u{e9}".repeat(MOST / 2) + "x", MOST - 4)] {
            assert_eq!(details(&reason).reason.len(), kept + 3, "with its mark");
        }
    }

    #[test]
    fn a_longer_reason_is_cut_at_a_character_and_comes_back_from_attributes() {
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

    /// What is stored is read by every later version.
    #[test]
    fn the_forms_in_which_it_is_stored_stay() {
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
