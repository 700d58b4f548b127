use std::time::Duration;

use isobar_abstraction::ErrorKind;
use serde_json::json;

use super::*;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn message(body: &[u8]) -> Message<Bytes> {
    Message::new(MessageId::new("m-1"), Bytes::copy_from_slice(body), at(1_767_225_600_250))
}

/// The message as SQS delivers it with raw delivery, under SQS's id and time.
fn received(encoded: &EncodedMessage<'_>) -> ReceivedMessage {
    let owned = |(name, value): &(&str, Cow<'_, str>)| ((*name).to_owned(), value.clone().into_owned());
    ReceivedMessage {
        id: "sqs-1".to_owned(),
        body: encoded.body.clone().into_owned(),
        attributes: encoded.attributes.iter().map(owned).collect(),
        sent_at: at(7),
        attempt: 1,
        group: None,
    }
}

fn from_other_publisher(body: &str) -> ReceivedMessage {
    let attributes = BTreeMap::new();
    ReceivedMessage {
        id: "sqs-1".to_owned(),
        body: body.to_owned(),
        attributes,
        sent_at: at(7),
        attempt: 2,
        group: None,
    }
}

fn round_trip(message: &Message<Bytes>) -> Message<Bytes> {
    let decoded = received(&encode(message, None).unwrap()).decode().unwrap();
    assert_eq!((decoded.due, decoded.dead), (None, None));
    decoded.message
}

fn meta(encoded: &EncodedMessage<'_>) -> Value {
    let (name, value) = encoded.attributes.last().unwrap();
    assert_eq!(*name, META);
    serde_json::from_str(value).unwrap()
}

#[test]
fn every_body_is_decoded_bit_for_bit() {
    let all: Vec<u8> = (0..=255).collect();
    for body in [
        b"text".as_slice(),
        b"",
        b" ",
        b"\0",
        b"\xff\xfe\xfd",
        b"\r\n\t",
        &all,
        "\u{fffe}\u{ffff}\u{e9}\u{1f600}".as_bytes(),
        br#"{"Type":"Notification","TopicArn":"arn:aws:sns:x","Message":"not an envelope"}"#,
        b"YmFzZTY0",
    ] {
        let message = message(body);
        assert_eq!(round_trip(&message), message, "{body:?}");
    }
}

#[test]
fn trace_and_attributes_are_decoded() {
    let mut message = message(b"text");
    message.trace_parent = Some(TRACE.parse().unwrap());
    message.attributes.insert("lang".to_owned(), "en".to_owned());
    let encoded = encode(&message, None).unwrap();
    let names: Vec<_> = encoded.attributes.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["traceparent", "lang", META]);
    assert_eq!(encoded.attributes[0].1, TRACE);
    assert_eq!(round_trip(&message), message);
}

#[test]
fn meta_contains_only_data_without_a_field_in_the_services() {
    let encoded = encode(&message(b"text"), None).map(|encoded| meta(&encoded)).unwrap();
    assert_eq!(encoded, json!({"id": "m-1", "at": 1_767_225_600_250_u64}));
    let encoded = encode(&message(b"\xff"), None).map(|encoded| meta(&encoded)).unwrap();
    assert_eq!(encoded["enc"], "base64");
}

#[test]
fn due_time_is_in_meta_rounded_up_and_a_dead_letter_has_none() {
    let message = message(b"text");
    let due = |due| received(&encode(&message, Some(due)).unwrap()).decode().unwrap().due;
    assert_eq!(due(at(1_767_225_600_250)), Some(at(1_767_225_600_250)));
    assert_eq!(due(at(1_767_225_600_250) + Duration::from_nanos(1)), Some(at(1_767_225_600_251)));
    let details = DeadLetterDetails::new(1, "no", at(7), "clicks");
    let dead_letter = received(&encode_dead_letter(&message, details.clone()).unwrap()).decode().unwrap();
    assert_eq!((dead_letter.due, dead_letter.dead), (None, Some(details)));
}

