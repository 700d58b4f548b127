//! A message as Pub/Sub carries it.
//!
//! | of a message | in a `PubsubMessage` |
//! |---|---|
//! | body | `data` |
//! | attributes | attributes of the same names |
//! | trace parent | the attribute `traceparent` |
//! | id | the `messageId` that Pub/Sub gave; of a copy and a dead letter that of their message, in [`ID`] |
//! | time of publishing | [`PUBLISHED_AT`]; `publishTime` where it is missing |
//! | ordering key | `orderingKey`, and [`ORDERING_KEY`], since Pub/Sub does not show the other to everybody |
//!
//! All names that begin with `isobar-` are ours, and no attribute of a user: [`Topic`] refuses them. A
//! message of somebody else's has none of them: it is taken as it is.
//!
//! A dead letter that is published anew to its topic, as it is, is its message again, with all its
//! attempts.
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

/// What the names begin with that are ours.
pub(crate) const OURS: &str = "isobar-";

/// The id of the message that this is a copy of.
pub(crate) const ID: &str = "isobar-id";

/// When a message was published, in RFC 3339, by the clock of who did.
pub(crate) const PUBLISHED_AT: &str = "isobar-published-at";

/// The ordering key. In pushes of the emulator, and to subscriptions without an order, there is no other.
pub(crate) const ORDERING_KEY: &str = "isobar-ordering-key";

/// Of a copy: deliveries before.
pub(crate) const ATTEMPTS: &str = "isobar-attempts";

/// Of a copy: not to be handled before, in RFC 3339. Read as at most `PROFILE.limits.retry_after` after Pub/Sub
/// published the copy: everyone who may publish can write this attribute, and each message must be due some day.
pub(crate) const DUE: &str = "isobar-due";

/// Of a copy: the only subscription that it is for, by its name without the project.
///
/// A subscription that others share a topic with has the filter
/// `NOT attributes:"isobar-for" OR attributes."isobar-for" = "<subscription>"`; who has none has to look.
pub(crate) const FOR: &str = "isobar-for";

/// What the names begin with that Pub/Sub gives the attributes of a message that it moved to a
/// dead-letter topic.
const OF_DEAD: &str = "CloudPubSubDeadLetter";

/// What the names begin with that Google keeps for itself: who publishes one is refused.
const OF_GOOGLE: &str = "goog";

/// Attributes in the order of their names.
type Attributes<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// A message ready to be published. It is never empty, which Pub/Sub would refuse: it always has an
/// attribute.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Carried<'a> {
    #[serde(serialize_with = "base64")]
    pub(super) data: &'a [u8],
    pub(super) attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ordering_key: Option<&'a str>,
}

fn base64<S: Serializer>(data: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(data, &STANDARD))
}

impl Carried<'_> {
    /// Its size in JSON.
    pub(super) fn bytes(&mut self) -> usize {
        let data = std::mem::take(&mut self.data);
        let besides = serde_json::to_vec(self).map_or(0, |json| json.len());
        self.data = data;
        besides + data.len().div_ceil(3) * 4
    }
}

/// A message as it is published for the first time, at `now`.
pub(crate) fn first(raw: &RawMessage, now: SystemTime) -> Carried<'_> {
    let RawMessage { body, attributes, ordering_key, trace_parent, .. } = raw;
    carried(body, attributes, ordering_key.as_deref(), Some(*trace_parent), now)
}

/// A copy of a message that was received, without what the platform added to it.
pub(crate) fn copy(message: &Message<Bytes>) -> Carried<'_> {
    let Message { body, attributes, ordering_key, trace_parent, published_at, .. } = message;
    let mut copy = carried(body, attributes, ordering_key.as_deref(), *trace_parent, *published_at);
    copy.say(ID, message.id.as_str());
    copy
}

fn carried<'a>(
    data: &'a [u8],
    attributes: &'a BTreeMap<String, String>,
    ordering_key: Option<&'a str>,
    trace_parent: Option<TraceParent>,
    published_at: SystemTime,
) -> Carried<'a> {
    let attributes = attributes.iter().filter(|(name, _)| !name.starts_with(OF_GOOGLE));
    let attributes = attributes.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    let mut carried = Carried { data, attributes, ordering_key };
    if let Some(parent) = trace_parent {
        carried.say(TraceParent::NAME, parent.to_string());
    }
    if let Some(key) = ordering_key {
        carried.say(ORDERING_KEY, key);
    }
    carried.say(PUBLISHED_AT, written(published_at));
    carried
}

impl<'a> Carried<'a> {
    /// One more attribute.
    pub(super) fn say(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.attributes.insert(name.into(), value.into());
    }
}

