//! The envelope of a Storage Queue's message: JSON, stored in base64 as Functions' queue trigger requires.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Meta, Properties, Sending, text_of, unreadable};

/// The format of the envelopes that this version writes and reads.
const FORM: u32 = 1;

/// The envelope. Unknown names are ignored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope<'a> {
    /// The format. Its name distinguishes an envelope from the JSON of another sender.
    isobar: u32,
    body: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(flatten)]
    meta: Meta<'a>,
}

/// Encodes a message as an envelope, without base64.
pub(crate) fn write(message: &Message<Bytes>, sending: Sending) -> Result<Vec<u8>> {
    let (body, enc) = text_of(&message.body);
    let attributes = message.attributes.iter();
    let envelope = Envelope {
        isobar: FORM,
        body,
        attributes: attributes.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))).collect(),
        traceparent: message.trace_parent.map(|parent| Cow::Owned(parent.to_string())),
        meta: Meta::of(message, enc, sending),
    };
    Ok(serde_json::to_vec(&envelope)?)
}

/// Reads the envelope of a message; `None` for a message without one. Errors: `InvalidInput` where it is malformed, or of
/// a later format.
pub(super) fn read(body: &[u8]) -> Result<Option<Envelope<'static>>> {
    let decoded = match body.trim_ascii_start().first() {
        Some(b'{') => None,
        // The platform may pass the message as it is stored in the queue.
        _ => STANDARD.decode(body.trim_ascii()).ok(),
    };
    let body = decoded.as_deref().unwrap_or(body);
    #[derive(Deserialize)]
    struct Form {
        isobar: u32,
    }
    let Ok(Form { isobar }) = serde_json::from_slice(body) else { return Ok(None) };
    if isobar != FORM {
        let error = format!("its envelope has the format {isobar}, this isobar reads {FORM}: deploy a newer isobar");
        return Err(Error::invalid_input(error));
    }
    serde_json::from_slice(body).map(Some).map_err(|error| unreadable("envelope", &error))
}

impl Envelope<'static> {
    /// Returns the encoded body and the metadata; attributes and trace parent replace those of the platform.
    pub(super) fn open(self, properties: &mut Properties) -> (Cow<'static, [u8]>, Meta<'static>) {
        let Self { body, attributes, traceparent, meta, .. } = self;
        let attributes = attributes.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned()));
        properties.attributes = attributes.collect();
        properties.trace_parent = traceparent.and_then(|text| text.parse().ok());
        (Cow::Owned(body.into_owned().into_bytes()), meta)
    }
}
