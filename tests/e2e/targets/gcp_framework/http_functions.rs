//! HTTP requests of users.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use isobar::Body;
use isobar::axum::Json;
use isobar::prelude::*;
use isobar_conformance::TrialResult;
use isobar_e2e::emulators::Framework;
use serde_json::{Value, json};

use super::{google_framework, isobar_service};

/// Method, path with query, type of the content, content.
type Sent = (&'static str, &'static str, Option<&'static str>, &'static [u8]);

const REQUESTS: &[Sent] = &[
    ("GET", "/", None, b""),
    ("GET", "/a/b%2Fc/k%C3%A4se?x=1&x=2&y=%20+%26", None, b""),
    ("POST", "/", Some("application/json"), br#"{"a": 1.50, "b": "k\u00e4se"}"#),
    ("POST", "/form", Some("application/x-www-form-urlencoded"), b"a=1&b=%26"),
    ("PUT", "/bytes", Some("application/octet-stream"), b"\x00\xff\x80"),
    ("PATCH", "/text", Some("text/plain; charset=utf-8"), "käse".as_bytes()),
    ("DELETE", "/it", None, b""),
    ("POST", "/", Some("application/cloudevents+json"), br#"{"specversion": "1.0"}"#),
    TYPELESS,
    ICON,
    ROBOTS,
];

const TYPELESS: Sent = ("POST", "/typeless", None, b"typeless");
const ICON: Sent = ("GET", "/favicon.ico", None, b"");
const ROBOTS: Sent = ("GET", "/robots.txt", None, b"");

/// Deviations of the framework.
const DEVIATIONS: &[(Sent, &str)] = &[
    (TYPELESS, "It passes no content without a content type."),
    (ICON, "It answers 404 itself; an isobar app has its own routes."),
    (ROBOTS, "It answers 404 itself, as for the icon."),
];

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap());
    (StatusCode::from_u16(218).unwrap(), Json(request_json(method.as_str(), &uri, kind, &body)))
}

fn request_json(method: &str, uri: &Uri, kind: Option<&str>, body: &[u8]) -> Value {
    let url = uri.path_and_query().unwrap().as_str();
    json!({"method": method, "url": url, "type": kind, "body": BASE64_STANDARD.encode(body)})
}

fn request(url: &str, (method, path, kind, body): Sent) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("{url}{path}"));
    let request = kind.iter().fold(request, |request, kind| request.header("content-type", *kind));
    request.body(Body::from(body)).unwrap()
}

pub(super) async fn same(framework: &Arc<Framework>) -> TrialResult {
    let service = isobar_service::service(&[("FUNCTION_SIGNATURE_TYPE", "http"), ("FUNCTION_TARGET", "echo")], |_| {
        App::new("echo").http(Router::new().fallback(echo))
    })?;
    let url = framework.endpoint("http")?;
    let isobar_response = async |sent| {
        let (parts, body) = service.handle(request("", sent)).await.into_parts();
        (parts.status.as_u16(), body.collect().await.unwrap().to_bytes().to_vec())
    };
    for &sent in REQUESTS {
        let (method, path, kind, body) = sent;
        let expected = (218, request_json(method, &path.parse()?, kind, body));
        let seen =
            |(status, body): (u16, Vec<u8>)| (status, serde_json::from_slice::<Value>(&body).unwrap_or_default());
        assert_eq!(seen(isobar_response(sent).await), expected, "isobar: {method} {path}");
        let framework_response = seen(google_framework::send(request(&url, sent)).await);
        match DEVIATIONS.iter().find(|(of, _)| *of == sent) {
            Some((_, why)) => assert_ne!(framework_response, expected, "{method} {path}: no deviation any more: {why}"),
            None => assert_eq!(framework_response, expected, "framework: {method} {path}"),
        }
    }
    Ok(())
}
