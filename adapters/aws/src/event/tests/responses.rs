//! The responses to each gateway.

use ::http::{HeaderValue, Response, StatusCode};

use super::*;

/// The response to an event with these headers and this body.
fn response(event: &Value, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Value {
    let event = event.to_string();
    let incoming = Incoming::read(event.as_bytes()).unwrap();
    let Shape::Http(gateway) = incoming.shape() else { panic!("no HTTP") };
    let builder = Response::builder().status(status);
    let with = |builder: ::http::response::Builder, (name, value): &(&str, &str)| builder.header(*name, *value);
    let (parts, ()) = headers.iter().fold(builder, with).body(()).unwrap().into_parts();
    serde_json::from_slice(&ResponseFormat::of(gateway, &incoming).encode(&parts, &body.into()).unwrap()).unwrap()
}

fn multi_value_load_balancer() -> Value {
    let mut event = load_balancer();
    event["multiValueHeaders"] = json!({"host": ["x.example"]});
    event
}

const HEADERS: &[(&str, &str)] = &[("x-a", "1"), ("x-a", "2"), ("set-cookie", "a=1; Secure"), ("set-cookie", "b=2")];

#[test]
fn headers_and_cookies_are_in_the_format_of_each_gateway() {
    let many = json!({"x-a": ["1", "2"], "set-cookie": ["a=1; Secure", "b=2"]});
    let body = |mut response: Value| {
        response["body"] = json!("hi");
        response["isBase64Encoded"] = json!(false);
        response
    };
    let expected = body(json!({"statusCode": 201, "multiValueHeaders": many}));
    assert_eq!(response(&rest(), 201, HEADERS, "hi"), expected);
    let expected = body(json!({"statusCode": 201, "statusDescription": "201 Created", "multiValueHeaders": many}));
    assert_eq!(response(&multi_value_load_balancer(), 201, HEADERS, "hi"), expected);
    let one = json!({"x-a": "1, 2", "set-cookie": "a=1; Secure", "Set-cookie": "b=2"});
    let expected = body(json!({"statusCode": 201, "statusDescription": "201 Created", "headers": one}));
    assert_eq!(response(&load_balancer(), 201, HEADERS, "hi"), expected);
    let cookies = json!(["a=1; Secure", "b=2"]);
    let expected = body(json!({"statusCode": 201, "headers": {"x-a": "1, 2"}, "cookies": cookies}));
    assert_eq!(response(&http_api(), 201, HEADERS, "hi"), expected);
}

#[test]
fn response_always_has_a_status_a_body_and_its_encoding() {
    for event in [rest(), http_api(), load_balancer(), multi_value_load_balancer()] {
        let empty = response(&event, 204, &[], "");
        assert_eq!((&empty["statusCode"], &empty["body"]), (&json!(204), &json!("")));
        let binary = response(&event, 200, &[("content-type", "text/plain")], &b"\xff\0"[..]);
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
        let text = response(&event, 200, &[("content-type", "image/png")], "grün");
        assert_eq!((&text["body"], &text["isBase64Encoded"]), (&json!("grün"), &json!(false)));
    }
}

#[test]
fn status_without_a_reason_is_a_number() {
    assert_eq!(response(&load_balancer(), 299, &[], "")["statusDescription"], "299");
}

#[test]
fn header_that_is_not_utf8_is_sent_with_replacement_characters() {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::OK;
    parts.headers.insert("x-a", HeaderValue::from_bytes(b"a\xffb").unwrap());
    let response = ResponseFormat::SingleValueWithCookies.encode(&parts, &Bytes::new()).unwrap();
    let response: Value = serde_json::from_slice(&response).unwrap();
    assert_eq!(response["headers"]["x-a"], "a\u{fffd}b");
}

#[test]
fn prelude_has_no_body() {
    let (parts, ()) = Response::builder().status(404).header("x-a", "1").body(()).unwrap().into_parts();
    let prelude: Value =
        serde_json::from_slice(&ResponseFormat::SingleValueWithCookies.prelude(&parts).unwrap()).unwrap();
    assert_eq!(prelude, json!({"statusCode": 404, "headers": {"x-a": "1"}, "cookies": []}));
}
