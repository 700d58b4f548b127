//! Object changes in notifications of S3 and in events of EventBridge for S3.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use std::time::SystemTime;

use isobar_abstraction::driver::host::StoredChange;
use isobar_abstraction::{Error, ObjectChange, Result};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::malformed;
use crate::pub_sub::wire::time;

/// The changes in a notification. Empty for other notifications: S3 tests its access to a queue with an event
/// `s3:TestEvent`, and can be configured to report tags, restores and more.
///
/// Errors: `InvalidInput` for anything except a notification of S3.
pub(crate) fn changes(notification: &[u8]) -> Result<Vec<StoredChange>> {
    let notification: Value =
        serde_json::from_slice(notification).map_err(|error| malformed("the notification", &error))?;
    if notification["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    if notification["source"] == "aws.s3" && notification["detail"].is_object() {
        return Ok(from_event_bridge(&notification)?.into_iter().collect());
    }
    let Value::Array(records) = &notification["Records"] else {
        return Err(Error::invalid_input("the event is not a notification of S3"));
    };
    let changes: Result<Vec<_>> = records.iter().map(from_s3).collect();
    Ok(changes?.into_iter().flatten().collect())
}

fn from_s3(record: &Value) -> Result<Option<StoredChange>> {
    let name = record["eventName"].as_str().ok_or_else(|| missing("eventName"))?;
    // Lifecycle rules report deletions without `ObjectRemoved`.
    let kind = name.trim_start_matches("s3:").split(':').next().unwrap_or_default();
    let (change, created) = (&record["s3"], kind == "ObjectCreated");
    if !created && !["ObjectRemoved", "LifecycleExpiration"].contains(&kind) {
        return Ok(None);
    }
    let key = text(&change["object"]["key"], "s3.object.key")?.replace('+', " ");
    let stored = percent_decode_str(&key)
        .decode_utf8()
        .map_err(|_| Error::invalid_input("the `s3.object.key` of the notification is not UTF-8"))?;
    Ok(Some(StoredChange::new(
        text(&change["bucket"]["name"], "s3.bucket.name")?.to_owned(),
        stored.into_owned(),
        object_change(created, &change["object"]),
        time(&record["eventTime"]).unwrap_or(SystemTime::UNIX_EPOCH),
    )))
}

/// The change in an event of EventBridge, where the key is not encoded.
fn from_event_bridge(event: &Value) -> Result<Option<StoredChange>> {
    let created = match event["detail-type"].as_str() {
        Some("Object Created") => true,
        Some("Object Deleted") => false,
        _ => return Ok(None),
    };
    let detail = &event["detail"];
    Ok(Some(StoredChange::new(
        text(&detail["bucket"]["name"], "detail.bucket.name")?.to_owned(),
        text(&detail["object"]["key"], "detail.object.key")?.to_owned(),
        object_change(created, &detail["object"]),
        time(&event["time"]).unwrap_or(SystemTime::UNIX_EPOCH),
    )))
}

fn object_change(created: bool, object: &Value) -> ObjectChange {
    if created {
        ObjectChange::Created { size: object["size"].as_u64().unwrap_or_default() }
    } else {
        ObjectChange::Deleted
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::invalid_input(format!("the notification of S3 has no `{name}`"))
}

#[cfg(test)]
mod tests;
