//! What each gateway is answered.

use ::http::{HeaderValue, Response, StatusCode};

use super::*;

/// The answer to an event, with these headers and this body.
fn answer(event: &Value, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Value {
    let event = event.to_string();
    let incoming = Incoming::read(event.as_bytes()).unwrap();
    let Shape::Http(gateway) = incoming.shape() else { panic!("no HTTP") };
    let builder = Response::builder().status(status);
    let with = |builder: ::http::response::Builder, (name, value): &(&str, &str)| builder.header(*name, *value);
    let (parts, ()) = headers.iter().fold(builder, with).body(()).unwrap().into_parts();
    serde_json::from_slice(&Answer::to(gateway, &incoming).whole(&parts, &body.into()).unwrap()).unwrap()
}

fn many_headers() -> Value {
    let mut event = load_balancer();
    event["multiValueHeaders"] = json!({"host": ["x.example"]});
    event
}

const HEADERS: &[(&str, &str)] = &[("x-a", "1"), ("x-a", "2"), ("set-cookie", "a=1; Secure"), ("set-cookie", "b=2")];

#[test]
fn each_gateway_gets_headers_and_cookies_in_the_form_that_it_takes() {
    let many = json!({"x-a": ["1", "2"], "set-cookie": ["a=1; Secure", "b=2"]});
    let body = |mut answer: Value| {
        answer["body"] = json!("hi");
        answer["isBase64Encoded"] = json!(false);
        answer
    };
    let wanted = body(json!({"statusCode": 201, "multiValueHeaders": many}));
    assert_eq!(answer(&rest(), 201, HEADERS, "hi"), wanted);
    let wanted = body(json!({"statusCode": 201, "statusDescription": "201 Created", "multiValueHeaders": many}));
    assert_eq!(answer(&many_headers(), 201, HEADERS, "hi"), wanted);
    let one = json!({"x-a": "1, 2", "set-cookie": "a=1; Secure", "Set-cookie": "b=2"});
    let wanted = body(json!({"statusCode": 201, "statusDescription": "201 Created", "headers": one}));
    assert_eq!(answer(&load_balancer(), 201, HEADERS, "hi"), wanted);
    let cookies = json!(["a=1; Secure", "b=2"]);
    let wanted = body(json!({"statusCode": 201, "headers": {"x-a": "1, 2"}, "cookies": cookies}));
    assert_eq!(answer(&http_api(), 201, HEADERS, "hi"), wanted);
}

#[test]
fn an_answer_always_has_a_status_a_body_and_its_encoding() {
    for event in [rest(), http_api(), load_balancer(), many_headers()] {
        let empty = answer(&event, 204, &[], "");
        assert_eq!((&empty["statusCode"], &empty["body"]), (&json!(204), &json!("")));
        let binary = answer(&event, 200, &[("content-type", "text/plain")], &b"\xff\0"[..]);
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
        let text = answer(&event, 200, &[("content-type", "image/png")], "grün");
        assert_eq!((&text["body"], &text["isBase64Encoded"]), (&json!("grün"), &json!(false)));
    }
}

#[test]
fn a_status_without_words_is_a_number() {
    assert_eq!(answer(&load_balancer(), 299, &[], "")["statusDescription"], "299");
}

#[test]
fn a_header_that_is_no_utf8_is_answered_as_far_as_it_is() {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::OK;
    parts.headers.insert("x-a", HeaderValue::from_bytes(b"a\xffb").unwrap());
    let answer = Answer::OneAndCookies.whole(&parts, &Bytes::new()).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["headers"]["x-a"], "a\u{fffd}b");
}

#[test]
fn a_prelude_has_no_body_and_so_ends_where_the_delimiter_begins() {
    let (parts, ()) = Response::builder().status(404).header("x-a", "1").body(()).unwrap().into_parts();
    let prelude: Value = serde_json::from_slice(&Answer::OneAndCookies.prelude(&parts).unwrap()).unwrap();
    assert_eq!(prelude, json!({"statusCode": 404, "headers": {"x-a": "1"}, "cookies": []}));
}
