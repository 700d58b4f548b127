mod fixtures;
mod malformed;
mod requests;
mod responses;

use ::http::Request;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;

/// The shape of an event as `Debug` text.
fn shape(event: &str) -> String {
    format!("{:?}", Incoming::read(event.as_bytes()).unwrap().shape())
}

/// The request in an event of a gateway.
fn http_of(event: &str) -> Result<Request<Bytes>> {
    let incoming = Incoming::read(event.as_bytes())?;
    let Shape::Http(gateway) = incoming.shape() else { panic!("no HTTP: {:?}", incoming.shape()) };
    let (parts, body) = request(gateway, &incoming)?.into_parts();
    let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
    Ok(Request::from_parts(parts, body))
}

/// All values of a header.
fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Vec<&'a str> {
    request.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

/// An event with some of its fields replaced.
fn with(mut event: Value, fields: &Value) -> String {
    for (name, value) in fields.as_object().unwrap() {
        event[name] = value.clone();
    }
    event.to_string()
}

fn rest() -> Value {
    json!({
        "resource": "/{proxy+}", "path": "/a/b", "httpMethod": "GET", "headers": {"host": "x.example"},
        "pathParameters": {"proxy": "a/b"}, "requestContext": {"stage": "prod"}, "body": null, "isBase64Encoded": false,
    })
}

fn http_api() -> Value {
    json!({
        "version": "2.0", "rawPath": "/a/b", "rawQueryString": "", "headers": {"host": "x.example"},
        "requestContext": {
            "stage": "$default", "domainName": "x.execute-api.eu-west-1.amazonaws.com",
            "http": {"method": "GET", "path": "/a/b"},
        },
        "isBase64Encoded": false,
    })
}

fn load_balancer() -> Value {
    json!({
        "httpMethod": "GET", "path": "/a/b", "headers": {"host": "x.example"}, "queryStringParameters": {},
        "requestContext": {"elb": {"targetGroupArn": "arn:…"}}, "body": "", "isBase64Encoded": false,
    })
}
