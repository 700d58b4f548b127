//! Malformed events.

use isobar_abstraction::ErrorKind;

use super::*;
use crate::pub_sub::record::Record;

const SECRET: &str = "hunter2";

/// The error of a malformed request, which must be the client's fault and quote nothing of the event.
fn rejection(event: &str) -> String {
    let error = http_of(event).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{event}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains(SECRET), "{text}");
    text
}

#[test]
fn field_of_the_wrong_type_is_invalid_input_with_its_name() {
    for (fields, named) in [
        (json!({"body": {"password": SECRET}}), "`body`"),
        (json!({"body": [SECRET]}), "`body`"),
        (json!({"headers": [SECRET]}), "`headers`"),
        (json!({"headers": SECRET}), "`headers`"),
        (json!({"headers": {"a": {"b": SECRET}}}), "header"),
        (json!({"headers": {"a": 7}}), "header"),
        (json!({"headers": {"a": ["x", null]}}), "header"),
    ] {
        for event in [rest(), http_api(), load_balancer()] {
            let text = rejection(&with(event, &fields));
            assert!(text.contains(named), "{fields}: {text}");
        }
    }
    for fields in [
        json!({"queryStringParameters": [SECRET]}),
        json!({"queryStringParameters": {"q": {"a": SECRET}}}),
        json!({"multiValueQueryStringParameters": {"q": [["x"]]}}),
        json!({"path": {"a": SECRET}}),
    ] {
        rejection(&with(rest(), &fields));
        rejection(&with(load_balancer(), &fields));
    }
    rejection(&with(http_api(), &json!({"rawPath": [SECRET]})));
    rejection(&with(http_api(), &json!({"rawQueryString": 7})));
    rejection(&with(http_api(), &json!({"cookies": [{"a": SECRET}]})));
}

#[test]
fn invalid_headers_methods_and_paths_are_invalid_input() {
    for headers in [
        json!({"a b": SECRET}),
        json!({"": SECRET}),
        json!({"a": format!("{SECRET}\r\nx: y")}),
        json!({"a": format!("{SECRET}\u{0}")}),
    ] {
        rejection(&with(rest(), &json!({"headers": headers})));
    }
    for method in [json!("GET /x"), json!(""), json!(7), json!(null), json!("G\r\n")] {
        let mut event = http_api();
        event["requestContext"]["http"]["method"] = method;
        rejection(&event.to_string());
    }
    let many: serde_json::Map<String, Value> = (0..40_000).map(|n| (format!("x-{n}"), json!("1"))).collect();
    assert!(rejection(&with(http_api(), &json!({"headers": many}))).contains("too many headers"));
    rejection(&with(http_api(), &json!({"rawPath": format!("/{SECRET}").repeat(10_000)})));
}

#[test]
fn malformed_base64_is_invalid_input_without_the_body() {
    for body in ["hunter2!", "hunter2", "ü", "aGk", "a G k ="] {
        rejection(&with(http_api(), &json!({"body": body, "isBase64Encoded": true})));
    }
}

#[test]
fn malformed_json_is_an_error_with_its_position_and_without_the_text() {
    for event in [
        &br#"{"password":"hunter2""#[..],
        b"hunter2",
        b"{\"password\":\"hunter2\xff\"}",
        b"{\"hunter2\xff\":1}",
        b"\xff\xfe",
        b"{\"a\":\"hunter2\"} trailing",
        b"[\"hunter2\"",
        b"{1:\"hunter2\"}",
    ] {
        let error = Incoming::read(event).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = format!("{error} {error:?}");
        assert!(text.contains("line 1 column") && !text.contains(SECRET), "{text}");
    }
    assert_eq!(Incoming::read(b"").unwrap().shape(), Shape::Unknown);
}

#[test]
fn deep_json_is_an_error_and_not_a_stack_overflow() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let event = format!(r#"{{"Records":[{{"messageId":"a","Sns":{deep},"body":{deep},"messageAttributes":{deep}}}]}}"#);
    let record = Incoming::read(event.as_bytes()).unwrap().records().unwrap().remove(0);
    assert_eq!(Notification::read(&record).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(Record::read(&record, true, std::time::SystemTime::UNIX_EPOCH).unwrap().unreadable.is_some());
    assert_eq!(shape(&deep), "Unknown");
    assert_eq!(changes(deep.as_bytes()).unwrap_err().kind(), ErrorKind::InvalidInput);
    for field in ["requestContext", "headers", "body", "cookies", "isobar", "version", "Records"] {
        let event = format!(r#"{{"httpMethod":"GET","resource":"/","requestContext":{{}},"{field}":{deep}}}"#);
        let incoming = Incoming::read(event.as_bytes()).unwrap();
        if let Shape::Http(gateway) = incoming.shape() {
            let _ = request(gateway, &incoming);
        }
    }
}

#[test]
fn body_of_6_mb_is_read_as_text_and_as_base64() {
    let text = "x\"\\\n".repeat(1_500_000);
    assert_eq!(http_of(&with(http_api(), &json!({"body": text}))).unwrap().body(), text.as_bytes());
    let base64 = "QUFB".repeat(1_500_000);
    let request = http_of(&with(rest(), &json!({"body": base64, "isBase64Encoded": true}))).unwrap();
    assert!(request.body().len() == 4_500_000 && request.body().iter().all(|byte| *byte == b'A'));
}

#[test]
fn last_of_two_fields_with_one_name_decides_the_shape_and_the_request() {
    let event = http_api().to_string();
    let twice = format!(r#"{{"rawPath":"/first","version":"1.0",{},"rawPath":"/last"}}"#, &event[1..event.len() - 1]);
    assert_eq!(http_of(&twice).unwrap().uri().path(), "/last");
}

#[test]
fn names_of_fields_are_limited_in_number_and_length() {
    let many: serde_json::Map<String, Value> = (0..100).map(|n| (format!("{n:0>900}\n"), json!(SECRET))).collect();
    let event = json!(many).to_string();
    let names = Incoming::read(event.as_bytes()).unwrap().names();
    assert!(names.len() < 1_500 && names.ends_with(", …") && !names.contains('\n'), "{names}");
    assert!(!names.contains(SECRET));
    assert_eq!(Incoming::read(b"[1]").unwrap().names(), "no fields");
}
