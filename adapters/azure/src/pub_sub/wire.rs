//! The format of a message in Service Bus and Storage Queues.
//!
//! | part | Service Bus | Storage Queue |
//! |---|---|---|
//! | body | the text; in base64, marked in the metadata, where it is not [`plain_text`] | the same, in the envelope |
//! | attributes | user properties; some also in the metadata, see [`survives_headers`] | in the envelope |
//! | trace parent | the user property `traceparent` | in the envelope |
//! | ordering key | the session; also in the metadata | never present |
//! | id, time of publishing, earlier attempts | JSON in the user property [`META`], in base64 if it is not ASCII | in the envelope |
//!
//! A queue has no properties, so its message is the base64 of a JSON [envelope]. A message of another sender has neither
//! metadata nor envelope: its body is used unchanged.

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

/// The user property with the metadata that Service Bus has no property for.
pub(crate) const META: &str = "isobar-meta";

/// The user property of a copy, and of a dead letter that is sent again, with the only subscription that it is for.
///
/// Every subscription has the filter `"isobar-for" IS NULL OR "isobar-for" = '<subscription>'`.
pub(crate) const FOR: &str = "isobar-for";

/// The prefix of the platform's own properties in [`open`], which distinguishes them from attributes: `$MessageId`,
/// `$SessionId` and `$EnqueuedTimeUtc` of Service Bus, `$Id` and `$InsertionTime` of a queue.
pub(crate) const PLATFORM_PREFIX: char = '$';

/// The JSON in [`META`] and in an envelope. Unknown names are ignored, for later versions of isobar.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Meta<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    /// The time of publishing, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// `base64` where the body is in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enc: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    /// The attempts of the message that this is a copy of.
    #[serde(default, skip_serializing_if = "is_zero")]
    attempt: u32,
    /// The details of a dead letter; without a meaning after a redrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead: Option<DeadLetterDetails>,
    /// Copies of the attributes that the REST protocol of Service Bus, where properties are headers, would change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    exact: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// Header fields of every response of Service Bus.
const OF_RESPONSES: [&str; 9] = [
    "brokerproperties",
    "connection",
    "content-length",
    "content-type",
    "date",
    "location",
    "server",
    "strict-transport-security",
    "transfer-encoding",
];

/// Whether an attribute is the same as a header field: a header has no case in its name, and ASCII in its value.
fn survives_headers(name: &str, value: &str) -> bool {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    is_lower && !OF_RESPONSES.contains(&name) && value.bytes().all(plain)
}

/// Metadata as a header can carry it: JSON in ASCII, or else its base64, which is shorter than with escapes.
fn carried(json: String) -> String {
    if json.bytes().all(|byte| (b' '..=b'~').contains(&byte)) { json } else { STANDARD.encode(json) }
}

/// Reads what [`carried`] returned.
fn meta(text: &str) -> Result<Meta<'static>> {
    let decoded = if text.starts_with('{') { None } else { STANDARD.decode(text).ok() };
    let json = decoded.as_deref().unwrap_or(text.as_bytes());
    serde_json::from_slice(json).map_err(|error| unreadable(META, &error))
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
            exact: BTreeMap::new(),
        }
    }
}

/// How a message is sent: as a new one, as a copy to retry, or as a dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sending {
    /// The attempts so far.
    pub(crate) attempts: u32,
    /// The details, for a dead letter.
    pub(crate) details: Option<DeadLetterDetails>,
}

/// A message in the format of Service Bus.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Encoded<'a> {
    pub(crate) body: Cow<'a, str>,
    pub(crate) properties: Vec<(&'a str, Cow<'a, str>)>,
}

/// Encodes a message for Service Bus.
pub(crate) fn encode<'a>(message: &'a Message<Bytes>, sending: Sending) -> Result<Encoded<'a>> {
    let (body, enc) = text_of(&message.body);
    let mut meta = Meta::of(message, enc, sending);
    let changed = message.attributes.iter().filter(|(name, value)| !survives_headers(name, value));
    meta.exact = changed.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))).collect();
    let mut properties: Vec<(&str, Cow<'_, str>)> = Vec::new();
    properties.extend(message.trace_parent.map(|parent| (TraceParent::NAME, Cow::Owned(parent.to_string()))));
    let attributes = message.attributes.iter().filter(|(name, _)| *name != META && *name != FOR);
    properties.extend(attributes.map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str()))));
    properties.push((META, Cow::Owned(carried(serde_json::to_string(&meta)?))));
    Ok(Encoded { body, properties })
}

/// A body as text, and its encoding if it has one.
///
/// The services and the Functions host treat any body as text, so bytes that are not plain text are encoded.
fn text_of(body: &[u8]) -> (Cow<'_, str>, Option<&'static str>) {
    match plain_text(body) {
        Some(text) => (Cow::Borrowed(text), None),
        None => (Cow::Owned(STANDARD.encode(body)), Some("base64")),
    }
}

