//! Writes of documents, from events of Firestore through Eventarc.
//!
//! The data of an event is a `DocumentEventData` of protobuf: field 1 is the document after the write, field 2 the
//! one before it, and field 1 of a document is its name; or the same as JSON. The name in the data is exact. The attribute
//! `document` can be ambiguous: CloudEvents require percent-encoding, and Firestore
//! [sends UTF-8](https://github.com/firebase/firebase-functions/issues/1459).
//!
//! Sources: <https://docs.cloud.google.com/eventarc/docs/run/route-trigger-cloud-firestore>,
//! <https://github.com/googleapis/google-cloudevents/tree/main/proto/google/events/cloud/firestore/v1>,
//! <https://protobuf.dev/programming-guides/encoding/>.

use isobar_abstraction::{Error, Result};
use serde_json::Value;

use super::CloudEvent;

/// The name of a written document, `projects/P/databases/D/documents/…`. `None` for a deletion.
///
/// Errors: `InvalidInput` for another event, and for one that names no document.
pub(crate) fn written_document(event: &CloudEvent) -> Result<Option<String>> {
    match event.kind.strip_prefix("google.cloud.firestore.document.v1.") {
        Some("deleted") => return Ok(None),
        Some("written" | "created" | "updated") => {}
        _ => return Err(Error::invalid_input("the event is not of a document of Firestore")),
    }
    let Snapshots { is_deleted, name } = Snapshots::read(&event.data)?;
    if is_deleted {
        return Ok(None);
    }
    let unnamed = || Error::invalid_input("the event names no document of Firestore");
    name.or_else(|| name_of_attributes(event)).map(Some).ok_or_else(unnamed)
}

fn name_of_attributes(event: &CloudEvent) -> Option<String> {
    let database = event.source.strip_prefix("//firestore.googleapis.com/")?;
    Some(format!("{database}/documents/{}", event.document.as_ref()?))
}

/// The documents before and after a write.
struct Snapshots {
    /// Whether there is only the one before.
    is_deleted: bool,
    /// The name of the one after.
    name: Option<String>,
}

impl Snapshots {
    fn read(data: &[u8]) -> Result<Self> {
        // No field of protobuf begins with this byte, since no field is a group.
        if data.starts_with(b"{") {
            let data: Value = serde_json::from_slice(data).map_err(|_| malformed())?;
            let exists = |name: &str| data[name].as_object().is_some_and(|document| !document.is_empty());
            let is_deleted = !exists("value") && exists("oldValue");
            return Ok(Self { is_deleted, name: data["value"]["name"].as_str().map(str::to_owned) });
        }
        let (after, before) = (field(data, 1)?.unwrap_or_default(), field(data, 2)?.unwrap_or_default());
        let name = field(after, 1)?.and_then(|name| std::str::from_utf8(name).ok());
        let name = name.filter(|name| name.starts_with("projects/")).map(str::to_owned);
        Ok(Self { is_deleted: after.is_empty() && !before.is_empty(), name })
    }
}

/// The last field of this number in a message of protobuf, if it is a string, bytes or a message.
fn field(mut message: &[u8], number: u64) -> Result<Option<&[u8]>> {
    let mut found = None;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let size = match tag & 7 {
            0 => varint(&mut message).map(|_| 0)?,
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).map_err(|_| malformed())?,
            5 => 4,
            _ => return Err(malformed()),
        };
        let (value, rest) = message.split_at_checked(size).ok_or_else(malformed)?;
        if tag == number << 3 | 2 {
            found = Some(value);
        }
        message = rest;
    }
    Ok(found)
}

fn varint(message: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().ok_or_else(malformed)?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed())
}

fn malformed() -> Error {
    Error::invalid_input("the event's data is neither a `DocumentEventData` of protobuf nor JSON")
}
