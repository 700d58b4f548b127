//! A message as SNS and SQS carry it: text of XML's characters, and at most ten attributes.
//!
//! | of a message | on the wire |
//! |---|---|
//! | body | the text; in base64 where it is not [`plain_text`], which `isobar.meta` tells |
//! | attributes | attributes of type `String`; those that do not fit, in `isobar.meta` |
//! | trace parent | the attribute `traceparent` |
//! | id, time of publishing | in `isobar.meta`: with raw delivery SQS shows neither the id nor the time that SNS gave |
//!
//! A message of somebody else's has no `isobar.meta`: it is taken as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId, plain_text};
use isobar_abstraction::{Error, Result, TraceParent, clock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The attribute with what SNS and SQS have no place for.
pub(crate) const META: &str = "isobar.meta";

/// More attributes than these SNS does not hand to SQS: it drops the message.
///
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>
const MOST_ATTRIBUTES: usize = 10;

/// What stands in [`META`], as JSON. Unknown names are left alone, for isobars to come.
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
    /// Attributes that could not be attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Of a dead letter; of a message that was put back it means nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead: Option<DeadLetterDetails>,
}

/// A message ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Carried<'a> {
    pub(crate) body: Cow<'a, str>,
    /// All of type `String`.
    pub(crate) attributes: Vec<(&'a str, Cow<'a, str>)>,
}

/// Writes a message, or a dead letter.
pub(crate) fn encode<'a>(message: &'a Message<Bytes>, dead: Option<DeadLetterDetails>) -> Result<Carried<'a>> {
    let mut meta = Meta { at: Some(to_millis(message.published_at)), dead, ..Meta::default() };
    meta.id = Some(Cow::Borrowed(message.id.as_str()));
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
        // The last place is for `META` itself.
        let fits = attributes.len() < MOST_ATTRIBUTES - 1 && !value.is_empty() && name != META;
        if fits && plain_text(value.as_bytes()).is_some() {
            attributes.push((name, Cow::Borrowed(value)));
        } else {
            meta.attributes.insert(Cow::Borrowed(name), Cow::Borrowed(value));
        }
    }
    attributes.push((META, Cow::Owned(escaped(&serde_json::to_string(&meta)?))));
    Ok(Carried { body, attributes })
}

/// JSON whose strings have no character that XML forbids. JSON itself has escaped the controls.
fn escaped(json: &str) -> String {
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// A message as it came, before anybody looked into it.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The id that the service gave it.
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) attributes: BTreeMap<String, String>,
    /// When the service took it.
    pub(crate) sent_at: SystemTime,
    /// The how-manieth delivery this is.
    pub(crate) attempt: u32,
    /// The group of a FIFO queue.
    pub(crate) group: Option<String>,
}

impl Arrived {
    /// The message of it, and why it is dead if it is a dead letter. Errors: `InvalidInput` where it
    /// cannot be read, which is for ever.
    pub(crate) fn open(mut self) -> Result<(Message<Bytes>, Option<DeadLetterDetails>)> {
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
            Some("base64") => {
                STANDARD.decode(&self.body).map_err(|_| Error::invalid_input("its body is no base64"))?.into()
            }
            Some(other) => {
                let other = isobar_abstraction::driver::host::excerpt(other);
                return Err(Error::invalid_input(format!("its body is in `{other}`, which this isobar does not know")));
            }
        };
        let id = meta.id.map_or(self.id, Cow::into_owned);
        let mut message = Message::new(MessageId::new(id), body, meta.at.map_or(self.sent_at, from_millis));
        message.attempt = self.attempt;
        message.trace_parent = self.attributes.remove(TraceParent::NAME).and_then(|text| text.parse().ok());
        message.attributes = self.attributes;
        message.attributes.extend(meta.attributes.into_iter().map(|(name, it)| (name.into_owned(), it.into_owned())));
        // A message without a key is the only one of its group, which is called like the message.
        message.ordering_key = self.group.filter(|group| group != message.id.as_str());
        Ok((message, meta.dead))
    }

    /// Takes the message out of the JSON that SNS puts around it without raw delivery.
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

/// Attributes as text, however the service writes them: `stringValue` in the records of Lambda,
/// `StringValue` in the answers of SQS, `Value` in those of SNS. Binary values are in base64.
pub(crate) fn attributes(told: &Value) -> Result<BTreeMap<String, String>> {
    let told = match told {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(told) => told,
        _ => return Err(Error::invalid_input("its attributes are no JSON object")),
    };
    let value = |told: &Value| {
        let names = ["stringValue", "StringValue", "Value", "binaryValue", "BinaryValue"];
        names.iter().find_map(|name| told[name].as_str()).map(str::to_owned)
    };
    let attribute = |(name, told): (&String, &Value)| {
        let missing = || Error::invalid_input(format!("its attribute `{}` has no value", name.escape_debug()));
        Ok((name.clone(), value(told).ok_or_else(missing)?))
    };
    told.iter().map(attribute).collect()
}

/// A time as AWS writes it in JSON: RFC 3339.
pub(crate) fn time(told: &Value) -> Option<SystemTime> {
    clock::parse(told.as_str()?)
}

/// Without the parser's words, which quote what it reads.
fn unreadable_meta(error: &serde_json::Error) -> Error {
    Error::invalid_input(format!("its attribute `{META}` is not ours at column {}", error.column()))
}

#[cfg(test)]
mod tests;
