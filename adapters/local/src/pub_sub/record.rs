//! How messages and dead letters are stored: a length, a header of that length in JSON, the bytes.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::pub_sub::{
    DeadLetter, DeadLetterDetails as PortableDetails, Message, MessageId, RawMessage,
};
use isobar_abstraction::{BoxError, Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A message as it is stored, which is never rewritten: what changes is kept in rows of its own.
#[derive(Debug)]
pub(super) struct Record {
    header: Header,
    body: Bytes,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Header {
    /// Only of a message that was put back: it has a new place, and keeps its id.
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// Only of a message that a tool brought: its id at another provider, or in another folder.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "t")]
    published_ms: u64,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    ordering_key: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
}

impl Record {
    pub(super) fn of_message(raw: RawMessage, published_ms: u64) -> Self {
        let RawMessage { body, attributes, ordering_key, trace_parent, .. } = raw;
        let trace_parent = Some(trace_parent.to_string());
        Self { header: Header { published_ms, ordering_key, attributes, trace_parent, ..Header::default() }, body }
    }

    /// A message that a tool brings.
    pub(super) fn of_sent(message: &Message<Bytes>) -> Self {
        let header = Header {
            id: None,
            name: Some(message.id.to_string()),
            published_ms: to_millis(message.published_at),
            ordering_key: message.ordering_key.clone(),
            attributes: message.attributes.clone(),
            trace_parent: message.trace_parent.map(|parent| parent.to_string()),
        };
        Self { header, body: message.body.clone() }
    }

    pub(super) fn of_event(body: Bytes, published_ms: u64) -> Self {
        Self { header: Header { published_ms, ..Header::default() }, body }
    }

    pub(super) fn ordering_key(&self) -> Option<&str> {
        self.header.ordering_key.as_deref()
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        encode(&self.header, &self.body)
    }

    pub(super) fn decode(stored: &[u8]) -> Result<Self> {
        let (header, body) = decode(stored)?;
        Ok(Self { header, body: Bytes::copy_from_slice(body) })
    }

    /// The number of the message at this place in the queue, which its dead letter has too.
    pub(super) fn id(&self, sequence: u64) -> u64 {
        self.header.id.unwrap_or(sequence)
    }

    /// The same message for another place in the queue.
    pub(super) fn with_id(mut self, id: u64) -> Self {
        self.header.id = Some(id);
        self
    }

    /// The message at this place in the queue, on its delivery number `attempt`.
    pub(super) fn into_message(self, sequence: u64, attempt: u32) -> Message<Bytes> {
        let Header { id, name, published_ms, ordering_key, attributes, trace_parent } = self.header;
        let id = name.unwrap_or_else(|| id_of(published_ms, id.unwrap_or(sequence)));
        let mut message = Message::new(MessageId::new(id), self.body, from_millis(published_ms));
        message.attributes = attributes;
        message.ordering_key = ordering_key;
        message.attempt = attempt;
        message.trace_parent = trace_parent.and_then(|text| text.parse().ok());
        message
    }
}

/// The id of a message by its number, which is of one data folder: data that are moved to another one can contain the ids of
/// messages that were handled, so the time is in the id too.
pub(super) fn id_of(published_ms: u64, number: u64) -> String {
    format!("{published_ms}-{number}")
}

/// The number in an id, or that number alone.
pub(crate) fn number_in(id: &str) -> Option<u64> {
    let (published_ms, number) = id.split_once('-').unwrap_or(("0", id));
    published_ms.parse::<u64>().ok().and(number.parse().ok())
}

/// Why a message is dead; stored before its record. The portable details have other names for their fields: existing data
/// files have `died_ms`. Only a dead letter that a tool brought has a source.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeadLetterDetails {
    pub(super) reason: String,
    pub(super) attempts: u32,
    pub(super) died_ms: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    source: String,
}

impl DeadLetterDetails {
    pub(super) fn new(reason: String, attempts: u32, died_at: SystemTime) -> Self {
        Self { reason, attempts, died_ms: to_millis(died_at), source: String::new() }
    }

    pub(super) fn of_portable(details: PortableDetails) -> Self {
        let PortableDetails { reason, attempts, died_at, source, .. } = details;
        Self { source, ..Self::new(reason, attempts, died_at) }
    }

    pub(super) fn portable(&self) -> PortableDetails {
        PortableDetails::new(self.attempts, &self.reason, from_millis(self.died_ms), &self.source)
    }

    pub(super) fn encode(&self, record: &[u8]) -> Result<Vec<u8>> {
        encode(self, record)
    }

    pub(super) fn decode(stored: &[u8]) -> Result<(Self, Record)> {
        let (details, record) = decode(stored)?;
        Ok((details, Record::decode(record)?))
    }

    pub(super) fn into_letter(self, id: u64, record: Record) -> DeadLetter {
        let is_brought = record.header.name.is_some();
        let mut message = record.into_message(id, self.attempts);
        if is_brought {
            // By which it is redriven.
            message.id = MessageId::new(id.to_string());
        }
        DeadLetter::new(&message, self.reason, from_millis(self.died_ms))
    }
}

fn encode(header: &impl Serialize, body: &[u8]) -> Result<Vec<u8>> {
    let unfit = |error: BoxError| Error::internal("the header of a message cannot be encoded").with_source(error);
    let header = serde_json::to_vec(header).map_err(|error| unfit(error.into()))?;
    let length = u32::try_from(header.len()).map_err(|error| unfit(error.into()))?;
    Ok([&length.to_le_bytes(), &header[..], body].concat())
}

fn decode<T: DeserializeOwned>(stored: &[u8]) -> Result<(T, &[u8])> {
    let parts = stored.split_first_chunk().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        rest.split_at_checked(length)
    });
    let (header, body) = parts.ok_or_else(|| damaged("it is too short"))?;
    let header = serde_json::from_slice(header).map_err(|error| damaged("its header").with_source(error))?;
    Ok((header, body))
}

/// A row that this code cannot have written.
pub(super) fn damaged(what: &str) -> Error {
    Error::internal(format!(
        "a stored message is damaged ({what}); move the data folder away to start with an empty one"
    ))
}
