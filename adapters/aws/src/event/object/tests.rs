use isobar_abstraction::clock::to_rfc3339;
use serde_json::json;

use super::*;

fn record(name: &str, key: &str) -> Value {
    json!({
        "eventSource": "aws:s3", "eventName": name, "eventTime": "2026-01-01T00:00:00.500Z",
        "s3": {"bucket": {"name": "pages"}, "object": {"key": key, "size": 1024}},
    })
}

fn changes(event: &Value) -> Result<Vec<StoredChange>> {
    super::changes(event.to_string().as_bytes())
}

fn only(event: &Value) -> StoredChange {
    let mut changes = changes(event).unwrap();
    assert_eq!(changes.len(), 1);
    changes.remove(0)
}

#[test]
fn keys_are_decoded_for_s3_and_not_for_event_bridge() {
    for (encoded, key) in
        [("Happy%20Face.jpg", "Happy Face.jpg"), ("a+b", "a b"), ("a%2Bb", "a+b"), ("%C3%BC/x", "ü/x"), ("a/b", "a/b")]
    {
        assert_eq!(only(&json!({"Records": [record("ObjectCreated:Put", encoded)]})).stored, key);
    }
    let event = json!({
        "source": "aws.s3", "detail-type": "Object Created", "time": "2026-01-01T00:00:00Z",
        "detail": {"bucket": {"name": "pages"}, "object": {"key": "a+b ü", "size": 3}},
    });
    let event = only(&event);
    assert_eq!((event.stored.as_str(), event.change), ("a+b ü", ObjectChange::Created { size: 3 }));
}

#[test]
fn stored_name_of_a_key_is_decoded_once() {
    // `a//b.` is stored as `a/%/b%2E`, which S3 encodes again.
    assert_eq!(only(&json!({"Records": [record("ObjectCreated:Put", "a/%25/b%252E")]})).stored, "a/%/b%2E");
}

#[test]
fn only_creations_and_deletions_are_changes() {
    for (name, created) in [
        ("ObjectCreated:Put", Some(true)),
        ("s3:ObjectCreated:CompleteMultipartUpload", Some(true)),
        ("ObjectRemoved:Delete", Some(false)),
        ("ObjectRemoved:DeleteMarkerCreated", Some(false)),
        ("LifecycleExpiration:Delete", Some(false)),
        ("ObjectTagging:Put", None),
        ("ObjectRestore:Completed", None),
        ("LifecycleTransition", None),
    ] {
        let changes = changes(&json!({"Records": [record(name, "k")]})).unwrap();
        let found = changes.first().map(|it| matches!(it.change, ObjectChange::Created { size: 1024 }));
        assert_eq!(found, created, "{name}");
    }
    for kind in ["Object Restore Completed", "Object Tags Added"] {
        let event = json!({"source": "aws.s3", "detail-type": kind, "detail": {}});
        assert!(changes(&event).unwrap().is_empty());
    }
    assert!(changes(&json!({"Service": "Amazon S3", "Event": "s3:TestEvent"})).unwrap().is_empty());
}

#[test]
fn time_is_that_of_the_event() {
    let event = only(&json!({"Records": [record("ObjectCreated:Put", "k")]}));
    assert_eq!(to_rfc3339(event.time), "2026-01-01T00:00:00.500Z");
}

#[test]
fn error_of_malformed_notification_has_the_field_without_its_value() {
    let without = |path: &str| {
        let mut record = record("ObjectCreated:Put", "hunter2");
        *record.pointer_mut(path).unwrap() = json!(7);
        json!({"Records": [record]})
    };
    for (event, named) in [
        (without("/eventName"), "`eventName`"),
        (without("/s3/bucket/name"), "`s3.bucket.name`"),
        (without("/s3/object/key"), "`s3.object.key`"),
        (without("/s3"), "`s3."),
        (json!({"Records": [record("ObjectCreated:Put", "%ff%fehunter2")]}), "UTF-8"),
        (json!({"Records": [record("ObjectCreated:Put", "")]}), "`s3.object.key`"),
        (json!({"Records": "hunter2"}), "not a notification"),
        (json!("hunter2"), "not a notification"),
        (json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}), "`detail.bucket.name`"),
    ] {
        let error = changes(&event).unwrap_err();
        assert!(error.message().contains(named) && !error.message().contains("hunter2"), "{error}");
    }
}
