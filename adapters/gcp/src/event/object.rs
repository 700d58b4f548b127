//! Changes of objects, from events of Eventarc or from notifications of a bucket through Pub/Sub.
//!
//! Sources: <https://docs.cloud.google.com/storage/docs/pubsub-notifications>, and the type
//! `StorageObjectData` of Google's CloudEvents.

use std::time::SystemTime;

use isobar_abstraction::driver::host::StoredChange;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{Error, ObjectChange, Result, clock};
use serde_json::Value;

use super::CloudEvent;

const FINALIZED: &str = "google.cloud.storage.object.v1.finalized";
const DELETED: &str = "google.cloud.storage.object.v1.deleted";

/// The change in an event of Eventarc. `None` for a change that apps do not receive. Errors: `InvalidInput`.
pub(crate) fn change_of_event(event: &CloudEvent) -> Result<Option<StoredChange>> {
    let kind = event.kind.as_str();
    if ![FINALIZED, DELETED].contains(&kind) {
        let known = kind.starts_with("google.cloud.storage.object.v1.");
        return if known { Ok(None) } else { Err(Error::invalid_input("the event is not of an object")) };
    }
    let data: Value = serde_json::from_slice(&event.data).map_err(|error| {
        Error::invalid_input(format!("the event's data is not valid JSON at column {}", error.column()))
    })?;
    // The oldest background events had one type for both, which the functions framework maps to that of a new object.
    let gone = kind == DELETED || data.get("resourceState").and_then(Value::as_str) == Some("not_exists");
    let change = if gone { ObjectChange::Deleted } else { created(&data)? };
    let time = event.time.unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(Some(StoredChange::new(text(&data, "bucket")?, text(&data, "name")?, change, time)))
}

/// The change in a notification of a bucket. `None` for a change that apps do not receive, such as the deletion of a
/// version that a write has replaced: that write has an event itself. Errors: `InvalidInput`.
pub(crate) fn change_of_message(message: &Message<bytes::Bytes>) -> Result<Option<StoredChange>> {
    let attribute = |name: &str| message.attributes.get(name).map(String::as_str);
    let lacks = |name: &str| Error::invalid_input(format!("the notification has no `{name}`"));
    let required = |name: &str| attribute(name).map(str::to_owned).ok_or_else(|| lacks(name));
    let change = match attribute("eventType").ok_or_else(|| lacks("eventType"))? {
        "OBJECT_FINALIZE" => {
            let wrong = |_| {
                Error::invalid_input(
                    "the notification does not contain the object as JSON: create it with payload_format JSON_API_V1",
                )
            };
            created(&serde_json::from_slice(&message.body).map_err(wrong)?)?
        }
        "OBJECT_DELETE" if attribute("overwrittenByGeneration").is_some() => return Ok(None),
        "OBJECT_DELETE" => ObjectChange::Deleted,
        _ => return Ok(None),
    };
    let time = attribute("eventTime").and_then(clock::parse).unwrap_or(message.published_at);
    Ok(Some(StoredChange::new(required("bucketId")?, required("objectId")?, change, time)))
}

/// The change of a new object. Google's JSON has 64-bit numbers, such as sizes, as strings.
fn created(data: &Value) -> Result<ObjectChange> {
    let size = match data.get("size") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    Ok(ObjectChange::Created { size: size.ok_or_else(|| Error::invalid_input("the object has no `size`"))? })
}

fn text(data: &Value, name: &str) -> Result<String> {
    let text = data.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| Error::invalid_input(format!("the event's data has no `{name}`")))
}
