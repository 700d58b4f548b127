//! The guard of the inspector: the requests of this machine that have the token.
//!
//! A page cannot send a header with each of its files, so the token is also the first part of a path: all links of the
//! dashboard are relative, and no file contains it.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use isobar_abstraction::ErrorKind;
use isobar_serve::check_loopback;
use serde_json::json;

use super::Inspector;
use crate::config::Token;

/// Bodies that the endpoints read at most; the app's own limits are smaller. An object is a stream without this limit.
pub(super) const LARGEST: usize = 16 * 1024 * 1024;

/// In a request whose path had the token.
#[derive(Clone)]
struct InPath;

/// Removes the token from the beginning of a path, before the request is routed.
pub(in crate::host) fn admit(token: &Token, mut request: Request<Body>) -> Request<Body> {
    let path = request.uri().path();
    let Some((first, _)) = path[1.min(path.len())..].split_once('/').filter(|(first, _)| token.is(first.as_bytes()))
    else {
        return request;
    };
    let whole = request.uri().path_and_query().map_or(path, PathAndQuery::as_str);
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = whole[first.len() + 1..].parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(InPath);
    }
    request
}

/// Accepts tools of this machine, and the dashboard.
pub(super) async fn guard(State(inspector): State<Arc<Inspector>>, request: Request<Body>, next: Next) -> Response {
    let mut response = if let Err(why) = check_loopback(request.uri(), request.headers()) {
        (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
    } else if request.extensions().get::<InPath>().is_some() {
        with_json(next.run(request).await).await
    } else if !inspector.token.is_in(&request) {
        let help = "add `?token=` and the token of this start to the address: the file inspector.json in the data folder has \
                    it, and the app prints it to a terminal. A tool can send it as `Authorization: Bearer`\n";
        (StatusCode::UNAUTHORIZED, help).into_response()
    } else if request.uri().path() == "/" && accepts_page(request.headers()) {
        Redirect::to(&format!("/{}/", inspector.token.secret())).into_response()
    } else {
        with_json(next.run(request).await).await
    };
    // The URL contains the token, and the responses are not cacheable.
    for (name, value) in
        [(REFERRER_POLICY, "no-referrer"), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An error of the router, which is text, in the form of all other errors.
async fn with_json(response: Response) -> Response {
    let (status, kind) = (response.status(), response.headers().get(CONTENT_TYPE));
    let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = to_bytes(response.into_body(), LONGEST).await.unwrap_or_default();
    let message = match (status, String::from_utf8_lossy(&text).trim()) {
        (StatusCode::PAYLOAD_TOO_LARGE, _) => format!("the body has more than {LARGEST} bytes"),
        (_, "") => status.canonical_reason().unwrap_or_default().to_lowercase(),
        (_, text) => text.to_owned(),
    };
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        _ => ErrorKind::InvalidInput,
    };
    (status, Json(json!({"error": kind.name(), "message": message, "detail": message}))).into_response()
}

/// The most bytes of such an error.
const LONGEST: usize = 10_000;

/// Whether a browser opens a page: tools accept JSON, or anything.
pub(super) fn accepts_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}
