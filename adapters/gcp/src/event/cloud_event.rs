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

use super::Refused;

/// The type of a message of Pub/Sub.
pub(super) const MESSAGE: &str = "google.cloud.pubsub.topic.v1.messagePublished";

/// An event, as far as triggers read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloudEvent {
    /// Its type, such as `google.cloud.storage.object.v1.finalized`.
    pub(crate) kind: String,
    pub(crate) time: Option<SystemTime>,
    pub(crate) data: Bytes,
}

impl CloudEvent {
    /// All of it in JSON. Errors: naming the attribute.
    pub(super) fn structured(body: &[u8]) -> Result<Self, Refused> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Refused::malformed(format!("the CloudEvent is no JSON at line {} column {}", error.line(), error.column()))
        })?;
        if !value.is_object() {
            return Err(Refused::malformed("the CloudEvent is no JSON object"));
        }
        let attribute = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.contains(char::is_control) => {
                Err(Refused::malformed(format!("the CloudEvent's `{name}` has control characters in it")))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refused::malformed(format!("the CloudEvent's `{name}` is no text"))),
        };
        let data = match (value.get("data").filter(|data| !data.is_null()), attribute("data_base64")?) {
            (Some(_), Some(_)) => return Err(Refused::malformed("the CloudEvent has both `data` and `data_base64`")),
            (_, Some(base64)) => STANDARD
                .decode(base64)
                .map_err(|_| Refused::malformed("the CloudEvent's `data_base64` is no base64"))?
                .into(),
            (Some(data), None) => Bytes::from(data.to_string()),
            (None, None) => Bytes::new(),
        };
        Self::of(attribute, data)
    }

    /// Attributes in headers, the data as the body. Errors: naming the attribute.
    pub(super) fn binary(headers: &HeaderMap, body: &Bytes) -> Result<Self, Refused> {
        let attribute = |name: &str| match headers.get(format!("ce-{name}")) {
            None => Ok(None),
            Some(value) => {
                let wrong = || Refused::malformed(format!("the header `ce-{name}` is no text"));
                decoded(value.as_bytes()).map(Some).ok_or_else(wrong)
            }
        };
        Self::of(attribute, body.clone())
    }

    fn of(attribute: impl Fn(&str) -> Result<Option<String>, Refused>, data: Bytes) -> Result<Self, Refused> {
        let required = |name: &str| {
            let found = attribute(name)?.filter(|text| !text.is_empty());
            found.ok_or_else(|| Refused::malformed(format!("the CloudEvent has no `{name}`")))
        };
        let version = required("specversion")?;
        if version != "1.0" {
            let version = excerpt(&version);
            return Err(Refused::malformed(format!("the CloudEvent's `specversion` is `{version}`; 1.0 is taken")));
        }
        required("id")?;
        required("source")?;
        // An event is not lost for its time.
        let time = attribute("time").ok().flatten().and_then(|text| clock::parse(&text));
        Ok(Self { kind: required("type")?, time, data })
    }

    /// The data as JSON. Errors: 400.
    pub(super) fn json(&self) -> Result<Value, Refused> {
        serde_json::from_slice(&self.data).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Refused::malformed(format!("the event's data is no JSON at line {line} column {column}"))
        })
    }

    /// It is not what its endpoint takes.
    pub(super) fn strange(&self, wanted: &str) -> Refused {
        let kind = excerpt(&self.kind);
        Refused::malformed(format!("an event of type `{kind}` is not {wanted}"))
    }
}

/// A value of a header: percent-encoded UTF-8, perhaps in quotes. What is not encoded well stands for itself: senders
/// forget to encode a `%`. `None` for what is no UTF-8, or has control characters in it.
fn decoded(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let text = unquoted(text).unwrap_or(text.into());
    let text = percent_decode_str(&text).decode_utf8().unwrap_or(Cow::Borrowed(&text));
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

/// Without its quotes, and without the backslashes that those need. `None` for quotes that do not close.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = text.strip_prefix('"') else { return Some(text.into()) };
    let mut plain = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return letters.next().is_none().then(|| plain.into()),
            '\\' => plain.push(letters.next()?),
            other => plain.push(other),
        }
    }
    None
}
