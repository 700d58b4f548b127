//! Background events: what functions of the first generation were handed, made into CloudEvents.
//!
//! Source: `background_event_to_cloud_event` of Google's functions frameworks, whose table of types this is.

use bytes::Bytes;
use isobar_abstraction::clock;
use isobar_abstraction::host::shown;
use serde_json::{Value, json};

use super::Refused;
use super::cloud_event::{CloudEvent, MESSAGE};

/// The old type, the new one, and the service.
const TYPES: [(&str, &str, &str); 24] = [
    ("google.pubsub.topic.publish", MESSAGE, PUBSUB),
    ("providers/cloud.pubsub/eventTypes/topic.publish", MESSAGE, PUBSUB),
    ("google.storage.object.finalize", "google.cloud.storage.object.v1.finalized", STORAGE),
    ("google.storage.object.delete", "google.cloud.storage.object.v1.deleted", STORAGE),
    ("google.storage.object.archive", "google.cloud.storage.object.v1.archived", STORAGE),
    ("google.storage.object.metadataUpdate", "google.cloud.storage.object.v1.metadataUpdated", STORAGE),
    ("providers/cloud.storage/eventTypes/object.change", "google.cloud.storage.object.v1.finalized", STORAGE),
    ("providers/cloud.firestore/eventTypes/document.write", "google.cloud.firestore.document.v1.written", FIRESTORE),
    ("providers/cloud.firestore/eventTypes/document.create", "google.cloud.firestore.document.v1.created", FIRESTORE),
    ("providers/cloud.firestore/eventTypes/document.update", "google.cloud.firestore.document.v1.updated", FIRESTORE),
    ("providers/cloud.firestore/eventTypes/document.delete", "google.cloud.firestore.document.v1.deleted", FIRESTORE),
    ("providers/firebase.auth/eventTypes/user.create", "google.firebase.auth.user.v1.created", AUTH),
    ("providers/firebase.auth/eventTypes/user.delete", "google.firebase.auth.user.v1.deleted", AUTH),
    (
        "providers/firebase.remoteConfig/remoteconfig.update",
        "google.firebase.remoteconfig.remoteConfig.v1.updated",
        CONFIG,
    ),
    ("providers/google.firebase.analytics/eventTypes/event.log", "google.firebase.analytics.log.v1.written", ANALYTICS),
    ("providers/google.firebase.database/eventTypes/ref.create", "google.firebase.database.ref.v1.created", DATABASE),
    ("providers/google.firebase.database/eventTypes/ref.write", "google.firebase.database.ref.v1.written", DATABASE),
    ("providers/google.firebase.database/eventTypes/ref.update", "google.firebase.database.ref.v1.updated", DATABASE),
    ("providers/google.firebase.database/eventTypes/ref.delete", "google.firebase.database.ref.v1.deleted", DATABASE),
    ("google.firestore.document.write", "google.cloud.firestore.document.v1.written", FIRESTORE),
    ("google.firestore.document.create", "google.cloud.firestore.document.v1.created", FIRESTORE),
    ("google.firestore.document.update", "google.cloud.firestore.document.v1.updated", FIRESTORE),
    ("google.firestore.document.delete", "google.cloud.firestore.document.v1.deleted", FIRESTORE),
    ("google.firebase.remoteconfig.update", "google.firebase.remoteconfig.remoteConfig.v1.updated", CONFIG),
];

const PUBSUB: &str = "pubsub.googleapis.com";
const STORAGE: &str = "storage.googleapis.com";
const FIRESTORE: &str = "firestore.googleapis.com";
const AUTH: &str = "firebaseauth.googleapis.com";
const CONFIG: &str = "firebaseremoteconfig.googleapis.com";
const ANALYTICS: &str = "firebaseanalytics.googleapis.com";
const DATABASE: &str = "firebasedatabase.googleapis.com";

/// `{"context": {"eventId", "timestamp", "eventType", "resource"}, "data"}`; older ones have all of the
/// context beside `data`. Errors: 400, naming what is missing.
pub(super) fn event(value: &Value) -> Result<CloudEvent, Refused> {
    let context = value.get("context").unwrap_or(value);
    let text = |name: &str| {
        let found = context.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        found.ok_or_else(|| Refused::malformed(format!("the background event has no `{name}`")))
    };
    let old = text("eventType")?;
    let Some((_, kind, service)) = TYPES.into_iter().find(|(name, ..)| *name == old) else {
        let old = shown(old);
        return Err(Refused::malformed(format!("background events of the type `{old}` are not known")));
    };
    let (service, resource) = resource(context, service)?;
    let (id, data) = (text("eventId")?.to_owned(), value.get("data").cloned().unwrap_or_default());
    let time = context.get("timestamp").and_then(Value::as_str).and_then(clock::parse);
    let (resource, subject) = split(service, &resource);
    let data = if kind == MESSAGE { message(data, &id, context) } else { data };
    let source = format!("//{service}/{resource}");
    Ok(CloudEvent { id, source, kind: kind.to_owned(), subject, time, data: Bytes::from(data.to_string()) })
}

/// The service and the name of what the event is about: an object, or the name alone.
fn resource<'a>(context: &'a Value, service: &'a str) -> Result<(&'a str, String), Refused> {
    match context.get("resource") {
        Some(Value::String(name)) => Ok((service, name.clone())),
        Some(resource) => {
            let text = |name: &str| resource.get(name).and_then(Value::as_str);
            let name =
                text("name").ok_or_else(|| Refused::malformed("the background event's `resource` has no `name`"))?;
            Ok((text("service").unwrap_or(service), name.to_owned()))
        }
        None => Err(Refused::malformed("the background event has no `resource`")),
    }
}

/// The bucket, and the object in it as the subject: without the generation behind `#`.
fn split(service: &str, resource: &str) -> (String, Option<String>) {
    match resource.split_once("/objects/") {
        Some((bucket, object)) if service == STORAGE => {
            let generation = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let object = match object.rsplit_once('#') {
                Some((name, text)) if generation(text) => name,
                _ => object,
            };
            (bucket.to_owned(), Some(format!("objects/{object}")))
        }
        _ => (resource.to_owned(), None),
    }
}

/// A message had no wrapper, and its id and time stood in the context.
fn message(mut data: Value, id: &str, context: &Value) -> Value {
    if let Value::Object(message) = &mut data {
        message.entry("messageId").or_insert_with(|| json!(id));
        let time = context.get("timestamp").cloned().unwrap_or_default();
        message.entry("publishTime").or_insert(time);
    }
    json!({"message": data})
}
