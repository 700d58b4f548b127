use std::time::Duration;

use bytes::Bytes;
use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::pub_sub::{Message, MessageId};
use serde_json::json;

use super::super::wire::{META, encode, encode_dead_letter};
use super::*;

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn message(body: &'static [u8]) -> Message<Bytes> {
    let mut message = Message::new(MessageId::new("m-1"), body, at(9));
    message.attributes.insert("lang".to_owned(), "en".to_owned());
    message
}

/// The message as `ReceiveMessage` returns it.
fn received(message: &Message<Bytes>, details: Option<DeadLetterDetails>) -> Value {
    let encoded = match details {
        Some(details) => encode_dead_letter(message, details).unwrap(),
        None => encode(message, None).unwrap(),
    };
    let attribute =
        |(name, value): &(&str, _)| ((*name).to_owned(), json!({"DataType": "String", "StringValue": value}));
    let attributes: serde_json::Map<_, _> = encoded.attributes.iter().map(attribute).collect();
    json!({
        "MessageId": "sqs-1", "ReceiptHandle": "r", "MD5OfBody": "x", "Body": encoded.body,
        "MessageAttributes": attributes,
        "Attributes": {"ApproximateReceiveCount": "6", "SentTimestamp": "1767225600250", "SenderId": "x"},
    })
}

#[test]
fn dead_letter_of_isobar_contains_its_reason() {
    let details = DeadLetterDetails::new(5, "no \"such\" page\n\u{fffe}", at(1_767_225_600_999), "clicks");
    for body in [b"text".as_slice(), b"\0\xff"] {
        let dead_letter = dead_letter(&received(&message(body), Some(details.clone()))).unwrap();
        assert_eq!((dead_letter.id.as_str(), dead_letter.attempts), ("m-1", 5));
        assert_eq!(dead_letter.reason, "no \"such\" page\n\u{fffe}");
        assert_eq!(dead_letter.died_at, at(1_767_225_600_999));
        assert_eq!(dead_letter.body.as_ref(), body);
        assert_eq!(dead_letter.attributes.into_iter().collect::<Vec<_>>(), [("lang".to_owned(), "en".to_owned())]);
    }
}

#[test]
fn dead_letter_moved_by_sqs_has_a_general_reason() {
    let dead_letter = dead_letter(&received(&message(b"\0\xff"), None)).unwrap();
    assert_eq!((dead_letter.id.as_str(), dead_letter.attempts), ("m-1", 6));
    assert_eq!(dead_letter.reason, "SQS moved the message: the function returned no response for it in any attempt");
    assert_eq!(dead_letter.died_at, at(1_767_225_600_250), "the time when SQS received it");
    assert_eq!(dead_letter.body.as_ref(), b"\0\xff");
}

#[test]
fn dead_letter_of_another_publisher_needs_only_an_id_and_a_body() {
    let minimal = dead_letter(&json!({"MessageId": "sqs-1", "Body": "{\"Records\":[]}"})).unwrap();
    assert_eq!((minimal.id.as_str(), minimal.attempts, minimal.died_at), ("sqs-1", 1, SystemTime::UNIX_EPOCH));
    assert_eq!(minimal.body.as_ref(), b"{\"Records\":[]}");
    let odd = json!({"MessageId": "1", "Body": "b", "Attributes": {"ApproximateReceiveCount": "99999999999", "SentTimestamp": "x"}});
    assert_eq!(dead_letter(&odd).unwrap().attempts, u32::MAX);
}

#[test]
fn malformed_dead_letter_is_invalid_input_without_the_body() {
    let meta = |text: &str| json!({"MessageId": "1", "Body": "hush", "MessageAttributes": {META: {"StringValue": text, "DataType": "String"}}});
    for wrong in [
        json!({}),
        json!("hush"),
        json!({"MessageId": "1"}),
        json!({"Body": "hush"}),
        json!({"MessageId": 1, "Body": "hush"}),
        json!({"MessageId": "1", "Body": "hush", "MessageAttributes": ["hush"]}),
        meta("hush"),
        meta(r#"{"dead":{"attempts":-1}}"#),
        meta(r#"{"enc":"base64","id":"1"}{"#),
    ] {
        let error = dead_letter(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}
