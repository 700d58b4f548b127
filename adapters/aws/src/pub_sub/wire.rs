//! The format of messages in SNS and SQS: text of XML's characters and at most ten attributes.
//!
//! | part of a message | in SNS and SQS |
//! |---|---|
//! | body | the text; if it is not [`plain_text`], base64 with a note in `isobar.meta` |
//! | attributes | attributes of type `String`; those that do not fit are in `isobar.meta` |
//! | trace parent | the attribute `traceparent` |
//! | id, time of publishing, earlier attempts | in `isobar.meta`: with raw delivery SQS returns neither the id nor the time of SNS |
//! | due time of a message with a delay | in `isobar.meta`: SNS cannot delay, so the host does |
//!
//! A message of another publisher has no `isobar.meta` and is read as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, later, to_millis};
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId, plain_text};
use isobar_abstraction::{Error, Result, TraceParent, clock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The attribute for data without a field in SNS and SQS.
pub(crate) const META: &str = "isobar.meta";

/// The most attributes of a message: SNS does not deliver a message with more to SQS, but drops it.
///
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>
const MOST_ATTRIBUTES: usize = 10;

/// The JSON in [`META`]. Unknown fields are ignored, so that later versions can add some.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Meta<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    /// The time of publishing in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// The time before which the message must not be delivered, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<u64>,
    /// The encoding of the body: `base64`, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enc: Option<Cow<'a, str>>,
    /// The attempts so far, of a message that a tool brought.
    #[serde(default, skip_serializing_if = "is_zero")]
    attempt: u32,
    /// Attributes that do not fit into attributes of SNS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// The details of a dead letter; ignored in a message that was redriven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead: Option<DeadLetterDetails>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A message in the format of SNS and SQS.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EncodedMessage<'a> {
    pub(crate) body: Cow<'a, str>,
    /// Attributes, all of type `String`.
    pub(crate) attributes: Vec<(&'a str, Cow<'a, str>)>,
}

impl EncodedMessage<'_> {
    /// The size by the rules of SNS and SQS: body, and names, types and values of the attributes.
    pub(super) fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }
}

/// Encodes a message with its due time.
pub(crate) fn encode(message: &Message<Bytes>, due: Option<SystemTime>) -> Result<EncodedMessage<'_>> {
    // Rounded up, so that no delivery is early.
    let millis = |due| to_millis(later(due, Duration::from_nanos(999_999)));
    let attempt = message.attempt.saturating_sub(1);
    encode_with(message, Meta { due: due.map(millis), attempt, ..Meta::default() })
}

/// Encodes a dead letter, which has no due time: if it is sent to its queue again, it is delivered immediately.
pub(crate) fn encode_dead_letter(message: &Message<Bytes>, details: DeadLetterDetails) -> Result<EncodedMessage<'_>> {
    encode_with(message, Meta { dead: Some(details), ..Meta::default() })
}

