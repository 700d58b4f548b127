//! Messages. [`Outgoing`] is for publishers and [`Message`] for handlers: only the second has an id, an attempt and a time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, TraceParent, json};

/// The id of a message, from the service. A redelivery has the same id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// For adapters: the id of the service as text.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message to publish.
///
/// A body is converted to one: `topic.publish(click)`.
///
/// ```
/// use isobar_abstraction::pub_sub::Outgoing;
/// let message = Outgoing::new("hello").with_attribute("lang", "en").with_ordering_key("room-7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing<T> {
    /// The body: JSON, or bytes without change if `T` is [`Bytes`]. It must not be empty.
    pub body: T,
    /// At most 8 attributes. Names have 1 to 64 of A-Z, a-z, 0-9, `_` and `-`, begin with a letter, and do not begin with
    /// `aws`, `goog`, `isobar` or `x-`; `traceparent` is reserved, and two names must differ in more than their case. Values
    /// have 1 to 1,024 bytes without control characters.
    pub attributes: BTreeMap<String, String>,
    /// The ordering key: messages with the same one are delivered one after the other, in the order of publishing. It has 1
    /// to 128 printable ASCII characters without blanks.
    pub ordering_key: Option<String>,
    /// The time before the first delivery; zero for none. At most 15 minutes, and not with an ordering key.
    pub delay: Duration,
}

impl<T> Outgoing<T> {
    /// A message with this body, without attributes, ordering key and delay.
    pub fn new(body: T) -> Self {
        Self { body, attributes: BTreeMap::new(), ordering_key: None, delay: Duration::ZERO }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Sets the ordering key. A failing message delays the later ones of its key; other keys are independent.
    #[must_use]
    pub fn with_ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }

    /// Delivers the message after this time at the earliest, by the clock of the publisher: at most
    /// [`Limits::message_delay`](crate::Limits::message_delay), 15 minutes. A message with an ordering key cannot have a
    /// delay. The delay does not count as an attempt.
    ///
    /// For a longer wait, store an item and look for it in a [schedule](crate::App::on_schedule).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use isobar_abstraction::pub_sub::{Message, Outgoing};
    /// use isobar_abstraction::{App, Cloud, Context, Outcome, TestClient};
    ///
    /// let remind = async |_: Message<String>, _: Context| Outcome::Ack;
    /// let client = TestClient::new(|cloud: &Cloud| App::new("tea").on_message(&cloud.topic("reminders"), remind))?;
    /// let reminder = Outgoing::new("the tea is ready".to_owned()).with_delay(Duration::from_secs(180));
    /// client.cloud().topic::<String>("reminders").publish(reminder).await?;
    /// assert_eq!(client.deliver_all().await?.acked, 0);
    /// client.advance(Duration::from_secs(180));
    /// assert_eq!(client.deliver_all().await?.acked, 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl<T> From<T> for Outgoing<T> {
    fn from(body: T) -> Self {
        Self::new(body)
    }
}

/// For adapters: a body as text, if every service can carry it without change: UTF-8 without the characters that XML 1.0
/// forbids, which are most control characters, U+FFFE and U+FFFF. JSON is such a text.
///
/// Other bodies must be sent in base64 where a service carries text only, and count by that length.
///
/// ```
/// use isobar_abstraction::driver::pub_sub::plain_text;
/// assert_eq!(plain_text(b"tab\t and line\r\n"), Some("tab\t and line\r\n"));
/// assert_eq!(plain_text(b"\0"), None);
/// assert_eq!(plain_text(b"\xff"), None);
/// ```
pub fn plain_text(body: &[u8]) -> Option<&str> {
    // <https://www.w3.org/TR/xml/#charsets>; a `char` of Rust is never a surrogate.
    let forbidden =
        |character| matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    std::str::from_utf8(body).ok().filter(|text| !text.contains(forbidden))
}

/// A received message.
///
/// Delivery is at least once: a message with the same id can be delivered again, also after it was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<T> {
    /// The id, the same for each delivery.
    pub id: MessageId,
    /// The body.
    pub body: T,
    /// The attributes of the publisher.
    pub attributes: BTreeMap<String, String>,
    /// The ordering key of the publisher.
    pub ordering_key: Option<String>,
    /// The delivery attempt, starting at 1. After a crash of the process an attempt can count without a call of the handler.
    pub attempt: u32,
    /// The time of publishing; the time of delivery where the service reports none.
    pub published_at: SystemTime,
    /// The trace of the publisher; `None` if the message has none.
    pub trace_parent: Option<TraceParent>,
}

impl Message<Bytes> {
    /// For hosts: a message at its first delivery, without attributes, ordering key and trace.
    pub fn new(id: MessageId, body: impl Into<Bytes>, published_at: SystemTime) -> Self {
        Self {
            id,
            body: body.into(),
            attributes: BTreeMap::new(),
            ordering_key: None,
            attempt: 1,
            published_at,
            trace_parent: None,
        }
    }

    /// The message with its decoded body. Errors: `InvalidInput` if the body is not a `T`.
    pub fn decode<T: DeserializeOwned + 'static>(self) -> Result<Message<T>> {
        // Without the source: the text of serde quotes the body, and this error is logged.
        let body = json::decode(&self.body).map_err(|error: Error| {
            let expected = std::any::type_name::<T>();
            Error::invalid_input(format!("the body of message {} is not a `{expected}`: {}", self.id, error.message()))
        })?;
        let Self { id, attributes, ordering_key, attempt, published_at, trace_parent, .. } = self;
        Ok(Message { id, body, attributes, ordering_key, attempt, published_at, trace_parent })
    }
}
