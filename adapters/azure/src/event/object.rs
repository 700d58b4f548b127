//! Event Grid's events of blobs, in its own schema and in that of CloudEvents.
//!
//! <https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage>

use std::time::SystemTime;

use isobar_abstraction::driver::host::StoredChange;
use isobar_abstraction::{Error, ObjectChange, Result};
use serde_json::Value;

use super::value::time;

/// The changes in an event, or in an array of events. Other events of Event Grid are skipped: the validation of a
/// subscription, and changed tiers and renames where a subscription includes them.
///
/// Errors: `InvalidInput` where it is not an event of Blob Storage.
pub(crate) fn changes(events: &Value) -> Result<Vec<StoredChange>> {
    match events {
        Value::Array(events) => {
            let changes: Result<Vec<_>> = events.iter().map(change).collect();
            Ok(changes?.into_iter().flatten().collect())
        }
        event => Ok(change(event)?.into_iter().collect()),
    }
}

fn change(event: &Value) -> Result<Option<StoredChange>> {
    let named = |name: &str| event[name].as_str().filter(|text| !text.is_empty());
    let cloud_event = named("specversion").is_some();
    let kind = if cloud_event { named("type") } else { named("eventType") };
    let kind = kind.ok_or_else(|| Error::invalid_input("it is not an event of Event Grid"))?;
    let change = match kind {
        "Microsoft.Storage.BlobCreated" => {
            ObjectChange::Created { size: event["data"]["contentLength"].as_u64().unwrap_or_default() }
        }
        "Microsoft.Storage.BlobDeleted" => ObjectChange::Deleted,
        _ => return Ok(None),
    };
    let subject = named("subject").ok_or_else(|| Error::invalid_input("it has no `subject`"))?;
    let (container, stored) = of_subject(subject)
        .ok_or_else(|| Error::invalid_input("its `subject` is not /blobServices/default/containers/…/blobs/…"))?;
    let at = time(&event[if cloud_event { "time" } else { "eventTime" }]).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(Some(StoredChange::new(container, stored, change, at)))
}

/// Container and name of the blob, which are not encoded in the subject; in `data.url` they are.
fn of_subject(subject: &str) -> Option<(&str, &str)> {
    let (_, rest) = subject.strip_prefix("/blobServices/")?.split_once("/containers/")?;
    rest.split_once("/blobs/").filter(|(container, blob)| !container.is_empty() && !blob.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, subject: &str) -> Value {
        json!({"id": "1", "eventType": kind, "subject": subject, "eventTime": "2026-01-01T00:00:00Z",
            "data": {"contentLength": 5}})
    }

    #[test]
    fn both_schemas_result_in_the_same_change() {
        let subject = "/blobServices/default/containers/pages/blobs/a/blobs/b c.txt";
        let one = changes(&event("Microsoft.Storage.BlobCreated", subject)).unwrap();
        let cloud = json!({"specversion": "1.0", "type": "Microsoft.Storage.BlobCreated", "subject": subject,
            "time": "2026-01-01T00:00:00Z", "data": {"contentLength": 5}});
        assert_eq!(changes(&cloud).unwrap(), one);
        assert_eq!(changes(&json!([cloud])).unwrap(), one);
        assert_eq!((one[0].bucket.as_str(), one[0].stored.as_str()), ("pages", "a/blobs/b c.txt"));
        assert_eq!(one[0].change, ObjectChange::Created { size: 5 });
    }

    #[test]
    fn other_events_are_skipped_and_a_malformed_event_is_an_error() {
        let subject = "/blobServices/default/containers/pages/blobs/a";
        let validation = event("Microsoft.EventGrid.SubscriptionValidationEvent", "");
        assert!(changes(&validation).unwrap().is_empty());
        assert!(changes(&event("Microsoft.Storage.BlobRenamed", subject)).unwrap().is_empty());
        assert_eq!(changes(&event("Microsoft.Storage.BlobDeleted", subject)).unwrap().len(), 1);
        for wrong in ["", "/blobServices/default/containers/pages", "/blobServices/default/containers//blobs/", "x"] {
            assert!(changes(&event("Microsoft.Storage.BlobDeleted", wrong)).is_err(), "{wrong}");
        }
        for wrong in [json!(null), json!(7), json!({}), json!({"specversion": "1.0", "eventType": "x"}), json!([1])] {
            assert!(changes(&wrong).is_err(), "{wrong}");
        }
    }
}
