use super::*;

const BINARY: [(&str, &str); 4] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "17"),
    ("ce-type", "google.cloud.storage.object.v1.finalized"),
    ("ce-source", "//storage.googleapis.com/projects/_/buckets/pages"),
];

fn binary(more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut all: Vec<_> = BINARY.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    for (name, value) in more {
        all.retain(|(known, _)| known != name);
        all.push((name, (*value).to_owned()));
    }
    all
}

fn with(more: &[(&'static str, &str)]) -> Result<IncomingEvent, Rejection> {
    let all = binary(more);
    read(&all.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), "{}")
}

fn kind(value: &str) -> Result<String, Rejection> {
    match with(&[("ce-type", value)])? {
        IncomingEvent::Event(event) => Ok(event.kind),
        IncomingEvent::Push(push) => panic!("{push:?}"),
    }
}

#[test]
fn headers_are_unquoted_and_decoded_once() {
    for (encoded, decoded) in [
        ("objects/a%20b", "objects/a b"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Euro%20%e2%82%ac", "Euro €"),
        ("grün", "grün"),
        ("100%25", "100%"),
        ("%2541", "%41"),
        ("a+b", "a+b"),
        (r#""a b""#, "a b"),
        (r#""a \"b\" \\""#, r#"a "b" \"#),
        (r#""%22""#, "\""),
        (r#"a "b""#, r#"a "b""#),
        ("%22a%22", r#""a""#),
    ] {
        assert_eq!(kind(encoded).unwrap(), decoded, "{encoded}");
    }
}

#[test]
fn a_header_that_is_not_encoded_well_is_unchanged() {
    let broken = ["objects/100%.txt", "%", "a%", "%2", "%zz", "%G0", "100% sure", "%ff", "%C3", "%ED%A0%80"];
    let quotes = [r#"""#, r#""a"#, r#""a\""#, r#""a"b"#, r#""a""b""#];
    for text in broken.into_iter().chain(quotes) {
        assert_eq!(kind(text).unwrap(), text);
        assert!(with(&[("ce-id", text), ("ce-source", text)]).is_ok());
    }
    assert_eq!(kind("a%20b 100%").unwrap(), "a b 100%");
}

#[test]
fn control_characters_in_a_required_attribute_are_an_error() {
    for control in ["%00", "%0A", "%7F", "%C2%80"] {
        for name in ["ce-id", "ce-type", "ce-source"] {
            let Rejection { status, error } = with(&[(name, control)]).unwrap_err();
            assert_eq!(status, 400, "{name}: {control}");
            assert!(error.message().contains(name), "{}", error.message());
        }
    }
    let mut odd = headers(&BINARY);
    for value in [&b"\xff\xfe"[..], b"%00"] {
        odd.insert("ce-time", http::HeaderValue::from_bytes(value).unwrap());
        let IncomingEvent::Event(event) = IncomingEvent::read(&odd, &Bytes::new()).unwrap() else { panic!("a push") };
        assert_eq!(event.time, None);
    }
}

#[test]
fn a_missing_or_empty_attribute_is_named() {
    for name in ["specversion", "id", "source", "type"] {
        let mut all = headers(&BINARY);
        all.remove(format!("ce-{name}"));
        let Rejection { status, error } = IncomingEvent::read(&all, &Bytes::new()).unwrap_err();
        assert_eq!((status.as_u16(), error.message().contains(&format!("`{name}`"))), (400, true), "{error}");
        all.insert(http::HeaderName::try_from(format!("ce-{name}")).unwrap(), http::HeaderValue::from_static(""));
        let Rejection { error, .. } = IncomingEvent::read(&all, &Bytes::new()).unwrap_err();
        assert!(error.message().contains(&format!("`{name}`")), "{error}");
        let mut event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"});
        for wrong in [json!(null), json!(""), json!(7), json!({}), json!("a\nb")] {
            event[name] = wrong;
            let Rejection { status, error } = structured(&event).unwrap_err();
            assert_eq!((status.as_u16(), error.message().contains(&format!("`{name}`"))), (400, true), "{event}");
        }
        event.as_object_mut().unwrap().remove(name);
        let Rejection { error, .. } = structured(&event).unwrap_err();
        assert!(error.message().contains(&format!("`{name}`")), "{error}");
    }
}

#[test]
fn other_versions_are_rejected_and_invalid_times_are_ignored() {
    for version in ["0.3", "1", "1.1", "2.0", "1.0 "] {
        let error = with(&[("ce-specversion", version)]).unwrap_err().error;
        assert!(error.message().contains("specversion"), "{version}: {error}");
    }
    for wrong in ["yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "1767225600", ""] {
        let IncomingEvent::Event(event) = with(&[("ce-time", wrong)]).unwrap() else { panic!("a push") };
        assert_eq!(event.time, None, "{wrong}");
    }
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": 7, "subject": {}});
    assert!(structured(&event).is_ok());
    let long = "9".repeat(50_000);
    assert!(with(&[("ce-specversion", &long)]).unwrap_err().error.message().len() < 200, "the value is shortened");
}

#[test]
fn a_structured_event_is_json() {
    let kind = [("content-type", "Application/CloudEvents+json; charset=utf-8")];
    let whole = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "subject": null,
        "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json", "data": {"a": [1]}, "extra": true});
    let read = event(&kind, &whole);
    assert_eq!((read.kind.as_str(), &read.data[..]), ("t", &br#"{"a":[1]}"#[..]));
    let mut base64 = whole;
    base64.as_object_mut().unwrap().remove("data");
    assert_eq!(event(&kind, &base64).data.len(), 0);
    base64["data_base64"] = "eyJhIjoxfQ==".into();
    assert_eq!(event(&kind, &base64).data, r#"{"a":1}"#);
    base64["data"] = json!(null);
    assert_eq!(event(&kind, &base64).data, r#"{"a":1}"#, "null is the same as no data");
    for (name, wrong) in [("data", json!(1)), ("data_base64", json!("?")), ("data_base64", json!(7))] {
        let mut event = base64.clone();
        event[name] = wrong;
        let Rejection { status, error } = structured(&event).unwrap_err();
        assert_eq!((status.as_u16(), error.message().contains("`data")), (400, true), "{error}");
    }
    for body in ["", "[]", "null", "\"x\"", "{"] {
        assert_eq!(structured(body).unwrap_err().status, 400, "{body}");
    }
}

#[test]
fn only_an_event_of_pub_sub_contains_a_message() {
    let event = json!({
        "specversion": "1.0", "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "source": "//pubsub.googleapis.com/projects/sample-project/topics/gcf-test",
        "id": "aaaaaa-1111-bbbb-2222-cccccccccccc", "time": "2020-09-29T11:32:00.000Z", "datacontenttype": "application/json",
        "data": {"subscription": "projects/sample-project/subscriptions/sample-subscription", "message": {
            "@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage", "messageId": "aaaaaa-1111-bbbb-2222-cccccccccccc",
            "publishTime": "2020-09-29T11:32:00.000Z", "attributes": {"attr1": "attr1-value"}, "data": "dGVzdCBtZXNzYWdlIDM=",
        }},
    });
    let push = structured(&event).unwrap().message().unwrap();
    assert_eq!(push.message.data, "test message 3");
    assert_eq!(push.message.attributes["attr1"], "attr1-value");
    assert_eq!((push.subscription.as_deref(), push.attempt), (Some("sample-subscription"), None));
    let mut other = event.clone();
    other["type"] = "com.example.odd\u{202e}".into();
    let Rejection { status, error } = structured(&other).unwrap().message().unwrap_err();
    assert_eq!((status.as_u16(), error.message().contains("com.example.odd")), (400, true), "{error}");
    for data in [json!(null), json!("x"), json!({}), json!({"message": []}), json!({"message": {"data": 7}})] {
        let mut event = event.clone();
        event["data"] = data;
        assert_eq!(structured(&event).unwrap().message().unwrap_err().status, 400, "{event}");
    }
    let mut broken = binary(&[("ce-type", "google.cloud.pubsub.topic.v1.messagePublished")]);
    broken.retain(|(name, _)| *name != "ce-time");
    let pairs: Vec<_> = broken.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Rejection { status, error } = read(&pairs, "{").unwrap().message().unwrap_err();
    assert_eq!((status.as_u16(), error.message().contains("not valid JSON")), (400, true), "{error}");
}
