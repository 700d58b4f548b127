use std::collections::BTreeMap;

use isobar_abstraction::ObjectChange::{Created, Deleted};
use isobar_abstraction::driver::pub_sub::{Message, MessageId};

use super::*;

const AT: &str = "2026-01-01T00:00:00Z";

fn of_eventarc(kind: &str, data: impl ToString) -> CloudEvent {
    let kind = format!("google.cloud.storage.object.v1.{kind}");
    event(&[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", &kind), ("ce-time", AT)], data)
}

fn notification(attributes: &[(&str, &str)], body: &str) -> Message<Bytes> {
    let mut message = Message::new(MessageId::new("1"), Bytes::from(body.to_owned()), time(AT));
    message.attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    message
}

#[test]
fn events_of_eventarc_are_changes() {
    let data = json!({"bucket": "pages", "name": "a/b c", "size": "7"});
    let created = change_of_event(&of_eventarc("finalized", &data)).unwrap().unwrap();
    assert_eq!(
        (created.bucket.as_str(), created.stored.as_str(), created.change),
        ("pages", "a/b c", Created { size: 7 })
    );
    assert_eq!(created.time, time(AT));
    let gone = change_of_event(&of_eventarc("deleted", &data)).unwrap().unwrap();
    assert_eq!(gone.change, Deleted);
    for kind in ["archived", "metadataUpdated", "something.new"] {
        assert_eq!(change_of_event(&of_eventarc(kind, &data)).unwrap(), None, "{kind}");
    }
    let mut other = of_eventarc("deleted", &data);
    other.kind = "google.cloud.audit.log.v1.written".to_owned();
    assert!(change_of_event(&other).is_err());
    let mut timeless = of_eventarc("deleted", &data);
    timeless.time = None;
    let untimed = change_of_event(&timeless).unwrap().unwrap();
    assert_eq!(untimed.time, std::time::SystemTime::UNIX_EPOCH, "the host uses its own time");
}

#[test]
fn a_missing_field_of_an_eventarc_event_is_named() {
    for (data, name) in [
        (json!({"name": "a", "size": "7"}), "bucket"),
        (json!({"bucket": "b", "size": "7"}), "name"),
        (json!({"bucket": "b", "name": "", "size": "7"}), "name"),
        (json!({"bucket": "b", "name": "a"}), "size"),
        (json!({"bucket": "b", "name": "a", "size": "-1"}), "size"),
        (json!({"bucket": "b", "name": "a", "size": 1.5}), "size"),
        (json!([]), "size"),
    ] {
        let error = change_of_event(&of_eventarc("finalized", &data)).unwrap_err();
        assert!(error.message().contains(name), "{data}: {error}");
    }
    assert!(change_of_event(&of_eventarc("finalized", "{")).is_err());
    let number = json!({"bucket": "b", "name": "a", "size": 7});
    assert!(change_of_event(&of_eventarc("finalized", &number)).is_ok());
}

#[test]
fn a_notification_is_a_change() {
    let object = [("bucketId", "pages"), ("objectId", "a"), ("eventTime", "2026-01-01T00:00:01.5Z")];
    let with = |kind: &'static str| [&object[..], &[("eventType", kind), ("payloadFormat", "JSON_API_V1")]].concat();
    let created = change_of_message(&notification(&with("OBJECT_FINALIZE"), r#"{"size":"9","name":"ignored"}"#));
    let created = created.unwrap().unwrap();
    assert_eq!((created.bucket.as_str(), created.stored.as_str(), created.change), ("pages", "a", Created { size: 9 }));
    assert_eq!(created.time, time("2026-01-01T00:00:01.5Z"));
    let gone = change_of_message(&notification(&with("OBJECT_DELETE"), "")).unwrap().unwrap();
    assert_eq!(gone.change, Deleted, "a deletion needs no payload");
    for kind in ["OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE", "OBJECT_NEW_KIND"] {
        assert_eq!(change_of_message(&notification(&with(kind), "{}")).unwrap(), None, "{kind}");
    }
    let replaced = [&with("OBJECT_DELETE")[..], &[("overwrittenByGeneration", "17")]].concat();
    assert_eq!(change_of_message(&notification(&replaced, "{}")).unwrap(), None, "the new object has its own event");
}

#[test]
fn a_missing_attribute_of_a_notification_is_named() {
    let all: BTreeMap<_, _> = [("bucketId", "b"), ("objectId", "a"), ("eventType", "OBJECT_FINALIZE")].into();
    for name in all.keys() {
        let attributes: Vec<_> =
            all.iter().filter(|(known, _)| *known != name).map(|(name, value)| (*name, *value)).collect();
        let error = change_of_message(&notification(&attributes, r#"{"size":"1"}"#)).unwrap_err();
        assert!(error.message().contains(name), "{error}");
    }
    let attributes: Vec<_> = all.into_iter().collect();
    let error = change_of_message(&notification(&attributes, "")).unwrap_err();
    assert!(error.message().contains("JSON_API_V1"), "{error}");
    // Without a valid time the change has the time of its message.
    let timeless = [&attributes[..], &[("eventTime", "noon")]].concat();
    let change = change_of_message(&notification(&timeless, r#"{"size":"1"}"#)).unwrap().unwrap();
    assert_eq!(change.time, time(AT));
}
