//! Messages as `PubsubMessage`.
//!
//! | message | `PubsubMessage` |
//! |---|---|
//! | body | `data` |
//! | attributes | attributes of the same names |
//! | trace parent | the attribute `traceparent` |
//! | id | `messageId`; a copy or a dead letter has the id of the original message in [`ID`] |
//! | time of publishing | [`PUBLISHED_AT`], or else `publishTime` |
//! | ordering key | `orderingKey`, and [`ORDERING_KEY`], since some subscriptions do not receive the former |
//!
//! Names that begin with `isobar-` are reserved: [`Topic`] rejects them as attributes of a user. A message of another
//! publisher has none of them and is accepted too.
//!
//! A dead letter that is published unchanged to its topic is the original message again, with all its attempts, for the
//! subscription that it is from.
//!
//! [`Topic`]: isobar_abstraction::pub_sub::Topic

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::SecondsFormat;
use isobar_abstraction::clock::{self, later, to_utc};
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId, RawMessage};
use isobar_abstraction::{Error, Result, TraceParent};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::profile::PROFILE;

/// The prefix of isobar's attributes.
pub(crate) const PREFIX: &str = "isobar-";

/// The id of the original message, in a copy.
pub(crate) const ID: &str = "isobar-id";

/// The time of publishing in RFC 3339, by the publisher's clock.
pub(crate) const PUBLISHED_AT: &str = "isobar-published-at";

/// The ordering key. Pushes of the emulator, and to subscriptions without message ordering, have no `orderingKey`.
pub(crate) const ORDERING_KEY: &str = "isobar-ordering-key";

/// The number of earlier deliveries, in a copy.
pub(crate) const ATTEMPTS: &str = "isobar-attempts";

/// The due time in RFC 3339, in a copy and in a message with a delay. Limited to `PROFILE.limits.retry_after` after Pub/Sub
/// published the message: any publisher can write this attribute, and each message must become due. Ignored in a message
/// with an ordering key, which cannot have a delay.
pub(crate) const DUE: &str = "isobar-due";

/// The name of the only subscription that a copy or a dead letter is for, without the project.
///
/// A subscription has the filter `(attributes.isobar-for = "<subscription>" OR NOT attributes:isobar-for)`; the host checks the
/// attribute too, since the filter may be missing, and Pub/Sub's own dead letters have [`OF_PLATFORM`] in its place.
pub(crate) const FOR: &str = "isobar-for";

/// The subscription of a message that Pub/Sub moved to a dead-letter topic by itself, without the project.
/// <https://cloud.google.com/pubsub/docs/handling-failures#dead_letter_topic>
const OF_PLATFORM: &str = "CloudPubSubDeadLetterSourceSubscription";

/// The prefix of attributes that Pub/Sub adds to a message in a dead-letter topic.
const DEAD_LETTER_PREFIX: &str = "CloudPubSubDeadLetter";

/// The prefix of attributes that Google reserves: Pub/Sub rejects a message that has one.
const GOOGLE_PREFIX: &str = "goog";

/// Attributes in the order of their names.
type Attributes<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// A message to publish. It always has an attribute, since Pub/Sub rejects an empty message.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireMessage<'a> {
    #[serde(serialize_with = "base64")]
    pub(super) data: &'a [u8],
    pub(super) attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ordering_key: Option<&'a str>,
}

fn base64<S: Serializer>(data: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(data, &STANDARD))
}

impl WireMessage<'_> {
    /// The size in JSON.
    pub(super) fn bytes(&mut self) -> usize {
        let data = std::mem::take(&mut self.data);
        let overhead = serde_json::to_vec(self).map_or(0, |json| json.len());
        self.data = data;
        overhead + data.len().div_ceil(3) * 4
    }
}

