//! Events in all their forms. Those of other people are facts out of the conformance data of Google's functions
//! framework, and what the emulator of Pub/Sub was seen to push.

mod cloud_event;
mod legacy;
mod object;
mod push;

use serde_json::json;

use super::*;

fn headers(told: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in told {
        headers.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
fn read(told: &[(&'static str, &str)], body: impl ToString) -> Result<Incoming, Refused> {
    Incoming::read(&headers(told), &Bytes::from(body.to_string()))
}

fn event(told: &[(&'static str, &str)], body: impl ToString) -> CloudEvent {
    match read(told, body).unwrap() {
        Incoming::Event(event) => event,
        Incoming::Push(push) => panic!("{push:?}"),
    }
}

fn pushed(told: &[(&'static str, &str)], body: impl ToString) -> Push {
    match read(told, body).unwrap() {
        Incoming::Push(push) => push,
        Incoming::Event(event) => panic!("{event:?}"),
    }
}

/// The status, and what is told.
fn refused(told: &[(&'static str, &str)], body: impl ToString) -> (u16, String) {
    let Refused { status, error } = read(told, body).unwrap_err();
    (status.as_u16(), error.message().to_owned())
}

fn structured(body: impl ToString) -> Result<Incoming, Refused> {
    read(&[("content-type", "application/cloudevents+json; charset=UTF-8")], body)
}

fn time(text: &str) -> std::time::SystemTime {
    isobar_abstraction::clock::parse(text).unwrap()
}

#[test]
fn what_is_nothing_of_google_s_is_refused() {
    for body in ["", "null", "[]", "7", "{}", "{", "\u{fffe}", r#"{"data":{}}"#, r#"[{"message":{}}]"#] {
        assert_eq!(refused(&[("content-type", "application/json")], body).0, 400, "{body}");
    }
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(refused(&[], deep).0, 400);
    let secret = refused(&[], r#"{"password": "hunter2""#);
    assert!(!secret.1.contains("hunter2") && secret.1.contains("line 1"), "{secret:?}");
}

#[test]
fn batches_and_other_formats_are_of_another_type() {
    for kind in [
        "application/cloudevents-batch+json",
        "Application/CloudEvents-Batch+JSON; charset=utf-8",
        "application/cloudevents-batch",
        "application/cloudevents+xml",
        "application/cloudevents+avro",
        "application/cloudevents",
    ] {
        let (status, told) = refused(&[("content-type", kind), ("ce-id", "1")], "[]");
        assert_eq!(status, 415, "{kind}");
        assert_eq!(told.contains("batch"), kind.to_ascii_lowercase().contains("batch"), "{told}");
    }
}
