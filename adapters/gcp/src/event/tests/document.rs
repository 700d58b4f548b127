use super::*;

const NAME: &str = "projects/p-1/databases/(default)/documents/links/c0deada/links/skäse.1x";

/// A field of protobuf that is a string or a message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let size = [content.len() as u8 & 0x7f | 0x80, (content.len() >> 7) as u8];
    [&[number << 3 | 2], &size[..], content].concat()
}

fn document(name: &str) -> Vec<u8> {
    // A field of each wire type before the name: a number, 8 bytes, 4 bytes, and a message.
    let odd = [&[0x78, 0xff, 0x01, 0x71, 1, 2, 3, 4, 5, 6, 7, 8, 0x6d, 1, 2, 3, 4], &field(2, b"v")[..]].concat();
    [odd, field(1, name.as_bytes())].concat()
}

fn written(kind: &str, document: &str, data: &[u8]) -> isobar_abstraction::Result<Option<String>> {
    let kind = format!("google.cloud.firestore.document.v1.{kind}");
    let pairs = [
        ("content-type", "application/protobuf"),
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-type", &kind),
        ("ce-source", "//firestore.googleapis.com/projects/p-1/databases/(default)"),
        ("ce-document", document),
    ];
    match IncomingEvent::read(&headers(&pairs), &Bytes::copy_from_slice(data)).unwrap() {
        IncomingEvent::Event(event) => written_document(&event),
        IncomingEvent::Push(push) => panic!("{push:?}"),
    }
}

#[test]
fn the_name_of_a_written_document_is_that_in_the_data() {
    let (after, before) = (field(1, &document(NAME)), field(2, &document("projects/p-1/databases/x/documents/old/o")));
    let both = [before.clone(), after.clone()].concat();
    let json = json!({"value": {"name": NAME}, "oldValue": {"name": "old"}}).to_string();
    for (kind, data) in [
        ("written", &*after),
        ("created", &after),
        ("updated", &both),
        ("written", &both),
        ("written", json.as_bytes()),
    ] {
        assert_eq!(written(kind, "links/other", data).unwrap().as_deref(), Some(NAME), "{kind}");
    }
    let json = json!({"value": {}, "oldValue": {"name": NAME}}).to_string();
    for (kind, data) in [
        ("written", &*before),
        ("deleted", b"\xff"),
        ("written", json.as_bytes()),
        ("written", &[&before[..], &field(1, b"")].concat()),
    ] {
        assert_eq!(written(kind, "links/other", data).unwrap(), None, "{kind}");
    }
}

/// Without a name in the data. Another published form of the message has one in a deeper message.
#[test]
fn the_attribute_names_the_document_otherwise() {
    let nested = field(1, &field(1, &field(1, &field(1, b"\x0a\xff"))));
    for data in [&b""[..], &nested, &field(1, &field(1, b"\xff")), b"{}", br#"{"value":{"name":7}}"#] {
        for document in ["links/c0deada/links/skäse.1x", "links/c0deada/links/sk%C3%A4se.1x"] {
            assert_eq!(written("written", document, data).unwrap().as_deref(), Some(NAME));
        }
    }
    assert!(written("written", "links/%00", b"").unwrap_err().message().contains("names no document"));
}

#[test]
fn hostile_data_is_an_error_and_no_write() {
    let whole = field(1, &document(NAME));
    for size in 1..whole.len() {
        assert!(written("written", "links/x", &whole[..size]).is_err(), "{size}");
    }
    for data in [
        &b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..],
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0b\x0c",
        b"\x0f",
        b"\x09\x00",
        b"\x0d\x00",
        b"\x08",
        b"{",
        b"\x0a\x02\x0a\x05",
    ] {
        let error = written("written", "links/x", data).unwrap_err();
        assert!(error.message().contains("neither"), "{data:?}: {error}");
    }
    assert!(written("exported", "links/x", b"").is_err());
}
