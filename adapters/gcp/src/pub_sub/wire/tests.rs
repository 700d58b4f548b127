use std::time::Duration;

use isobar_abstraction::ErrorKind;
use serde_json::json;

use super::*;

/// The `message` of a wrapped push of Google's emulator.
const PUSHED: &str = r#"{"publishTime":"2026-11-26T13:22:24.379Z","data":"cHVzaA==","publish_time":
    "2026-11-26T13:22:24.379Z","messageId":"1022","attributes":{"a":"käse"},"message_id":"1022"}"#;

fn read(message: &Value) -> PubsubMessage {
    PubsubMessage::read(message).unwrap()
}

#[test]
fn a_message_of_another_publisher_is_accepted_unchanged() {
    let received = read(&serde_json::from_str(PUSHED).unwrap()).open(3);
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_699_344_379);
    let mut message = Message::new(MessageId::new("1022"), "push", at);
    message.attempt = 3;
    message.attributes.insert("a".to_owned(), "käse".to_owned());
    assert_eq!(received, ReceivedMessage { message, attempts: 0, due: None, meant_for: None, details: None });
}

#[test]
fn field_names_are_in_camel_or_snake_case() {
    let camel = json!({"data": "YQ==", "messageId": "1", "publishTime": "2026-01-01T00:00:00Z", "orderingKey": "k"});
    let snake = json!({"data": "YQ==", "message_id": "1", "publish_time": "2026-01-01T00:00:00Z", "ordering_key": "k"});
    assert_eq!(read(&camel), read(&snake));
    assert_eq!(read(&camel).ordering_key.as_deref(), Some("k"));
}

#[test]
fn a_missing_field_is_empty() {
    for bare in [
        json!({"messageId": "1"}),
        json!({"messageId": "1", "data": null, "attributes": null, "orderingKey": "", "publishTime": "soon"}),
    ] {
        let message = read(&bare).open(0).message;
        assert!(message.body.is_empty() && message.attributes.is_empty() && message.ordering_key.is_none(), "{bare}");
        assert_eq!((message.attempt, message.published_at), (1, SystemTime::UNIX_EPOCH));
    }
}

#[test]
fn an_error_names_the_invalid_field_without_its_content() {
    for (wrong, field) in [
        (json!(null), "JSON object"),
        (json!([]), "JSON object"),
        (json!("hush"), "JSON object"),
        (json!({}), "messageId"),
        (json!({"messageId": ""}), "messageId"),
        (json!({"messageId": 7}), "messageId"),
        (json!({"messageId": "1", "data": "hush!"}), "data"),
        (json!({"messageId": "1", "data": {"hush": 1}}), "data"),
        (json!({"messageId": "1", "attributes": ["hush"]}), "attributes"),
        (json!({"messageId": "1", "attributes": {"a": 1}}), "attribute `a`"),
        (json!({"messageId": "1", "orderingKey": ["hush"]}), "orderingKey"),
    ] {
        let error = PubsubMessage::read(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
        assert!(error.message().contains(field) && !error.message().contains("hush"), "{wrong}: {}", error.message());
    }
}

#[test]
fn invalid_reserved_attributes_are_ignored() {
    let message = json!({"messageId": "1", "publishTime": "2026-01-01T00:00:00Z", "attributes": {
        "isobar-attempts": "99999999999999999999", "isobar-due": "tomorrow", "isobar-published-at": "", "isobar-id": "",
        "isobar-for": "", "isobar-of-days-to-come": "x", "isobar-ordering-key": "", "traceparent": "no", "isobar": "user",
    }});
    let received = read(&message).open(u32::MAX);
    let ReceivedMessage { message, attempts, due, meant_for, details } = received;
    assert_eq!((attempts, due, meant_for, details), (0, None, None, None));
    assert_eq!((message.id.as_str(), message.attempt, message.trace_parent), ("1", u32::MAX, None));
    assert_eq!(message.attributes, [("isobar".to_owned(), "user".to_owned())].into());
    assert_eq!(message.ordering_key, None);
    let many = json!({"messageId": "1", "attributes": {"isobar-attempts": "4294967295"}});
    assert_eq!(read(&many).open(5).message.attempt, u32::MAX);
}

#[test]
fn a_copy_is_due_six_hours_after_pub_sub_published_it_at_the_latest() {
    let due = |requested: &str, published: Value| {
        let attributes = json!({"isobar-due": requested, "isobar-published-at": "9999-01-01T00:00:00Z"});
        let copy = json!({"messageId": "1", "publishTime": published, "attributes": attributes});
        read(&copy).open(1).due.map(timestamp)
    };
    for (requested, right) in [
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2026-01-01T05:59:59Z", "2026-01-01T05:59:59Z"),
        ("2026-01-01T06:00:01Z", "2026-01-01T06:00:00Z"),
        ("9999-12-31T23:59:59Z", "2026-01-01T06:00:00Z"),
    ] {
        assert_eq!(due(requested, json!("2026-01-01T00:00:00Z")).as_deref(), Some(right), "{requested}");
    }
    for unknown in [Value::Null, json!("soon")] {
        assert_eq!(due("9999-12-31T23:59:59Z", unknown).as_deref(), Some("1970-01-01T00:00:00Z"), "due immediately");
    }
}

#[test]
fn the_due_time_of_a_message_with_an_ordering_key_is_ignored() {
    let due = |key: &str, attribute: &str| {
        let attributes = json!({"isobar-due": "2026-01-01T00:10:00Z", "isobar-ordering-key": attribute});
        let published = "2026-01-01T00:00:00Z";
        read(&json!({"messageId": "1", "publishTime": published, "orderingKey": key, "attributes": attributes}))
            .open(1)
            .due
    };
    assert!(due("", "").is_some());
    assert_eq!((due("k", ""), due("", "k")), (None, None));
}

#[test]
fn a_delay_is_a_due_time() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let raw = RawMessage::new("x", TraceParent::random());
    assert!(!first(&raw, now).attributes.contains_key(DUE));
    let raw = raw.with_due(now + Duration::from_millis(900_250));
    assert_eq!(first(&raw, now).attributes[DUE], "2026-01-01T00:15:00.250Z");
}

#[test]
fn a_message_is_received_as_it_was_published() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_767_225_600_123_456_789);
    let raw = RawMessage::new(&b"\0\xff"[..], TraceParent::random())
        .with_attributes([("Lang".to_owned(), "日本".to_owned())].into())
        .with_ordering_key("k");
    let mut json = serde_json::to_value(first(&raw, now)).unwrap();
    json["messageId"] = "1".into();
    json["publishTime"] = "2027-01-01T00:00:00Z".into();
    // The emulator does not send it.
    json.as_object_mut().unwrap().remove("orderingKey");
    let message = read(&json).open(1).message;
    assert_eq!((message.body, message.attributes), (raw.body, raw.attributes));
    assert_eq!((message.ordering_key, message.trace_parent), (raw.ordering_key, Some(raw.trace_parent)));
    assert_eq!((message.id.as_str(), message.published_at), ("1", now), "by the publisher's clock");
}