#[test]
fn attributes_that_sns_or_sqs_reject_are_in_meta() {
    let mut message = message(b"text");
    let hostile =
        [("a", ""), ("b", "\0"), ("c", "\u{fffe}\u{ffff}"), (META, "{\"id\":\"forged\"}"), ("d", "\u{1b}[31m")];
    message.attributes.extend(hostile.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let encoded = encode(&message, None).unwrap();
    assert_eq!(encoded.attributes.len(), 1, "META alone");
    assert!(plain_text(encoded.attributes[0].1.as_bytes()).is_some(), "XML can carry it");
    assert_eq!(round_trip(&message), message);
}

#[test]
fn encoded_message_has_at_most_ten_attributes() {
    for (count, trace) in [(8, true), (9, false), (9, true), (10, true), (30, false)] {
        let mut message = message(b"text");
        message.trace_parent = trace.then(|| TRACE.parse().unwrap());
        message.attributes.extend((0..count).map(|number| (format!("a{number:02}"), number.to_string())));
        let encoded = encode(&message, None).unwrap();
        let fit = (count + usize::from(trace)).min(9);
        assert_eq!(encoded.attributes.len(), fit + 1, "{count} {trace}");
        let left = meta(&encoded)["attributes"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(left, count + usize::from(trace) - fit, "{count} {trace}");
        assert_eq!(round_trip(&message), message);
    }
}

#[test]
fn message_of_another_publisher_is_read_as_it_is() {
    let mut received = from_other_publisher("plain");
    received.attributes.insert("color".to_owned(), "red".to_owned());
    received.attributes.insert("traceparent".to_owned(), TRACE.to_owned());
    received.group = Some("room-7".to_owned());
    let DecodedMessage { message, due, dead } = received.decode().unwrap();
    let mut expected = Message::new(MessageId::new("sqs-1"), "plain", at(7));
    expected.attempt = 2;
    expected.attributes.insert("color".to_owned(), "red".to_owned());
    expected.trace_parent = Some(TRACE.parse().unwrap());
    expected.ordering_key = Some("room-7".to_owned());
    assert_eq!((message, due, dead), (expected, None, None));
}

#[test]
fn malformed_trace_is_ignored() {
    let mut received = from_other_publisher("plain");
    received.attributes.insert("traceparent".to_owned(), "00-0-0-00".to_owned());
    let message = received.decode().unwrap().message;
    assert!(message.trace_parent.is_none() && message.attributes.is_empty());
}

#[test]
fn group_with_the_id_of_its_message_is_no_ordering_key() {
    let message = message(b"text");
    let encoded = encode(&message, None).unwrap();
    let group = |name: &str| ReceivedMessage { group: Some(name.to_owned()), ..received(&encoded) };
    assert_eq!(group("m-1").decode().unwrap().message.ordering_key, None);
    assert_eq!(group("room-7").decode().unwrap().message.ordering_key.as_deref(), Some("room-7"));
}

/// The envelope that SNS adds without raw delivery.
fn envelope(body: &str, attributes: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:clicks",
        "Subject": "s", "Message": body, "Timestamp": "2026-01-01T00:00:00.250Z", "SignatureVersion": "1",
        "Signature": "x", "MessageAttributes": attributes,
    })
}

#[test]
fn message_of_another_publisher_without_raw_delivery_is_unwrapped() {
    let attributes = json!({"color": {"Type": "String", "Value": "red"}, "bits": {"Type": "Binary", "Value": "AP8="}});
    let message = from_other_publisher(&envelope("hello", &attributes).to_string()).decode().unwrap().message;
    assert_eq!((message.id.as_str(), message.body.as_ref()), ("sns-1", b"hello".as_slice()));
    assert_eq!((message.published_at, message.attempt), (at(1_767_225_600_250), 2));
    let attributes: Vec<_> = message.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(attributes, [("bits", "AP8="), ("color", "red")]);
    let bare = envelope("hello", &Value::Null).to_string();
    assert!(from_other_publisher(&bare).decode().unwrap().message.attributes.is_empty());
}