/// A message that is published for the first time, at `now`.
pub(crate) fn first(raw: &RawMessage, now: SystemTime) -> WireMessage<'_> {
    let RawMessage { body, attributes, ordering_key, due, trace_parent, .. } = raw;
    let mut message = wire_message(body, attributes, ordering_key.as_deref(), Some(*trace_parent), now);
    if let Some(due) = due {
        message.set(DUE, timestamp(*due));
    }
    message
}

/// A copy of a received message, without the platform's attributes.
pub(crate) fn copy(message: &Message<Bytes>) -> WireMessage<'_> {
    let Message { body, attributes, ordering_key, trace_parent, published_at, .. } = message;
    let mut copy = wire_message(body, attributes, ordering_key.as_deref(), *trace_parent, *published_at);
    copy.set(ID, message.id.as_str());
    copy
}

fn wire_message<'a>(
    data: &'a [u8],
    attributes: &'a BTreeMap<String, String>,
    ordering_key: Option<&'a str>,
    trace_parent: Option<TraceParent>,
    published_at: SystemTime,
) -> WireMessage<'a> {
    let attributes = attributes.iter().filter(|(name, _)| !name.starts_with(GOOGLE_PREFIX));
    let attributes = attributes.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    let mut message = WireMessage { data, attributes, ordering_key };
    if let Some(parent) = trace_parent {
        message.set(TraceParent::NAME, parent.to_string());
    }
    if let Some(key) = ordering_key {
        message.set(ORDERING_KEY, key);
    }
    message.set(PUBLISHED_AT, timestamp(published_at));
    message
}

impl<'a> WireMessage<'a> {
    /// Sets an attribute.
    pub(super) fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.attributes.insert(name.into(), value.into());
    }
}

