//! CloudEvents 1.0 over HTTP, structured and binary.
//!
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>.

use std::borrow::Cow;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use isobar_abstraction::clock;
use isobar_abstraction::driver::host::excerpt;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Rejection;

/// The type of a message of Pub/Sub.
pub(super) const MESSAGE: &str = "google.cloud.pubsub.topic.v1.messagePublished";

/// The parts of a CloudEvent that triggers use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloudEvent {
    /// The type, such as `google.cloud.storage.object.v1.finalized`.
    pub(crate) kind: String,
    /// The source, such as `//firestore.googleapis.com/projects/p/databases/(default)`.
    pub(crate) source: String,
    /// The path of a document of Firestore.
    pub(crate) document: Option<String>,
    pub(crate) time: Option<SystemTime>,
    pub(crate) data: Bytes,
}

impl CloudEvent {
    /// Reads an event whose attributes and data are JSON. Errors: 400, naming the attribute.
    pub(super) fn structured(body: &[u8]) -> Result<Self, Rejection> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Rejection::malformed(format!(
                "the CloudEvent is not valid JSON at line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
        if !value.is_object() {
            return Err(Rejection::malformed("the CloudEvent is not a JSON object"));
        }
        let attribute = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.contains(char::is_control) => {
                Err(Rejection::malformed(format!("the CloudEvent's `{name}` contains control characters")))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Rejection::malformed(format!("the CloudEvent's `{name}` is not a string"))),
        };
        let data = match (value.get("data").filter(|data| !data.is_null()), attribute("data_base64")?) {
            (Some(_), Some(_)) => return Err(Rejection::malformed("the CloudEvent has both `data` and `data_base64`")),
            (_, Some(base64)) => STANDARD
                .decode(base64)
                .map_err(|_| Rejection::malformed("the CloudEvent's `data_base64` is not valid base64"))?
                .into(),
            (Some(data), None) => Bytes::from(data.to_string()),
            (None, None) => Bytes::new(),
        };
        Self::of(attribute, data)
    }

    /// Reads an event whose attributes are headers and whose data is the body. Errors: 400, naming the attribute.
    pub(super) fn binary(headers: &HeaderMap, body: &Bytes) -> Result<Self, Rejection> {
        let attribute = |name: &str| match headers.get(format!("ce-{name}")) {
            None => Ok(None),
            Some(value) => {
                let wrong = || Rejection::malformed(format!("the header `ce-{name}` is not text"));
                decoded(value.as_bytes()).map(Some).ok_or_else(wrong)
            }
        };
        Self::of(attribute, body.clone())
    }

    fn of(attribute: impl Fn(&str) -> Result<Option<String>, Rejection>, data: Bytes) -> Result<Self, Rejection> {
        let required = |name: &str| {
            let found = attribute(name)?.filter(|text| !text.is_empty());
            found.ok_or_else(|| Rejection::malformed(format!("the CloudEvent has no `{name}`")))
        };
        let version = required("specversion")?;
        if version != "1.0" {
            let version = excerpt(&version);
            return Err(Rejection::malformed(format!("the CloudEvent's `specversion` is `{version}`, expected `1.0`")));
        }
        required("id")?;
        // An invalid time or document is no reason to reject an event.
        let optional = |name: &str| attribute(name).ok().flatten();
        let time = optional("time").and_then(|text| clock::parse(&text));
        Ok(Self { kind: required("type")?, source: required("source")?, document: optional("document"), time, data })
    }

    /// The data as JSON. Errors: 400.
    pub(super) fn json(&self) -> Result<Value, Rejection> {
        serde_json::from_slice(&self.data).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Rejection::malformed(format!("the event's data is not valid JSON at line {line} column {column}"))
        })
    }

    /// The rejection of an event of another type.
    pub(super) fn unexpected(&self, expected: &str) -> Rejection {
        let kind = excerpt(&self.kind);
        Rejection::malformed(format!("an event of type `{kind}` is not {expected}"))
    }
}

/// Decodes the value of a header: percent-encoded UTF-8, optionally quoted. Text that is not well encoded is returned
/// unchanged, since some senders do not encode a `%`. `None` for a value that is not UTF-8 or has control characters.
fn decoded(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let text = unquoted(text).unwrap_or(text.into());
    let text = percent_decode_str(&text).decode_utf8().unwrap_or(Cow::Borrowed(&text));
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

/// Removes quotes and their backslashes. `None` for quotes that do not close.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = text.strip_prefix('"') else { return Some(text.into()) };
    let mut plain = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return characters.next().is_none().then(|| plain.into()),
            '\\' => plain.push(characters.next()?),
            other => plain.push(other),
        }
    }
    None
}
