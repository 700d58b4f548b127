//! Requests that no app sees, on any host, because some platform could not take them there.

use axum_core::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, Method, Request, StatusCode};

use crate::{Body, ErrorKind, Limits};

/// The answer to a request that is refused for its head; `None` for all others.
pub(super) fn refused(request: &Request<Body>, limits: &Limits) -> Option<Response> {
    let headers = request.headers();
    if request.method() == Method::CONNECT || wants_upgrade(headers) {
        let hint = "isobar has no websockets, tunnels or other upgrades of a connection, because not all of its hosts \
                    can serve them; use requests and streamed responses, such as server-sent events";
        tracing::warn!(path = request.uri().path(), "answered 426: {hint}");
        return Some(answer(StatusCode::UPGRADE_REQUIRED, ErrorKind::Unsupported, hint));
    }
    let (count, most) = (headers.len() as u64, limits.request_headers);
    if count > most {
        return Some(too_large(request, format!("the request has {count} headers, the limit is {most}")));
    }
    let (size, most) = (head_bytes(request), limits.request_head_bytes);
    if size > most {
        let told = format!("the target and the headers of the request have {size} bytes together, the limit is {most}");
        return Some(too_large(request, told));
    }
    None
}

/// A client that offers HTTP/2 by `h2c` takes HTTP/1.1 as well, so that the offer is ignored.
fn wants_upgrade(headers: &HeaderMap) -> bool {
    let protocols = headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    let mut protocols = protocols.flat_map(|names| names.split(',')).map(str::trim);
    protocols.any(|name| !name.is_empty() && !name.eq_ignore_ascii_case("h2c"))
}

fn head_bytes(request: &Request<Body>) -> u64 {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.fold(target, usize::saturating_add) as u64
}

fn too_large(request: &Request<Body>, told: String) -> Response {
    // The path may be what is too large.
    let path: String = request.uri().path().chars().take(100).collect();
    tracing::warn!(path, "answered 431: {told}");
    answer(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorKind::InvalidInput, &told)
}

fn answer(status: StatusCode, kind: ErrorKind, detail: &str) -> Response {
    let body = serde_json::json!({"error": kind.name(), "detail": detail}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
