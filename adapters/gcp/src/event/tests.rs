//! Events in all their forms, from the conformance data of Google's functions framework and from pushes of the Pub/Sub
//! emulator.

mod cloud_event;
mod document;
mod legacy;
mod object;
mod push;

use serde_json::json;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
fn read(pairs: &[(&'static str, &str)], body: impl ToString) -> Result<IncomingEvent, Rejection> {
    IncomingEvent::read(&headers(pairs), &Bytes::from(body.to_string()))
}

fn event(pairs: &[(&'static str, &str)], body: impl ToString) -> CloudEvent {
    match read(pairs, body).unwrap() {
        IncomingEvent::Event(event) => event,
        IncomingEvent::Push(push) => panic!("{push:?}"),
    }
}

fn pushed(pairs: &[(&'static str, &str)], body: impl ToString) -> Push {
    match read(pairs, body).unwrap() {
        IncomingEvent::Push(push) => push,
        IncomingEvent::Event(event) => panic!("{event:?}"),
    }
}

/// The status and the message of a rejection.
fn rejection(pairs: &[(&'static str, &str)], body: impl ToString) -> (u16, String) {
    let Rejection { status, error } = read(pairs, body).unwrap_err();
    (status.as_u16(), error.message().to_owned())
}

fn structured(body: impl ToString) -> Result<IncomingEvent, Rejection> {
    read(&[("content-type", "application/cloudevents+json; charset=UTF-8")], body)
}

fn time(text: &str) -> std::time::SystemTime {
    isobar_abstraction::clock::parse(text).unwrap()
}

#[test]
fn a_body_that_is_no_event_is_malformed() {
    for body in ["", "null", "[]", "7", "{}", "{", "\u{fffe}", r#"{"data":{}}"#, r#"[{"message":{}}]"#] {
        assert_eq!(rejection(&[("content-type", "application/json")], body).0, 400, "{body}");
    }
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(rejection(&[], deep).0, 400);
    let secret = rejection(&[], r#"{"password": "hunter2""#);
    assert!(!secret.1.contains("hunter2") && secret.1.contains("line 1"), "{secret:?}");
}

#[test]
fn batches_and_other_formats_are_unsupported_media_types() {
    for kind in [
        "application/cloudevents-batch+json",
        "Application/CloudEvents-Batch+JSON; charset=utf-8",
        "application/cloudevents-batch",
        "application/cloudevents+xml",
        "application/cloudevents+avro",
        "application/cloudevents",
    ] {
        let (status, message) = rejection(&[("content-type", kind), ("ce-id", "1")], "[]");
        assert_eq!(status, 415, "{kind}");
        assert_eq!(message.contains("batch"), kind.to_ascii_lowercase().contains("batch"), "{message}");
    }
}
