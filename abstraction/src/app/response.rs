//! The checks of an app's response, the same on every host: a response that one server cannot send is an error on all.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use axum_core::response::Response;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;

use super::rejection::listed;
use crate::profile::Limits;
use crate::{Body, BoxError, Error, ErrorKind};

/// Returns the response in a form that each host can send: without headers of a connection, and without a body if HTTP
/// has none for this status or method. A body of unknown length ends with an error after the limit or the stated length.
///
/// Errors, before a byte is sent: `TooLarge` past the limit; `Internal` for a status 1xx, and for a `content-length`
/// that is not a number, or not the length of the body.
pub(super) fn checked(mut response: Response, method: &Method, limits: &Limits) -> Result<Response, Error> {
    let status = response.status();
    if status.is_informational() {
        return Err(Error::internal(format!(
            "an app cannot respond with the status {status}; respond with a status from 200"
        )));
    }
    drop_hop_by_hop(response.headers_mut());
    let stated = stated_length(response.headers_mut())?;
    if has_no_body(status) {
        return Ok(without_body(response));
    }
    let (size, limit) = (response.body().size_hint(), limits.response_bytes);
    let known = size.lower().max(stated.unwrap_or_default());
    if known > limit {
        return Err(Error::too_large("the response body", known, limit));
    }
    if *method == Method::HEAD {
        return Ok(without_body(response));
    }
    match (stated, size.exact()) {
        (Some(stated), Some(exact)) if stated != exact => {
            let message =
                format!("the header content-length is {stated}, and the body has {exact} bytes; remove the header");
            Err(Error::internal(message))
        }
        (_, Some(_)) => Ok(response),
        (_, None) => {
            Ok(response.map(|body| Body::new(Streamed { body, left: stated.unwrap_or(limit), stated, limit })))
        }
    }
}

/// Is it a header of one connection, which the server of that connection sets
/// ([RFC 9110, 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1))?
fn is_hop_by_hop(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade")
        || name.starts_with("proxy-")
}

/// Removes the headers of the connection, and those that the header `connection` names.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named = listed(headers, CONNECTION).filter_map(|name| name.parse().ok());
    let all: Vec<HeaderName> = named.chain(headers.keys().filter(|name| is_hop_by_hop(name)).cloned()).collect();
    for name in all {
        headers.remove(name);
    }
}

/// The value of `content-length`. Repeated equal values become one.
fn stated_length(headers: &mut HeaderMap) -> Result<Option<u64>, Error> {
    let read = |value: &HeaderValue| {
        let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        text.parse::<u64>().ok()
    };
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let length = read(first);
    if length.is_none() || !values.all(|value| read(value) == length) {
        return Err(Error::internal("the header content-length is not one number; remove the header"));
    }
    headers.insert(CONTENT_LENGTH, first.clone());
    Ok(length)
}

/// Has a response with this status no body (RFC 9110, 15.3.5, 15.3.6 and 15.4.5)?
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The response without its body, for HEAD and for a status without a body. HEAD and 304 may state the length of the
/// response to GET.
fn without_body(mut response: Response) -> Response {
    let (status, size) = (response.status(), response.body().size_hint().exact());
    if has_no_body(status) && !response.body().is_end_stream() {
        tracing::warn!(
            status = status.as_u16(),
            "a response with this status has no body; the body of the app is dropped"
        );
    }
    match (status, size) {
        (StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT, _) => {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        (StatusCode::NOT_MODIFIED, _) | (_, None | Some(0)) => {}
        (_, Some(size)) => {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert(size.into());
        }
    }
    response.map(|_| Body::empty())
}

/// A body of unknown length, produced while the host sends it.
struct Streamed {
    body: Body,
    left: u64,
    stated: Option<u64>,
    limit: u64,
}

impl Streamed {
    fn overrun(&self, size: u64) -> Error {
        let limit = self.limit;
        if let Some(stated) = self.stated {
            return Error::internal(format!(
                "the response body has more than the {stated} bytes of its content-length"
            ));
        }
        let size = limit - self.left + size;
        let message = format!(
            "the response body is at least {size}, the limit is {limit}; store large content in a bucket and sign a URL"
        );
        Error::new(ErrorKind::TooLarge, message).with_limit(limit)
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(task)).transpose()? else {
            let Some(stated) = this.stated.filter(|_| this.left > 0) else { return Poll::Ready(None) };
            let message = format!("the response body has {} bytes, its content-length is {stated}", stated - this.left);
            this.stated = None;
            return Poll::Ready(Some(Err(Error::internal(message).into())));
        };
        let size = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = this.left.checked_sub(size) else { return Poll::Ready(Some(Err(this.overrun(size).into()))) };
        this.left = left;
        Poll::Ready(Some(Ok(frame)))
    }
}
