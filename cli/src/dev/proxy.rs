//! The reverse proxy: it changes nothing in a request or a response but what is of one connection only.

use std::error::Error as _;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper_util::client::legacy;
use isobar::Body;
use isobar::axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use isobar::axum::http::uri::{Authority, Scheme};
use isobar::axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};

use super::child::Addresses;
use super::gate::{Gate, Upstream};

/// The headers of one connection, with those that `Connection` lists
/// ([RFC 9110, 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)).
const OF_CONNECTION: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// One of the two ports.
#[derive(Debug, Clone, Copy)]
pub(super) enum Port {
    App,
    Inspector,
}

impl Port {
    fn of(self, addresses: &Addresses) -> String {
        match self {
            Self::App => addresses.app.to_string(),
            Self::Inspector => addresses.inspector.to_string(),
        }
    }
}

/// Sends a request to the child, as soon as there is one, and returns its response.
pub(super) async fn answer(gate: Arc<Gate>, port: Port, request: Request<Body>) -> Response<Body> {
    let upstream = match gate.upstream().await {
        Ok(upstream) => upstream,
        Err(reason) => return text(StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    match send(&upstream, port, request).await {
        // A stream of events has no end for which a reload could wait.
        Ok(response) if is_event_stream(response.headers()) => response,
        Ok(response) => response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                // Until the last frame the child must not be stopped.
                let _in_use = &upstream;
                frame
            }))
        }),
        Err(error) if is_of_body(&error) => {
            text(StatusCode::BAD_REQUEST, "the body of the request is malformed".to_owned())
        }
        Err(_) => {
            let what = if gate.has_replaced(&upstream) { "was restarted" } else { "ended the connection" };
            text(StatusCode::BAD_GATEWAY, format!("the app {what} before it had answered"))
        }
    }
}

async fn send(upstream: &Upstream, port: Port, request: Request<Body>) -> Result<Response<Body>, legacy::Error> {
    let authority = port.of(&upstream.addresses);
    let mut response = upstream.client.request(for_child(request, &authority)).await?.map(Body::new);
    remove_of_connection(response.headers_mut());
    Ok(response)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether the client's part of a request failed, not that of the child.
fn is_of_body(error: &legacy::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<hyper::Error>());
    cause.is_some_and(hyper::Error::is_user)
}

fn for_child(request: Request<Body>, authority: &str) -> Request<Body> {
    let (mut parts, mut body) = request.into_parts();
    // In HTTP/2, and in a request to a proxy, the URI has the host.
    if let Some(host) = parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        parts.headers.insert(HOST, host);
    }
    let upgrade = requests_upgrade(&parts.headers).then(|| parts.headers.remove(UPGRADE)).flatten();
    remove_of_connection(&mut parts.headers);
    if let Some(upgrade) = upgrade {
        parts.headers.insert(UPGRADE, upgrade);
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if parts.method == Method::CONNECT {
        // A tunnel, whose body would be its other end.
        body = Body::empty();
    }
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    (uri.scheme, uri.authority) = (Some(Scheme::HTTP), authority.parse::<Authority>().ok());
    uri.path_and_query = uri.path_and_query.or_else(|| "/".parse().ok());
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    Request::from_parts(parts, body)
}

fn requests_upgrade(headers: &HeaderMap) -> bool {
    listed(headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

fn listed(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',').map(str::trim))
}

fn remove_of_connection(headers: &mut HeaderMap) {
    // A client that lists `host` does not make it a header of the connection.
    let listed: Vec<HeaderName> = listed(headers).filter_map(|name| name.parse().ok()).collect();
    for name in listed.iter().filter(|name| **name != HOST).chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

fn text(status: StatusCode, mut text: String) -> Response<Body> {
    text.truncate(text.trim_end().len());
    let mut response = Response::new(Body::from(format!("isobar dev: {text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
