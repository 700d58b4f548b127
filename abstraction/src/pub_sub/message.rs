//! Messages: what is sent and what is received are different types.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, TraceParent, json};

/// The id that the service gave a message. A redelivery has the same id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// For adapters: the service's own id as text.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message to be published.
///
/// A plain body becomes one by itself: `topic.publish(click)`.
///
/// ```
/// use isobar_abstraction::pub_sub::Outgoing;
/// let message = Outgoing::new("hello").with_attribute("lang", "en").with_ordering_key("room-7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing<T> {
    /// The body.
    pub body: T,
    /// Up to 8 attributes. Names: 1 to 64 of A-Z, a-z, 0-9, `_` and `-`, beginning with a letter.
    /// Values: 1 to 1,024 bytes without control characters.
    pub attributes: BTreeMap<String, String>,
    /// Messages of one key are delivered one after the other, in the order of publishing: 1 to 128
    /// printable ASCII characters without blanks.
    pub ordering_key: Option<String>,
}

impl<T> Outgoing<T> {
    /// A message with this body.
    pub fn new(body: T) -> Self {
        Self { body, attributes: BTreeMap::new(), ordering_key: None }
    }

    /// One more attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// The key whose messages keep their order.
    #[must_use]
    pub fn with_ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }
}

impl<T> From<T> for Outgoing<T> {
    fn from(body: T) -> Self {
        Self::new(body)
    }
}

/// A body as text, if every service carries it as it is: UTF-8 without the characters that XML 1.0
/// forbids, which are most control characters, U+FFFE and U+FFFF. JSON always is.
///
/// For adapters: other bodies travel in base64 where a service carries text only, and are counted so.
///
/// ```
/// use isobar_abstraction::driver::pub_sub::plain_text;
/// assert_eq!(plain_text(b"tab\t and line\r\n"), Some("tab\t and line\r\n"));
/// assert_eq!(plain_text(b"\0"), None);
/// assert_eq!(plain_text(b"\xff"), None);
/// ```
pub fn plain_text(body: &[u8]) -> Option<&str> {
    // <https://www.w3.org/TR/xml/#charsets>; surrogates are no characters of Rust.
    let forbidden =
        |character| matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    std::str::from_utf8(body).ok().filter(|text| !text.contains(forbidden))
}

/// A message that was received.
///
/// Delivery is at least once: the same id may come again, also after it was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<T> {
    /// The id that the service gave it.
    pub id: MessageId,
    /// The body.
    pub body: T,
    /// The attributes that it was published with.
    pub attributes: BTreeMap<String, String>,
    /// The ordering key that it was published with.
    pub ordering_key: Option<String>,
    /// The how-manieth delivery this is, from 1.
    pub attempt: u32,
    /// When it was published.
    pub published_at: SystemTime,
    /// The trace of the publisher.
    pub trace_parent: Option<TraceParent>,
}

impl Message<Bytes> {
    /// For hosts: a message as it was delivered for the first time, now.
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

    /// The same message with its body decoded. Errors: `InvalidInput` where it is not a `T`.
    pub fn decode<T: DeserializeOwned + 'static>(self) -> Result<Message<T>> {
        // Without its source: the words of serde quote the body, and this goes into logs.
        let body = json::decode(&self.body).map_err(|error: Error| {
            let expected = std::any::type_name::<T>();
            Error::invalid_input(format!("the body of message {} is not a `{expected}`: {}", self.id, error.message()))
        })?;
        let Self { id, attributes, ordering_key, attempt, published_at, trace_parent, .. } = self;
        Ok(Message { id, body, attributes, ordering_key, attempt, published_at, trace_parent })
    }
}
