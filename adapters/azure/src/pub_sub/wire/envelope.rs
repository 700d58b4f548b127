//! The envelope of a Storage Queue's message: JSON, of which the message is the base64, as Functions'
//! queue trigger wants it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Meta, Sending, Told, text_of, unreadable};

/// The form of envelopes that this isobar writes. Others it does not open.
const FORM: u32 = 1;

/// What is in the envelope. Unknown names are left alone.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Letter<'a> {
    /// The form. Its name is what tells an envelope from somebody else's JSON.
    isobar: u32,
    body: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(flatten)]
    meta: Meta<'a>,
}

/// Writes the envelope of a message, not yet in base64.
pub(crate) fn write(message: &Message<Bytes>, sending: Sending) -> Result<Vec<u8>> {
    let (body, enc) = text_of(&message.body);
    let attributes = message.attributes.iter();
    let letter = Letter {
        isobar: FORM,
        body,
        attributes: attributes.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))).collect(),
        traceparent: message.trace_parent.map(|parent| Cow::Owned(parent.to_string())),
        meta: Meta::of(message, enc, sending),
    };
    Ok(serde_json::to_vec(&letter)?)
}

/// The envelope that a message is; `None` where it is none. Errors: `InvalidInput` where it is broken,
/// or of a form to come.
pub(super) fn read(body: &[u8]) -> Result<Option<Letter<'static>>> {
    let decoded = match body.trim_ascii_start().first() {
        Some(b'{') => None,
        // The platform may hand over the message as it lies in the queue.
        _ => STANDARD.decode(body.trim_ascii()).ok(),
    };
    let body = decoded.as_deref().unwrap_or(body);
    #[derive(Deserialize)]
    struct Form {
        isobar: u32,
    }
    let Ok(Form { isobar }) = serde_json::from_slice(body) else { return Ok(None) };
    if isobar != FORM {
        let error = format!("its envelope is of form {isobar}, this isobar knows {FORM}: deploy a newer one");
        return Err(Error::invalid_input(error));
    }
    serde_json::from_slice(body).map(Some).map_err(|error| unreadable("envelope", &error))
}

impl Letter<'static> {
    /// The body as it was written, and what is said of it; the rest is told in place of the platform's.
    pub(super) fn open(self, told: &mut Told) -> (Cow<'static, [u8]>, Meta<'static>) {
        let Self { body, attributes, traceparent, meta, .. } = self;
        let attributes = attributes.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned()));
        told.attributes = attributes.collect();
        told.trace_parent = traceparent.and_then(|text| text.parse().ok());
        (Cow::Owned(body.into_owned().into_bytes()), meta)
    }
}
