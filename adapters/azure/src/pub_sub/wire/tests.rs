use std::time::Duration;

use isobar_abstraction::ErrorKind;

use super::*;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn message(body: &[u8]) -> Message<Bytes> {
    let mut message = Message::new(MessageId::new("m-1"), Bytes::copy_from_slice(body), at(1_767_225_600_250));
    message.attributes.insert("lang".to_owned(), "käse \"x\"".to_owned());
    message.trace_parent = TRACE.parse().ok();
    message
}

fn sending(attempts: u32) -> Sending {
    Sending { attempts, details: None }
}

/// Encodes and decodes a message as Service Bus does, with this delivery count.
fn through_bus(message: &Message<Bytes>, sending: Sending, delivery: u32) -> Arrived {
    let encoded = encode(message, sending).unwrap();
    let owned = encoded.properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_owned()));
    open(encoded.body.as_bytes(), owned.collect(), delivery).unwrap()
}

#[test]
fn a_message_is_unchanged_through_both_services() {
    for body in [&b"{\"a\":1}"[..], b"\"hello\"", b"\0\xff", b"test", "\u{fffe}".as_bytes(), b"{\"isobar\":1}", b"AP8="]
    {
        let mut message = message(body);
        message.ordering_key = Some("room-7".to_owned());
        let expected = Arrived { message: message.clone(), details: None };
        assert_eq!(through_bus(&message, sending(0), 1), expected, "{body:?}");
        let envelope = envelope::write(&message, sending(0)).unwrap();
        assert_eq!(open(&envelope, vec![], 1).unwrap(), expected, "{body:?}");
        assert_eq!(open(STANDARD.encode(&envelope).as_bytes(), vec![], 1).unwrap(), expected, "{body:?}");
    }
}

/// Queues contain messages of this format while another version is deployed.
#[test]
fn an_envelope_of_format_1_is_written_and_read() {
    let mut message = message(b"\0\xff");
    message.ordering_key = Some("room-7".to_owned());
    let details = DeadLetterDetails::new(3, "bad apple", at(1_767_225_600_500), "clicks");
    let form = format!(
        r#"{{"isobar":1,"id":"m-1","at":1767225600250,"body":"AP8=","enc":"base64","attributes":{{"lang":"käse \"x\""}},"key":"room-7","traceparent":"{TRACE}","attempt":2,"dead":{{"attempts":3,"reason":"bad apple","died_at":1767225600500,"source":"clicks"}}}}"#
    );
    let sending = Sending { attempts: 2, details: Some(details.clone()) };
    let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap();
    assert_eq!(value(&envelope::write(&message, sending).unwrap()), value(form.as_bytes()));
    message.attempt = 3;
    assert_eq!(open(form.as_bytes(), vec![], 1).unwrap(), Arrived { message, details: Some(details) });
}

#[test]
fn the_attempt_includes_copies_and_the_platform_s_deliveries() {
    let message = message(b"x");
    assert_eq!(through_bus(&message, sending(3), 2).message.attempt, 5);
    assert_eq!(through_bus(&message, sending(0), 0).message.attempt, 1);
    assert_eq!(through_bus(&message, sending(u32::MAX), 2).message.attempt, u32::MAX);
    let envelope = envelope::write(&message, sending(3)).unwrap();
    assert_eq!(open(&envelope, vec![], 2).unwrap().message.attempt, 5);
}

#[test]
fn a_message_of_another_sender_is_read_unchanged() {
    let properties = [
        ("$MessageId", "their-1"),
        ("$SessionId", "s"),
        ("$EnqueuedTimeUtc", "2026-01-01T00:00:00.25Z"),
        ("MessageId", "an attribute"),
        ("traceparent", TRACE),
        (FOR, "clicks"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let arrived = open(b"{\"isobar\":\"no form\"}", properties.into(), 2).unwrap();
    let message = &arrived.message;
    assert_eq!(
        (message.id.as_str(), &*message.body, message.attempt),
        ("their-1", &b"{\"isobar\":\"no form\"}"[..], 2)
    );
    assert_eq!((message.ordering_key.as_deref(), message.published_at), (Some("s"), at(1_767_225_600_250)));
    assert_eq!(message.attributes, BTreeMap::from([("MessageId".to_owned(), "an attribute".to_owned())]));
    assert!(message.trace_parent.is_some());
}

#[test]
fn a_time_is_read_in_every_format_of_the_platform() {
    for time in [
        "2020-08-28T00:00:00",
        "2020-08-28T00:00:00Z",
        "2020-08-28T00:00:00+00:00",
        "2020-08-28T00:00:00.0000000",
        "\"2020-08-28T00:00:00\"",
        "Fri, 28 Aug 2020 00:00:00 GMT",
        "8/28/2020 12:00:00 AM +00:00",
        "08/28/2020 12:00:00 AM",
    ] {
        for name in ["$EnqueuedTimeUtc", "$InsertionTime"] {
            let arrived = open(b"x", vec![(name.to_owned(), time.to_owned())], 1).unwrap();
            assert_eq!(arrived.message.published_at, at(1_598_572_800_000), "{time}");
        }
    }
}

#[test]
fn an_unreadable_message_is_an_error_that_does_not_quote_it() {
    let meta = |text: &str| vec![(META.to_owned(), text.to_owned())];
    for (body, properties) in [
        (&b"x"[..], meta("hush")),
        (b"x", meta("{\"attempt\":\"hush\"}")),
        (b"hush!", meta("{\"enc\":\"base64\"}")),
        (b"x", meta("{\"enc\":\"zip\"}")),
        (b"{\"isobar\":2,\"hush\":1}", vec![]),
        (b"{\"isobar\":1,\"id\":\"hush\"}", vec![]),
        (b"{\"isobar\":1,\"id\":\"i\",\"at\":1,\"body\":\"hush!\",\"enc\":\"base64\"}", vec![]),
    ] {
        let error = open(body, properties.clone(), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        assert_eq!(Arrived::raw(body, properties, 3).message.body, body);
    }
}

#[test]
fn no_input_panics() {
    for body in [
        &b""[..],
        b"{",
        b"[[[[",
        b"\"",
        b"{\"isobar\":-1}",
        b"{\"isobar\":99999999999}",
        b"eyJpc29iYXIiOjF9",
        &[0xff; 9],
    ] {
        let _either_way = open(body, vec![("$Id".to_owned(), String::new())], u32::MAX);
    }
}
