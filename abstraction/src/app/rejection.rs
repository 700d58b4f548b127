//! Requests that isobar rejects on every host, because one of the platforms would reject them.
//!
//! The rejection is the same on a laptop and on each cloud: a request that works on one of them works on all.

use axum_core::response::Response;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};

use crate::problem::answer;
use crate::profile::Limits;
use crate::{Body, ErrorKind};

/// The rejection of a request for its method, target or headers; `None` for all others.
pub(super) fn rejection(request: &Request<Body>, limits: &Limits) -> Option<Response> {
    let headers = request.headers();
    if request.method() == Method::CONNECT || requests_upgrade(headers) {
        let hint = "isobar has no WebSockets, tunnels or other upgrades of a connection, because not all of its hosts \
                    can serve them; use requests and streamed responses, such as server-sent events";
        tracing::warn!(path = request.uri().path(), "answered 426: {hint}");
        return Some(answer(StatusCode::UPGRADE_REQUIRED, ErrorKind::Unsupported.name(), hint));
    }
    let (count, most) = (headers.len() as u64, limits.request_headers);
    if count > most {
        return Some(too_large(request, &format!("the request has {count} headers, the limit is {most}")));
    }
    let (size, most) = (head_bytes(request), limits.request_head_bytes);
    if size > most {
        let detail =
            format!("the target and the headers of the request have {size} bytes together, the limit is {most}");
        return Some(too_large(request, &detail));
    }
    None
}

/// Does a client request another protocol? It sends both headers for that
/// ([RFC 9110, 7.8](https://www.rfc-editor.org/rfc/rfc9110#section-7.8)). A client that offers HTTP/2 by `h2c` accepts
/// HTTP/1.1 as well, so the offer is ignored.
fn requests_upgrade(headers: &HeaderMap) -> bool {
    listed(headers, CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
        && listed(headers, UPGRADE).any(|protocol| !protocol.eq_ignore_ascii_case("h2c"))
}

/// The elements of a header that is a list.
pub(super) fn listed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|list| list.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

fn head_bytes(request: &Request<Body>) -> u64 {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.fold(target, usize::saturating_add) as u64
}

fn too_large(request: &Request<Body>, detail: &str) -> Response {
    // The path itself may be too large.
    let path: String = request.uri().path().chars().take(100).collect();
    tracing::warn!(path, "answered 431: {detail}");
    answer(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorKind::InvalidInput.name(), detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_rejected_only_where_the_connection_lists_it() {
        for (connection, upgrade, is_rejected) in [
            ("upgrade", "websocket", true),
            ("keep-alive, Upgrade", "h2c, websocket", true),
            ("upgrade, http2-settings", "h2c", false),
            ("keep-alive", "websocket", false),
            ("", "TLS/1.0", false),
            ("upgrade", " , ", false),
        ] {
            let request = Request::get("/").header(CONNECTION, connection).header(UPGRADE, upgrade);
            let response = rejection(&request.body(Body::empty()).unwrap(), &Limits::PORTABLE);
            let status = response.map(|response| response.status());
            assert_eq!(status, is_rejected.then_some(StatusCode::UPGRADE_REQUIRED), "{connection:?} {upgrade:?}");
        }
    }
}
