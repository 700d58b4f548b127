//! A message as Service Bus and Storage Queues carry it.
//!
//! | of a message | Service Bus | Storage Queue |
//! |---|---|---|
//! | body | the text; in base64 where it is not [`plain_text`], which the metadata tell | the same, in the envelope |
//! | attributes | user properties | in the envelope |
//! | trace parent | the user property `traceparent` | in the envelope |
//! | ordering key | the session; also in the metadata | never there |
//! | id, time of publishing, attempts before | JSON in the user property [`META`] | in the envelope |
//!
//! A queue has no properties, so that its message is the base64 of a JSON [envelope]. A message of
//! somebody else's has neither metadata nor envelope: it is taken as it is.

pub(crate) mod envelope;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use isobar_abstraction::clock::{self, from_millis, to_millis};
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId, plain_text};
use isobar_abstraction::{Error, Result, TraceParent};
use serde::{Deserialize, Serialize};

/// The user property with what Service Bus has no place for.
pub(crate) const META: &str = "isobar-meta";

/// The user property of a copy, which is for one subscription alone.
///
/// Every subscription has the filter `"isobar-for" IS NULL OR "isobar-for" = '<subscription>'`.
pub(crate) const FOR: &str = "isobar-for";

/// What stands before the names of the platform's own properties in [`open`], so that none is
/// taken for an attribute: `$MessageId`, `$SessionId` and `$EnqueuedTimeUtc` of Service Bus, `$Id` and
/// `$InsertionTime` of a queue.
pub(crate) const PLATFORM_PREFIX: char = '$';

/// What stands in [`META`], and in an envelope, as JSON. Unknown names are left alone, for isobars to come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Meta<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    /// When it was published, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// `base64`, where the body is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enc: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    /// Deliveries of the message that this is a copy of.
    #[serde(default, skip_serializing_if = "is_zero")]
    attempt: u32,
    /// Of a dead letter; of a message that was put back it means nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead: Option<DeadLetterDetails>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl<'a> Meta<'a> {
    fn of(message: &'a Message<Bytes>, enc: Option<&'a str>, sending: Sending) -> Self {
        Self {
            id: Some(Cow::Borrowed(message.id.as_str())),
            at: Some(to_millis(message.published_at)),
            enc: enc.map(Cow::Borrowed),
            key: message.ordering_key.as_deref().map(Cow::Borrowed),
            attempt: sending.attempts,
            dead: sending.details,
        }
    }
}

/// What a message is sent as: a new one, a copy that is to be tried again, or a dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sending {
    /// Deliveries before.
    pub(crate) attempts: u32,
    /// Why it is dead, if it is.
    pub(crate) details: Option<DeadLetterDetails>,
}

/// A message ready to be sent to Service Bus.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Carried<'a> {
    pub(crate) body: Cow<'a, str>,
    pub(crate) properties: Vec<(&'a str, Cow<'a, str>)>,
}

/// Writes a message for Service Bus.
pub(crate) fn encode<'a>(message: &'a Message<Bytes>, sending: Sending) -> Result<Carried<'a>> {
    let (body, enc) = text_of(&message.body);
    let meta = Meta::of(message, enc, sending);
    let mut properties: Vec<(&str, Cow<'_, str>)> = Vec::new();
    properties.extend(message.trace_parent.map(|parent| (TraceParent::NAME, Cow::Owned(parent.to_string()))));
    let attributes = message.attributes.iter().filter(|(name, _)| *name != META && *name != FOR);
    properties.extend(attributes.map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str()))));
    properties.push((META, Cow::Owned(serde_json::to_string(&meta)?)));
    Ok(Carried { body, properties })
}

/// A body as text, and what it is encoded in if it is.
///
/// What carries the message on, the Functions host among it, takes what is not text for text.
fn text_of(body: &[u8]) -> (Cow<'_, str>, Option<&'static str>) {
    match plain_text(body) {
        Some(text) => (Cow::Borrowed(text), None),
        None => (Cow::Owned(STANDARD.encode(body)), Some("base64")),
    }
}

fn body_of(text: Cow<'_, [u8]>, enc: Option<&str>) -> Result<Bytes> {
    match enc {
        None => Ok(Bytes::from(text.into_owned())),
        Some("base64") => Ok(STANDARD.decode(&text).map_err(|_| Error::invalid_input("its body is no base64"))?.into()),
        Some(other) => {
            let other: String = other.escape_debug().take(40).collect();
            Err(Error::invalid_input(format!("its body is in `{other}`, which this isobar does not know")))
        }
    }
}

