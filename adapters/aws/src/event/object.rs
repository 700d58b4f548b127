//! What S3 says of its objects, itself or through EventBridge.
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

/// The changes that a notification tells of. None where it tells of something else: S3 tries the way
/// to a queue with an event `s3:TestEvent`, and tells of tags, restores and more to who asks for it.
///
/// Errors: `InvalidInput` where it is no notification of S3.
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
        return Err(Error::invalid_input("it is no notification of S3"));
    };
    let changes: Result<Vec<_>> = records.iter().map(from_s3).collect();
    Ok(changes?.into_iter().flatten().collect())
}

fn from_s3(record: &Value) -> Result<Option<StoredChange>> {
    let name = record["eventName"].as_str().ok_or_else(|| missing("eventName"))?;
    // Lifecycle rules delete too, without `ObjectRemoved`.
    let kind = name.trim_start_matches("s3:").split(':').next().unwrap_or_default();
    let (told, created) = (&record["s3"], kind == "ObjectCreated");
    if !created && !["ObjectRemoved", "LifecycleExpiration"].contains(&kind) {
        return Ok(None);
    }
    let key = text(&told["object"]["key"], "s3.object.key")?.replace('+', " ");
    let stored =
        percent_decode_str(&key).decode_utf8().map_err(|_| Error::invalid_input("its `s3.object.key` is no UTF-8"))?;
    Ok(Some(StoredChange::new(
        text(&told["bucket"]["name"], "s3.bucket.name")?.to_owned(),
        stored.into_owned(),
        change(created, &told["object"]),
        time(&record["eventTime"]).unwrap_or(SystemTime::UNIX_EPOCH),
    )))
}

/// EventBridge tells the same in other words, and the key as it is.
fn from_event_bridge(event: &Value) -> Result<Option<StoredChange>> {
    let created = match event["detail-type"].as_str() {
        Some("Object Created") => true,
        Some("Object Deleted") => false,
        _ => return Ok(None),
    };
    let told = &event["detail"];
    Ok(Some(StoredChange::new(
        text(&told["bucket"]["name"], "detail.bucket.name")?.to_owned(),
        text(&told["object"]["key"], "detail.object.key")?.to_owned(),
        change(created, &told["object"]),
        time(&event["time"]).unwrap_or(SystemTime::UNIX_EPOCH),
    )))
}

fn change(created: bool, object: &Value) -> ObjectChange {
    if created {
        ObjectChange::Created { size: object["size"].as_u64().unwrap_or_default() }
    } else {
        ObjectChange::Deleted
    }
}

fn text<'a>(told: &'a Value, name: &str) -> Result<&'a str> {
    told.as_str().filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::invalid_input(format!("it has no `{name}`"))
}

#[cfg(test)]
mod tests;