#[test]
fn message_of_isobar_without_raw_delivery_is_decoded_bit_for_bit() {
    let mut message = message(b"\0\xff");
    message.trace_parent = Some(TRACE.parse().unwrap());
    message.attributes.insert("lang".to_owned(), "en".to_owned());
    let encoded = encode(&message, None).unwrap();
    let attribute =
        |(name, value): &(&str, Cow<'_, str>)| ((*name).to_owned(), json!({"Type": "String", "Value": value}));
    let attributes: serde_json::Map<_, _> = encoded.attributes.iter().map(attribute).collect();
    let mut received = from_other_publisher(&envelope(&encoded.body, &Value::Object(attributes)).to_string());
    received.attempt = 1;
    assert_eq!(received.decode().unwrap().message, message);
}

#[test]
fn json_similar_to_an_envelope_is_not_unwrapped() {
    let without = |name: &str| {
        let mut envelope = envelope("hello", &json!({}));
        envelope.as_object_mut().unwrap().remove(name);
        envelope.to_string()
    };
    let confirmation = envelope("hello", &json!({})).to_string().replace("Notification", "SubscriptionConfirmation");
    for body in [
        without("Type"),
        without("Message"),
        without("TopicArn"),
        confirmation,
        "{\"TopicArn\"".to_owned(),
        "[\"TopicArn\"]".to_owned(),
        r#"{"Type":"Notification","TopicArn":7,"Message":"x"}"#.to_owned(),
        r#"{"Type":"Notification","TopicArn":"t","Message":{"a":1}}"#.to_owned(),
    ] {
        let message = from_other_publisher(&body).decode().unwrap().message;
        assert_eq!((message.id.as_str(), message.body.as_ref()), ("sqs-1", body.as_bytes()));
    }
}

#[test]
fn unknown_fields_in_meta_are_ignored() {
    let mut received = from_other_publisher("text");
    received.attributes.insert(META.to_owned(), r#"{"id":"m-9","new":{"a":[1]},"at":9}"#.to_owned());
    let message = received.decode().unwrap().message;
    assert_eq!((message.id.as_str(), message.published_at), ("m-9", at(9)));
}

#[test]
fn malformed_message_is_invalid_input_without_the_body() {
    for (meta, body) in [
        ("hush", "hush"),
        (r#"{"at":"hush"}"#, "hush"),
        (r#"{"at":-1}"#, "hush"),
        (r#"{"enc":"base64"}"#, "hush!"),
        (r#"{"enc":"zstd\n"}"#, "hush"),
        (r#""hush""#, "hush"),
        (r#"{"dead":{"reason":"hush"}}"#, "hush"),
    ] {
        let mut received = from_other_publisher(body);
        received.attributes.insert(META.to_owned(), meta.to_owned());
        let error = received.decode().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{meta}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hush") && !error.message().contains('\n'), "{text}");
    }
}

#[test]
fn attributes_are_read_in_the_form_of_each_service() {
    let json = json!({
        "lambda": {"stringValue": "1", "stringListValues": [], "dataType": "String"},
        "sqs": {"StringValue": "2", "DataType": "Number"},
        "sns": {"Type": "String", "Value": "3"},
        "bits": {"binaryValue": "AA==", "stringValue": null, "dataType": "Binary"},
        "more": {"BinaryValue": "AQ==", "DataType": "Binary"},
    });
    let read: Vec<_> = attributes(&json).unwrap().into_iter().collect();
    let expected = [("bits", "AA=="), ("lambda", "1"), ("more", "AQ=="), ("sns", "3"), ("sqs", "2")];
    assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(attributes(&Value::Null).unwrap().is_empty());
    for wrong in [json!([]), json!("hush"), json!({"a\n": {"dataType": "hush"}}), json!({"a": "hush"})] {
        let error = attributes(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!error.message().contains("hush") && !error.message().contains('\n'), "{error}");
    }
}

fn from_sns(sns: &Value) -> Result<Message<Bytes>> {
    let record = json!({"Sns": sns}).to_string();
    crate::event::Notification::read(&serde_json::from_str(&record).unwrap())?.message.map(|decoded| decoded.message)
}

#[test]
fn record_of_a_direct_sns_subscription_is_read() {
    let mut sent = message(b"\xff");
    sent.attributes.insert("lang".to_owned(), "en".to_owned());
    let encoded = encode(&sent, None).unwrap();
    let attribute =
        |(name, value): &(&str, Cow<'_, str>)| ((*name).to_owned(), json!({"Type": "String", "Value": value}));
    let attributes: serde_json::Map<_, _> = encoded.attributes.iter().map(attribute).collect();
    assert_eq!(from_sns(&envelope(&encoded.body, &Value::Object(attributes))).unwrap(), sent);

    let message = from_sns(&envelope("hello", &json!({}))).unwrap();
    let expected = Message::new(MessageId::new("sns-1"), "hello", at(1_767_225_600_250));
    assert_eq!(message, expected);
    let topic = "arn:aws:sns:eu-west-1:1:clicks";
    for sns in [json!({}), json!({"TopicArn": topic, "MessageId": "1"}), json!({"TopicArn": topic, "Message": "hush"})]
    {
        let error = from_sns(&sns).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("hush"));
    }
}

#[test]
fn times_are_read_in_rfc_3339() {
    assert_eq!(time(&json!("2026-01-01T01:00:00.250+01:00")), Some(at(1_767_225_600_250)));
    for wrong in [json!("yesterday"), json!(7), Value::Null] {
        assert_eq!(time(&wrong), None);
    }
}
