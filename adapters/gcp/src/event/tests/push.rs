use super::*;

/// A push as the emulator sends it, with another id.
fn wrapped() -> serde_json::Value {
    json!({
        "subscription": "projects/proj1/subscriptions/push1", "deliveryAttempt": 5,
        "message": {
            "publishTime": "2026-11-23T17:47:38.784Z", "data": "cHVzaA==", "publish_time": "2026-11-23T17:47:38.784Z",
            "messageId": "3", "attributes": {"a": "1"}, "message_id": "3", "orderingKey": "k",
        },
    })
}

#[test]
fn a_wrapped_push_is_a_message() {
    let push = pushed(&[("content-type", "application/json")], wrapped());
    assert_eq!((push.subscription.as_deref(), push.attempt), (Some("push1"), Some(5)));
    assert_eq!((&push.message.data[..], push.message.id.as_str()), (&b"push"[..], "3"));
    assert_eq!(push.message.attributes, [("a".to_owned(), "1".to_owned())].into());
    assert_eq!(push.message.published_at, Some(time("2026-11-23T17:47:38.784Z")));
    assert_eq!(push.message.ordering_key.as_deref(), Some("k"));
    let mut huge = wrapped();
    huge["deliveryAttempt"] = json!(u64::MAX);
    assert_eq!(pushed(&[], huge).attempt, Some(u32::MAX));
    let mut bare = wrapped();
    bare.as_object_mut().unwrap().retain(|name, _| name == "message");
    let push = pushed(&[], bare);
    assert_eq!((push.subscription, push.attempt), (None, None));
}

#[test]
fn an_invalid_field_of_a_message_is_named() {
    for (name, wrong) in [
        ("data", json!("?")),
        ("data", json!(7)),
        ("messageId", json!("")),
        ("messageId", json!([])),
        ("attributes", json!([])),
        ("attributes", json!({"a": 1})),
        ("orderingKey", json!(1)),
    ] {
        let mut push = wrapped();
        push["message"].as_object_mut().unwrap().remove("message_id");
        push["message"][name] = wrong;
        let (status, message) = rejection(&[], &push);
        assert_eq!(status, 400, "{push}");
        assert!(message.contains(name) || message.contains("attribute `a`"), "{message}");
    }
    for message in [json!(null), json!([]), json!("x"), json!({})] {
        assert_eq!(rejection(&[], json!({ "message": message })).0, 400, "{message}");
    }
}

const UNWRAPPED: [(&str, &str); 10] = [
    ("x-goog-pubsub-message-id", "3"),
    ("x-goog-pubsub-publish-time", "2026-11-23T17:47:38.784Z"),
    ("x-goog-pubsub-subscription-name", "projects/proj1/subscriptions/push1"),
    ("x-goog-pubsub-ordering-key", "k"),
    ("content-type", "application/json"),
    ("user-agent", "CloudPubSub-Google"),
    ("authorization", "Bearer hunter2"),
    ("x-serverless-authorization", "Bearer hunter2"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-goog-something", "of Google's"),
];

#[test]
fn an_unwrapped_push_has_its_attributes_in_headers() {
    let mut pairs = UNWRAPPED.to_vec();
    pairs.extend([("lang", "de"), ("isobar-attempts", "2"), ("note", "grün")]);
    let push = pushed(&pairs, "raw {bytes");
    assert_eq!((&push.message.data[..], push.message.id.as_str()), (&b"raw {bytes"[..], "3"));
    assert_eq!((push.subscription.as_deref(), push.attempt), (Some("push1"), None));
    assert_eq!(push.message.ordering_key.as_deref(), Some("k"));
    assert_eq!(push.message.published_at, Some(time("2026-11-23T17:47:38.784Z")));
    let names: Vec<_> = push.message.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["isobar-attempts", "lang", "note"], "no token among them");
    assert_eq!(push.message.attributes["note"], "grün");
}

#[test]
fn an_unwrapped_push_requires_an_id_and_accepts_headers_that_are_not_text() {
    let (status, message) = rejection(&[("x-goog-pubsub-message-id", "")], "x");
    assert_eq!((status, message.contains("x-goog-pubsub-message-id")), (400, true), "{message}");
    let mut odd = headers(&UNWRAPPED);
    odd.insert("lang", http::HeaderValue::from_bytes(b"\xff").unwrap());
    odd.insert("x-goog-pubsub-publish-time", http::HeaderValue::from_bytes(b"\xff").unwrap());
    let IncomingEvent::Push(push) = IncomingEvent::read(&odd, &Bytes::new()).unwrap() else { panic!("an event") };
    assert_eq!((push.message.attributes["lang"].as_str(), push.message.published_at), ("\u{fffd}", None));
}

/// Attributes are headers here, so a message may look like any request.
#[test]
fn a_message_with_the_attributes_of_a_cloud_event_stays_a_message() {
    for (name, value) in [
        ("ce-note", "a user's own"),
        ("ce-type", "com.example.order"),
        ("content-type", "application/cloudevents+json"),
        ("content-type", "application/cloudevents-batch+json"),
    ] {
        let mut pairs = UNWRAPPED.to_vec();
        pairs.retain(|(known, _)| *known != name);
        pairs.push((name, value));
        assert_eq!(pushed(&pairs, "raw").message.data, "raw", "{name}");
    }
    let mut of_eventarc = vec![("x-goog-pubsub-message-id", "3"), ("ce-specversion", "1.0"), ("ce-id", "1")];
    of_eventarc.extend([("ce-source", "/s"), ("ce-type", "google.cloud.storage.object.v1.deleted")]);
    assert_eq!(event(&of_eventarc, "{}").kind, "google.cloud.storage.object.v1.deleted");
}