fn encode_with<'a>(message: &'a Message<Bytes>, mut meta: Meta<'a>) -> Result<EncodedMessage<'a>> {
    (meta.id, meta.at) = (Some(Cow::Borrowed(message.id.as_str())), Some(to_millis(message.published_at)));
    let body = match plain_text(&message.body) {
        Some(text) if !text.is_empty() => Cow::Borrowed(text),
        _ => {
            meta.enc = Some(Cow::Borrowed("base64"));
            Cow::Owned(STANDARD.encode(&message.body))
        }
    };
    let mut attributes: Vec<(&str, Cow<'_, str>)> = Vec::new();
    attributes.extend(message.trace_parent.map(|parent| (TraceParent::NAME, Cow::Owned(parent.to_string()))));
    for (name, value) in &message.attributes {
        // The last attribute is `META` itself.
        let fits = attributes.len() < MOST_ATTRIBUTES - 1 && !value.is_empty() && name != META;
        if fits && plain_text(value.as_bytes()).is_some() {
            attributes.push((name, Cow::Borrowed(value)));
        } else {
            meta.attributes.insert(Cow::Borrowed(name), Cow::Borrowed(value));
        }
    }
    attributes.push((META, Cow::Owned(escaped(&serde_json::to_string(&meta)?))));
    Ok(EncodedMessage { body, attributes })
}

/// JSON without characters that XML forbids. JSON itself escapes control characters.
pub(super) fn escaped(json: &str) -> String {
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// A received message before decoding.
#[derive(Debug)]
pub(crate) struct ReceivedMessage {
    /// The service's id.
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) attributes: BTreeMap<String, String>,
    /// When the service received it.
    pub(crate) sent_at: SystemTime,
    /// The delivery attempt, starting at 1.
    pub(crate) attempt: u32,
    /// The group of a FIFO queue.
    pub(crate) group: Option<String>,
}

/// A received message after decoding.
#[derive(Debug)]
pub(crate) struct DecodedMessage {
    pub(crate) message: Message<Bytes>,
    /// The time before which it must not be delivered.
    pub(crate) due: Option<SystemTime>,
    /// The details of a dead letter.
    pub(crate) dead: Option<DeadLetterDetails>,
}

impl ReceivedMessage {
    /// Decodes the message. Errors: `InvalidInput` for a
    /// malformed message, which no repeat repairs.
    pub(crate) fn decode(mut self) -> Result<DecodedMessage> {
        if !self.attributes.contains_key(META) {
            self.unwrap_envelope()?;
        }
        let text = self.attributes.remove(META);
        let meta: Meta<'_> = match &text {
            Some(text) => serde_json::from_str(text).map_err(|error| unreadable_meta(&error))?,
            None => Meta::default(),
        };
        let body = match meta.enc.as_deref() {
            None => Bytes::from(self.body),
            Some("base64") => STANDARD
                .decode(&self.body)
                .map_err(|_| Error::invalid_input("the body of the message is not valid base64"))?
                .into(),
            Some(encoding) => {
                let encoding = isobar_abstraction::driver::host::excerpt(encoding);
                let message = format!(
                    "the body of the message has the encoding `{encoding}`, which this version of isobar does not support"
                );
                return Err(Error::invalid_input(message));
            }
        };
        let id = meta.id.map_or(self.id, Cow::into_owned);
        let mut message = Message::new(MessageId::new(id), body, meta.at.map_or(self.sent_at, from_millis));
        message.attempt = self.attempt.saturating_add(meta.attempt);
        message.trace_parent = self.attributes.remove(TraceParent::NAME).and_then(|text| text.parse().ok());
        message.attributes = self.attributes;
        message.attributes.extend(meta.attributes.into_iter().map(|(name, it)| (name.into_owned(), it.into_owned())));
        // A message without a key is alone in its group, which has the message's id as its name.
        message.ordering_key = self.group.filter(|group| group != message.id.as_str());
        Ok(DecodedMessage { message, due: meta.due.map(from_millis), dead: meta.dead })
    }

    /// Unwraps the JSON envelope that SNS adds without raw delivery.
    ///
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html>
    fn unwrap_envelope(&mut self) -> Result<()> {
        if !self.body.contains("\"TopicArn\"") {
            return Ok(());
        }
        let Ok(mut envelope) = serde_json::from_str::<Value>(&self.body) else { return Ok(()) };
        if envelope["Type"] != "Notification" || !envelope["TopicArn"].is_string() {
            return Ok(());
        }
        let Value::String(body) = envelope["Message"].take() else { return Ok(()) };
        let attributes = attributes(&envelope["MessageAttributes"])?;
        self.id = envelope["MessageId"].as_str().map_or_else(|| std::mem::take(&mut self.id), str::to_owned);
        self.sent_at = time(&envelope["Timestamp"]).unwrap_or(self.sent_at);
        self.body = body;
        self.attributes.extend(attributes);
        Ok(())
    }
}

/// Attributes as text in the form of each service: `stringValue` in records of Lambda,
/// `StringValue` in responses of SQS, `Value` in messages of SNS. Binary values are in base64.
pub(crate) fn attributes(json: &Value) -> Result<BTreeMap<String, String>> {
    let attributes = match json {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(attributes) => attributes,
        _ => return Err(Error::invalid_input("the attributes of the message are not a JSON object")),
    };
    let value = |attribute: &Value| {
        let names = ["stringValue", "StringValue", "Value", "binaryValue", "BinaryValue"];
        names.iter().find_map(|name| attribute[name].as_str()).map(str::to_owned)
    };
    let pair = |(name, attribute): (&String, &Value)| {
        let missing =
            || Error::invalid_input(format!("the attribute `{}` of the message has no value", name.escape_debug()));
        Ok((name.clone(), value(attribute).ok_or_else(missing)?))
    };
    attributes.iter().map(pair).collect()
}

/// Reads a time in AWS's JSON form: RFC 3339.
pub(crate) fn time(json: &Value) -> Option<SystemTime> {
    clock::parse(json.as_str()?)
}

/// Leaves out the parser's text, which quotes its input.
fn unreadable_meta(error: &serde_json::Error) -> Error {
    Error::invalid_input(format!(
        "the attribute `{META}` of the message is not isobar's: invalid JSON at column {}",
        error.column()
    ))
}

#[cfg(test)]
mod tests;