/// A time in an attribute, in full precision.
pub(super) fn timestamp(time: SystemTime) -> String {
    to_utc(time).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A message in a push, in the response to a pull, or in an event of Eventarc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PubsubMessage {
    pub(crate) data: Bytes,
    /// All attributes, including isobar's.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) id: String,
    pub(crate) published_at: Option<SystemTime>,
    pub(crate) ordering_key: Option<String>,
}

impl PubsubMessage {
    /// Reads a `PubsubMessage` in JSON, whose names are in camel case, in snake case, or in both.
    ///
    /// Errors: `InvalidInput`, naming the invalid field; a retry does not help.
    pub(crate) fn read(message: &Value) -> Result<Self> {
        if !message.is_object() {
            return Err(Error::invalid_input("the message is not a JSON object"));
        }
        let id = text(message, ["messageId", "message_id"])?.filter(|id| !id.is_empty());
        let data = text(message, ["data", "data"])?.unwrap_or_default();
        let data =
            STANDARD.decode(data).map_err(|_| Error::invalid_input("the `data` of the message is not valid base64"))?;
        Ok(Self {
            data: data.into(),
            attributes: attributes(&message["attributes"])?,
            id: id.ok_or_else(|| Error::invalid_input("the message has no `messageId`"))?.to_owned(),
            published_at: text(message, ["publishTime", "publish_time"])?.and_then(clock::parse),
            ordering_key: text(message, ["orderingKey", "ordering_key"])?.map(str::to_owned),
        })
    }

    /// Converts the message. `platform_attempt` is the `deliveryAttempt` of Pub/Sub, or 1.
    pub(crate) fn open(mut self, platform_attempt: u32) -> ReceivedMessage {
        let reserved = self.take_reserved();
        let value = |name: &str| reserved.get(name).filter(|text| !text.is_empty());
        let attempts = value(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or(0);
        // Without Pub/Sub's time the limit is unknown, so the copy is due immediately.
        let latest_due = self.published_at.map_or(SystemTime::UNIX_EPOCH, |at| later(at, PROFILE.limits.retry_after));
        let published_at = value(PUBLISHED_AT).and_then(|text| clock::parse(text)).or(self.published_at);
        let id = value(ID).cloned().unwrap_or(self.id);
        let mut message = Message::new(MessageId::new(id), self.data, published_at.unwrap_or(SystemTime::UNIX_EPOCH));
        message.attempt = platform_attempt.max(1).saturating_add(attempts);
        message.ordering_key = value(ORDERING_KEY).cloned().or(self.ordering_key).filter(|key| !key.is_empty());
        // A message with a key cannot have a delay: those after it would wait too.
        let due = value(DUE).filter(|_| message.ordering_key.is_none()).and_then(|text| clock::parse(text));
        message.trace_parent = self.attributes.remove(TraceParent::NAME).and_then(|text| text.parse().ok());
        message.attributes = self.attributes;
        ReceivedMessage {
            message,
            attempts,
            due: due.map(|due| due.min(latest_due)),
            meant_for: value(FOR).or(value(OF_PLATFORM)).cloned(),
            details: details(&reserved, self.published_at.unwrap_or(SystemTime::UNIX_EPOCH)),
        }
    }

    /// Removes and returns the attributes of isobar and of Pub/Sub.
    fn take_reserved(&mut self) -> BTreeMap<String, String> {
        let is_reserved = |name: &str| name.starts_with(PREFIX) || name.starts_with(DEAD_LETTER_PREFIX);
        let attributes = std::mem::take(&mut self.attributes);
        let (reserved, others) = attributes.into_iter().partition(|(name, _)| is_reserved(name));
        self.attributes = others;
        reserved
    }
}

/// The details of a message that was moved to a dead-letter topic at `moved_at`, from isobar's attributes or else from
/// Pub/Sub's.
fn details(reserved: &BTreeMap<String, String>, moved_at: SystemTime) -> Option<DeadLetterDetails> {
    let of_platform = |name: &str| reserved.get(&format!("{DEAD_LETTER_PREFIX}Source{name}")).map(String::as_str);
    let by_platform = || {
        let attempts = of_platform("DeliveryCount")?.parse().unwrap_or(1);
        let reason = match of_platform("DeliveryErrorMessage") {
            Some(message) => format!("Pub/Sub moved the message to the dead letters: {message}"),
            None => "Pub/Sub moved the message to the dead letters: the service never acknowledged it".to_owned(),
        };
        Some(DeadLetterDetails::new(attempts, &reason, moved_at, reserved.get(OF_PLATFORM).map_or("", String::as_str)))
    };
    DeadLetterDetails::from_attributes(reserved, moved_at).or_else(by_platform)
}

/// A received message with isobar's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReceivedMessage {
    /// The message. Its attempt includes the deliveries of earlier copies.
    pub(crate) message: Message<Bytes>,
    /// The number of earlier deliveries, of a copy.
    pub(crate) attempts: u32,
    /// The due time, at most the longest wait after Pub/Sub published the message.
    pub(crate) due: Option<SystemTime>,
    /// The only subscription that a copy, or a dead letter that was sent again, is for. Others acknowledge it.
    pub(crate) meant_for: Option<String>,
    /// The details of a dead letter. Without meaning after a redrive.
    pub(crate) details: Option<DeadLetterDetails>,
}

/// A field that is a string, by either of its names.
fn text<'a>(message: &'a Value, names: [&str; 2]) -> Result<Option<&'a str>> {
    let value = names.iter().map(|name| &message[*name]).find(|value| !value.is_null());
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid_input(format!("the `{}` of the message is not a string", names[0]))),
    }
}

fn attributes(value: &Value) -> Result<BTreeMap<String, String>> {
    let value = match value {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(value) => value,
        _ => return Err(Error::invalid_input("the `attributes` of the message are not a JSON object")),
    };
    let attribute = |(name, value): (&String, &Value)| {
        let printable: String = name.escape_debug().take(40).collect();
        let wrong = || Error::invalid_input(format!("the attribute `{printable}` of the message is not a string"));
        Ok((name.clone(), value.as_str().ok_or_else(wrong)?.to_owned()))
    };
    value.iter().map(attribute).collect()
}

#[cfg(test)]
mod tests;
