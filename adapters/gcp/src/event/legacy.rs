//! Background events, the events of functions of the first generation, converted to CloudEvents.
//!
//! Source: `background_event_to_cloud_event` of Google's functions frameworks, which also contains the table of types.

use bytes::Bytes;
use isobar_abstraction::clock;
use isobar_abstraction::driver::host::excerpt;
use serde_json::{Value, json};

use super::Rejection;
use super::cloud_event::{CloudEvent, MESSAGE};

/// The old and the new names of the types that triggers accept.
const TYPES: [(&str, &str); 7] = [
    ("google.pubsub.topic.publish", MESSAGE),
    ("providers/cloud.pubsub/eventTypes/topic.publish", MESSAGE),
    ("google.storage.object.finalize", "google.cloud.storage.object.v1.finalized"),
    ("google.storage.object.delete", "google.cloud.storage.object.v1.deleted"),
    ("google.storage.object.archive", "google.cloud.storage.object.v1.archived"),
    ("google.storage.object.metadataUpdate", "google.cloud.storage.object.v1.metadataUpdated"),
    ("providers/cloud.storage/eventTypes/object.change", "google.cloud.storage.object.v1.finalized"),
];

/// Reads `{"context": {"eventId", "timestamp", "eventType", "resource"}, "data"}`; older events have the fields of the
/// context next to `data`. Errors: 400, naming the missing field.
pub(super) fn event(value: &Value) -> Result<CloudEvent, Rejection> {
    let context = value.get("context").unwrap_or(value);
    let lacks = |name: &str| Rejection::malformed(format!("the background event has no `{name}`"));
    let text = |name: &str| context[name].as_str().filter(|text| !text.is_empty()).ok_or_else(|| lacks(name));
    let old = text("eventType")?;
    let Some((_, kind)) = TYPES.into_iter().find(|(name, _)| *name == old) else {
        let old = excerpt(old);
        return Err(Rejection::malformed(format!("background events of the type `{old}` are not supported")));
    };
    let id = text("eventId")?;
    // A name or an object with a name. It repeats the data, but a background event always has it.
    let resource = &context["resource"];
    if !resource.is_string() && !resource["name"].is_string() {
        return Err(lacks("resource"));
    }
    let data = value.get("data").cloned().unwrap_or_default();
    let data = if kind == MESSAGE { message(data, id, context) } else { data };
    let time = context["timestamp"].as_str().and_then(clock::parse);
    let (source, document) = Default::default();
    Ok(CloudEvent { kind: kind.to_owned(), source, document, time, data: Bytes::from(data.to_string()) })
}

/// Wraps a message, whose id and time are in the context.
fn message(mut data: Value, id: &str, context: &Value) -> Value {
    if let Value::Object(message) = &mut data {
        message.entry("messageId").or_insert_with(|| json!(id));
        let time = context.get("timestamp").cloned().unwrap_or_default();
        message.entry("publishTime").or_insert(time);
    }
    json!({"message": data})
}