/// A message that was received, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The message. Its attempt counts the deliveries of those that it is a copy of.
    pub(crate) message: Message<Bytes>,
    /// Why it is dead, if it is a dead letter.
    pub(crate) details: Option<DeadLetterDetails>,
}

/// Opens a message as the platform handed it over: the text of a queue's message, still in base64 or
/// not, or the body of a Service Bus message with its user properties. What else the platform says
/// stands among the properties, see [`PLATFORM_PREFIX`].
///
/// Errors: `InvalidInput` where it cannot be read, which is for ever: settle it as [`Arrived::raw`].
pub(crate) fn open(body: &[u8], properties: Vec<(String, String)>, platform_attempt: u32) -> Result<Arrived> {
    let mut told = Told::of(properties);
    let (body, meta) = match told.attributes.remove(META) {
        Some(text) => {
            let meta: Meta<'static> = serde_json::from_str(&text).map_err(|error| unreadable(META, &error))?;
            (Cow::Borrowed(body), meta)
        }
        None => match envelope::read(body)? {
            Some(letter) => letter.open(&mut told),
            None => return Ok(told.arrived(Bytes::copy_from_slice(body), platform_attempt)),
        },
    };
    let body = body_of(body, meta.enc.as_deref())?;
    let mut arrived = told.arrived(body, platform_attempt);
    let message = &mut arrived.message;
    message.attempt = message.attempt.saturating_add(meta.attempt);
    if let Some(id) = meta.id {
        message.id = MessageId::new(id);
    }
    message.published_at = meta.at.map_or(message.published_at, from_millis);
    message.ordering_key = meta.key.map(Cow::into_owned).or(message.ordering_key.take());
    arrived.details = meta.dead;
    Ok(arrived)
}

impl Arrived {
    /// A message as it came, for one that cannot be opened, so that it can become a dead letter.
    pub(crate) fn raw(body: &[u8], properties: Vec<(String, String)>, platform_attempt: u32) -> Self {
        let mut told = Told::of(properties);
        told.attributes.remove(META);
        told.arrived(Bytes::copy_from_slice(body), platform_attempt)
    }
}

/// What stands beside a body.
struct Told {
    attributes: BTreeMap<String, String>,
    id: Option<String>,
    session: Option<String>,
    at: Option<SystemTime>,
    trace_parent: Option<TraceParent>,
}

impl Told {
    fn of(properties: Vec<(String, String)>) -> Self {
        let (platform, attributes): (BTreeMap<_, _>, BTreeMap<_, _>) =
            properties.into_iter().partition(|(name, _)| name.starts_with(PLATFORM_PREFIX));
        let mut attributes = attributes;
        attributes.remove(FOR);
        let said = |names: &[&str]| {
            let said = names.iter().find_map(|name| platform.get(*name));
            said.filter(|text| !text.is_empty()).cloned()
        };
        Self {
            id: said(&["$MessageId", "$Id"]),
            session: said(&["$SessionId"]),
            at: said(&["$EnqueuedTimeUtc", "$InsertionTime"]).as_deref().and_then(time),
            trace_parent: attributes.remove(TraceParent::NAME).and_then(|text| text.parse().ok()),
            attributes,
        }
    }

    fn arrived(self, body: Bytes, platform_attempt: u32) -> Arrived {
        let published_at = self.at.unwrap_or(SystemTime::UNIX_EPOCH);
        let id = self.id.map_or_else(|| super::new_id(published_at), MessageId::new);
        let mut message = Message::new(id, body, published_at);
        message.attempt = platform_attempt.max(1);
        message.attributes = self.attributes;
        message.ordering_key = self.session;
        message.trace_parent = self.trace_parent;
        Arrived { message, details: None }
    }
}

/// A time as the platform writes it: RFC 3339, also without the offset, which is then UTC; in headers RFC 1123; and
/// `8/28/2020 12:00:00 AM +00:00`, as .NET prints a time in English.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    const PRINTED: &str = "%m/%d/%Y %I:%M:%S %p %z";
    let text = text.trim().trim_matches('"');
    let printed = || {
        let time = chrono::DateTime::parse_from_str(text, PRINTED);
        time.or_else(|_| chrono::DateTime::parse_from_str(&format!("{text} +00:00"), PRINTED)).ok()
    };
    clock::parse(text).or_else(|| clock::from_utc(&printed()?.to_utc()))
}

/// Without the parser's words, which quote what it reads.
fn unreadable(what: &str, error: &serde_json::Error) -> Error {
    Error::invalid_input(format!("its {what} is not ours at line {} column {}", error.line(), error.column()))
}

#[cfg(test)]
mod tests;
