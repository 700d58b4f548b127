//! Events that nobody would send by mistake.

use isobar_abstraction::ErrorKind;

use super::*;

const SECRET: &str = "hunter2";

/// An error of the client's, that quotes nothing of the event.
fn refused(event: &str) -> String {
    let error = http_of(event).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{event}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    shown
}

#[test]
fn a_field_of_the_wrong_type_is_the_client_s_fault_and_is_named() {
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
            let shown = refused(&with(event, &fields));
            assert!(shown.contains(named), "{fields}: {shown}");
        }
    }
    for fields in [
        json!({"queryStringParameters": [SECRET]}),
        json!({"queryStringParameters": {"q": {"a": SECRET}}}),
        json!({"multiValueQueryStringParameters": {"q": [["x"]]}}),
        json!({"path": {"a": SECRET}}),
    ] {
        refused(&with(rest(), &fields));
        refused(&with(load_balancer(), &fields));
    }
    refused(&with(http_api(), &json!({"rawPath": [SECRET]})));
    refused(&with(http_api(), &json!({"rawQueryString": 7})));
    refused(&with(http_api(), &json!({"cookies": [{"a": SECRET}]})));
}

#[test]
fn what_no_http_request_has_is_refused() {
    for headers in [
        json!({"a b": SECRET}),
        json!({"": SECRET}),
        json!({"a": format!("{SECRET}\r\nx: y")}),
        json!({"a": format!("{SECRET}\u{0}")}),
    ] {
        refused(&with(rest(), &json!({"headers": headers})));
    }
    for method in [json!("GET /x"), json!(""), json!(7), json!(null), json!("G\r\n")] {
        let mut event = http_api();
        event["requestContext"]["http"]["method"] = method;
        refused(&event.to_string());
    }
    let many: serde_json::Map<String, Value> = (0..40_000).map(|n| (format!("x-{n}"), json!("1"))).collect();
    assert!(refused(&with(http_api(), &json!({"headers": many}))).contains("too many headers"));
    refused(&with(http_api(), &json!({"rawPath": format!("/{SECRET}").repeat(10_000)})));
}

#[test]
fn base64_that_is_none_is_refused_without_quoting_it() {
    for body in ["hunter2!", "hunter2", "ü", "aGk", "a G k ="] {
        refused(&with(http_api(), &json!({"body": body, "isBase64Encoded": true})));
    }
}

#[test]
fn what_is_not_json_is_told_with_its_place_and_nothing_of_it() {
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
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("line 1 column") && !shown.contains(SECRET), "{shown}");
    }
    assert_eq!(Incoming::read(b"").unwrap().shape(), Shape::Unknown);
}

#[test]
fn deep_json_is_an_error_and_no_overflow() {
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
fn a_body_of_6_mb_is_read_in_either_form() {
    let text = "x\"\\\n".repeat(1_500_000);
    assert_eq!(http_of(&with(http_api(), &json!({"body": text}))).unwrap().body(), text.as_bytes());
    let base64 = "QUFB".repeat(1_500_000);
    let request = http_of(&with(rest(), &json!({"body": base64, "isBase64Encoded": true}))).unwrap();
    assert!(request.body().len() == 4_500_000 && request.body().iter().all(|byte| *byte == b'A'));
}

#[test]
fn the_last_of_two_fields_with_one_name_counts_for_the_shape_and_for_the_request() {
    let event = http_api().to_string();
    let twice = format!(r#"{{"rawPath":"/first","version":"1.0",{},"rawPath":"/last"}}"#, &event[1..event.len() - 1]);
    assert_eq!(http_of(&twice).unwrap().uri().path(), "/last");
}

#[test]
fn names_of_fields_are_shown_few_and_short() {
    let many: serde_json::Map<String, Value> = (0..100).map(|n| (format!("{n:0>900}\n"), json!(SECRET))).collect();
    let event = json!(many).to_string();
    let names = Incoming::read(event.as_bytes()).unwrap().names();
    assert!(names.len() < 1_500 && names.ends_with(", …") && !names.contains('\n'), "{names}");
    assert!(!names.contains(SECRET));
    assert_eq!(Incoming::read(b"[1]").unwrap().names(), "no fields");
}