fn body_of(text: Cow<'_, [u8]>, enc: Option<&str>) -> Result<Bytes> {
    match enc {
        None => Ok(Bytes::from(text.into_owned())),
        Some("base64") => {
            Ok(STANDARD.decode(&text).map_err(|_| Error::invalid_input("the message body is not valid base64"))?.into())
        }
        Some(other) => {
            let other: String = other.escape_debug().take(40).collect();
            let message = format!("the encoding `{other}` of the message body is unknown: deploy a newer isobar");
            Err(Error::invalid_input(message))
        }
    }
}

/// A received message, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The message. Its attempt includes those of the messages that it is a copy of.
    pub(crate) message: Message<Bytes>,
    /// The details, for a dead letter.
    pub(crate) details: Option<DeadLetterDetails>,
}

/// Decodes a message from the platform: the text of a queue's message, in base64 or not, or the body of a Service Bus
/// message with its user properties. The platform's own properties are included with [`PLATFORM_PREFIX`].
///
/// Errors: `InvalidInput` where it is unreadable, which no retry changes: settle it as [`Arrived::raw`].
pub(crate) fn open(body: &[u8], properties: Vec<(String, String)>, platform_attempt: u32) -> Result<Arrived> {
    let mut properties = Properties::of(properties);
    let (body, meta) = match properties.attributes.remove(META) {
        Some(text) => (Cow::Borrowed(body), meta(&text)?),
        None => match envelope::read(body)? {
            Some(envelope) => envelope.open(&mut properties),
            None => return Ok(properties.arrived(Bytes::copy_from_slice(body), platform_attempt)),
        },
    };
    let body = body_of(body, meta.enc.as_deref())?;
    let mut arrived = properties.arrived(body, platform_attempt);
    let message = &mut arrived.message;
    message.attempt = message.attempt.saturating_add(meta.attempt);
    if let Some(id) = meta.id {
        message.id = MessageId::new(id);
    }
    message.published_at = meta.at.map_or(message.published_at, from_millis);
    for (name, value) in meta.exact {
        message.attributes.remove(&name.to_ascii_lowercase());
        message.attributes.insert(name.into_owned(), value.into_owned());
    }
    message.ordering_key = meta.key.map(Cow::into_owned).or(message.ordering_key.take());
    arrived.details = meta.dead;
    Ok(arrived)
}

impl Arrived {
    /// An unreadable message as received, so that it can become a dead letter.
    pub(crate) fn raw(body: &[u8], properties: Vec<(String, String)>, platform_attempt: u32) -> Self {
        let mut properties = Properties::of(properties);
        properties.attributes.remove(META);
        properties.arrived(Bytes::copy_from_slice(body), platform_attempt)
    }
}

/// The properties of a message.
struct Properties {
    attributes: BTreeMap<String, String>,
    id: Option<String>,
    session: Option<String>,
    at: Option<SystemTime>,
    trace_parent: Option<TraceParent>,
}

impl Properties {
    fn of(properties: Vec<(String, String)>) -> Self {
        let (platform, attributes): (BTreeMap<_, _>, BTreeMap<_, _>) =
            properties.into_iter().partition(|(name, _)| name.starts_with(PLATFORM_PREFIX));
        let mut attributes = attributes;
        attributes.remove(FOR);
        let first = |names: &[&str]| {
            let value = names.iter().find_map(|name| platform.get(*name));
            value.filter(|text| !text.is_empty()).cloned()
        };
        Self {
            id: first(&["$MessageId", "$Id"]),
            session: first(&["$SessionId"]),
            at: first(&["$EnqueuedTimeUtc", "$InsertionTime"]).as_deref().and_then(time),
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

/// Parses a time of the platform: RFC 3339, also without an offset, which means UTC; RFC 1123, as in headers; and
/// `8/28/2020 12:00:00 AM +00:00`, .NET's English format.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    const PRINTED: &str = "%m/%d/%Y %I:%M:%S %p %z";
    let text = text.trim().trim_matches('"');
    let printed = || {
        let time = chrono::DateTime::parse_from_str(text, PRINTED);
        time.or_else(|_| chrono::DateTime::parse_from_str(&format!("{text} +00:00"), PRINTED)).ok()
    };
    clock::parse(text).or_else(|| clock::from_utc(&printed()?.to_utc()))
}

/// The error of malformed metadata, without the parser's message, which quotes its input.
fn unreadable(what: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::invalid_input(format!("its {what} is not isobar's format at line {line} column {column}"))
}

#[cfg(test)]
mod tests;
