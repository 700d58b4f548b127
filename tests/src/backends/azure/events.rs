//! What the Functions host sends to its handler for an event, and what it makes of the answer: see the stand-in
//! for the whole host, `functions_host`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use isobar::clock::to_rfc3339;
use isobar::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::service_bus::Delivery;
use super::storage::Queued;

/// What is neither bytes nor an object becomes a string that holds JSON.
fn doubled(value: impl Into<Value>) -> Value {
    Value::String(value.into().to_string())
}

/// A message of a queue. `None` where it is not base64, which the host gives up at once.
pub(super) fn queued(message: &Queued) -> Option<Value> {
    let bytes = BASE64_STANDARD.decode(&message.text).ok()?;
    let mut metadata = json!({
        "DequeueCount": doubled(message.count), "Id": doubled(message.id.as_str()),
        "InsertionTime": message.inserted, "PopReceipt": doubled(message.receipt.as_str()), "sys": sys(),
    });
    // What is an object is merged into the metadata, and overwrites it.
    if let (Ok(Value::Object(fields)), Some(metadata)) = (serde_json::from_slice(&bytes), metadata.as_object_mut()) {
        let fields = fields.into_iter().filter(|(_, value): &(String, Value)| !value.is_array());
        metadata
            .extend(fields.map(|(name, value)| if value.is_object() { (name, value) } else { (name, doubled(value)) }));
    }
    Some(json!({"Data": {"message": doubled(String::from_utf8_lossy(&bytes))}, "Metadata": metadata}))
}

/// A message of a subscription of Service Bus.
pub(super) fn delivered(message: &Delivery) -> Value {
    let properties: Map<_, _> = message.properties.iter().map(|(name, it)| (name.clone(), json!(it))).collect();
    let metadata = json!({
        "MessageId": doubled(message.id.as_str()), "DeliveryCount": doubled(message.count),
        "SequenceNumber": doubled(message.sequence), "EnqueuedTimeUtc": to_rfc3339(message.enqueued),
        "LockToken": doubled(message.lock.as_str()),
        "SessionId": message.session.as_deref().map_or(Value::Null, doubled),
        "ApplicationProperties": properties, "UserProperties": properties, "sys": sys(),
    });
    json!({"Data": {"message": BASE64_STANDARD.encode(&message.body)}, "Metadata": metadata})
}

/// A tick of a timer that was due then.
pub(super) fn timer(due: &str) -> Value {
    let status = json!({"Last": "0001-01-01T00:00:00", "Next": due, "LastUpdated": "0001-01-01T00:00:00"});
    let timer = json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": status, "IsPastDue": false});
    json!({"Data": {"timer": timer}, "Metadata": {"sys": sys()}})
}

/// A direct call over HTTP, of a function with a route of its own.
pub(super) fn direct(function: &str, payload: &str) -> Value {
    let request = json!({
        "Url": format!("http://127.0.0.1/.isobar/functions/{function}"), "Method": "POST", "Query": {}, "Params": {},
        "Headers": {"Content-Type": ["application/json"]}, "Identities": [], "Body": payload,
    });
    json!({"Data": {"req": request}, "Metadata": {"Query": {}, "sys": sys()}})
}

fn sys() -> Value {
    json!({"MethodName": "function", "UtcNow": "2026-01-01T00:00:00Z", "RandGuid": "0-0"})
}

/// What the caller of a function over HTTP is told.
pub(super) fn output(answer: &Value) -> Result<Bytes> {
    let told = &answer["Outputs"]["res"];
    let body = told["body"].as_str().ok_or_else(|| Error::internal(format!("no output: {answer}")))?;
    match told["statusCode"].as_str() {
        Some("200") => Ok(Bytes::from(body.to_owned())),
        _ => Err(told_error(body.as_bytes())),
    }
}

/// The error that the handler tells.
pub(super) fn told_error(body: &[u8]) -> Error {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Conflict,
        ErrorKind::InvalidInput,
        ErrorKind::TooLarge { limit: 0 },
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::Throttled { retry_after: None },
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Unsupported,
        ErrorKind::Config,
    ];
    let kind = kinds.into_iter().find(|kind| told["errorType"] == kind.name()).unwrap_or(ErrorKind::Internal);
    let whole = String::from_utf8_lossy(body);
    let message = told["errorMessage"].as_str().unwrap_or(&whole);
    // The handler tells it as it is displayed, which ends with the kind.
    let message = message.strip_suffix(&format!(" ({})", kind.name())).unwrap_or(message);
    Error::new(kind, message)
}