/// A time as it stands in an attribute: to be read as it was.
pub(super) fn written(time: SystemTime) -> String {
    to_utc(time).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A message as Pub/Sub hands it over: in a push, an answer to a pull, an event of Eventarc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PubsubMessage {
    pub(crate) data: Bytes,
    /// All of them, ours too.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) id: String,
    pub(crate) published_at: Option<SystemTime>,
    pub(crate) ordering_key: Option<String>,
}

impl PubsubMessage {
    /// Reads a `PubsubMessage` in JSON. Its names are in camel case, in snake case, or there in both.
    ///
    /// Errors: `InvalidInput`, saying which field is wrong, which is for ever.
    pub(crate) fn read(message: &Value) -> Result<Self> {
        if !message.is_object() {
            return Err(Error::invalid_input("the message is no JSON object"));
        }
        let id = text(message, ["messageId", "message_id"])?.filter(|id| !id.is_empty());
        let data = text(message, ["data", "data"])?.unwrap_or_default();
        let data = STANDARD.decode(data).map_err(|_| Error::invalid_input("the `data` of the message is no base64"))?;
        Ok(Self {
            data: data.into(),
            attributes: attributes(&message["attributes"])?,
            id: id.ok_or_else(|| Error::invalid_input("the message has no `messageId`"))?.to_owned(),
            published_at: text(message, ["publishTime", "publish_time"])?.and_then(clock::parse),
            ordering_key: text(message, ["orderingKey", "ordering_key"])?.map(str::to_owned),
        })
    }

    /// The message of it. `platform_attempt` is the `deliveryAttempt` that Pub/Sub told, or 1.
    pub(crate) fn open(mut self, platform_attempt: u32) -> Arrived {
        let ours = self.take_ours();
        let said = |name: &str| ours.get(name).filter(|text| !text.is_empty());
        let attempts = said(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or(0);
        // Without the time of Pub/Sub there is no limit to trust, so the copy is due at once.
        let latest_due = self.published_at.map_or(SystemTime::UNIX_EPOCH, |at| later(at, PROFILE.limits.retry_after));
        let published_at = said(PUBLISHED_AT).and_then(|text| clock::parse(text)).or(self.published_at);
        let id = said(ID).cloned().unwrap_or(self.id);
        let mut message = Message::new(MessageId::new(id), self.data, published_at.unwrap_or(SystemTime::UNIX_EPOCH));
        message.attempt = platform_attempt.max(1).saturating_add(attempts);
        message.ordering_key = said(ORDERING_KEY).cloned().or(self.ordering_key).filter(|key| !key.is_empty());
        message.trace_parent = self.attributes.remove(TraceParent::NAME).and_then(|text| text.parse().ok());
        message.attributes = self.attributes;
        Arrived {
            message,
            attempts,
            due: said(DUE).and_then(|text| clock::parse(text)).map(|due| due.min(latest_due)),
            meant_for: said(FOR).cloned(),
            details: details(&ours, self.published_at.unwrap_or(SystemTime::UNIX_EPOCH)),
        }
    }

    /// What is no attribute of a user.
    fn take_ours(&mut self) -> BTreeMap<String, String> {
        let is_ours = |name: &str| name.starts_with(OURS) || name.starts_with(OF_DEAD);
        let attributes = std::mem::take(&mut self.attributes);
        let (ours, theirs) = attributes.into_iter().partition(|(name, _)| is_ours(name));
        self.attributes = theirs;
        ours
    }
}

/// Why a message is dead that went to a dead-letter topic at `moved_at`: what is ours among its attributes says it, or what
/// is Pub/Sub's.
fn details(ours: &BTreeMap<String, String>, moved_at: SystemTime) -> Option<DeadLetterDetails> {
    let of_platform = |name: &str| ours.get(&format!("{OF_DEAD}Source{name}")).map(String::as_str);
    let by_platform = || {
        let attempts = of_platform("DeliveryCount")?.parse().unwrap_or(1);
        let reason = match of_platform("DeliveryErrorMessage") {
            Some(told) => format!("Pub/Sub gave up: {told}"),
            None => "Pub/Sub gave up: the service never answered for it".to_owned(),
        };
        Some(DeadLetterDetails::new(attempts, &reason, moved_at, of_platform("Subscription").unwrap_or_default()))
    };
    DeadLetterDetails::from_attributes(ours, moved_at).or_else(by_platform)
}

/// A message that was received, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The message. Its attempt counts the deliveries of those that it is a copy of.
    pub(crate) message: Message<Bytes>,
    /// Of a copy: deliveries before.
    pub(crate) attempts: u32,
    /// Of a copy: not to be handled before. Never later than the longest wait after Pub/Sub published the copy.
    pub(crate) due: Option<SystemTime>,
    /// Of a copy: the only subscription that it is for. Others are done with it.
    pub(crate) meant_for: Option<String>,
    /// Of a dead letter: why. Of one that was put back it means nothing any more.
    pub(crate) details: Option<DeadLetterDetails>,
}

/// A field that is text, by either of its names.
fn text<'a>(message: &'a Value, names: [&str; 2]) -> Result<Option<&'a str>> {
    let told = names.iter().map(|name| &message[*name]).find(|told| !told.is_null());
    match told {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid_input(format!("the `{}` of the message is no text", names[0]))),
    }
}

fn attributes(told: &Value) -> Result<BTreeMap<String, String>> {
    let told = match told {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(told) => told,
        _ => return Err(Error::invalid_input("the `attributes` of the message are no JSON object")),
    };
    let attribute = |(name, value): (&String, &Value)| {
        let shown: String = name.escape_debug().take(40).collect();
        let wrong = || Error::invalid_input(format!("the attribute `{shown}` of the message is no text"));
        Ok((name.clone(), value.as_str().ok_or_else(wrong)?.to_owned()))
    };
    told.iter().map(attribute).collect()
}

#[cfg(test)]
mod tests;
