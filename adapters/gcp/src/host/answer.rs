//! Answers to who calls triggers.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use isobar_abstraction::{Body, Error, ErrorKind, Result};
use serde_json::json;

use crate::event::Refused;
use crate::profile::PROFILE;

/// The largest call: what Cloud Run takes over HTTP/1.1.
/// <https://docs.cloud.google.com/run/quotas#cloud_run_limits>
pub(super) const LARGEST: u64 = PROFILE.limits.request_bytes;

/// An event is done with. 204 is what all of Pub/Sub, Eventarc, Cloud Scheduler and their emulators take for that.
pub(super) fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(super) fn json_response(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An event is not done with. Google reads the status only; the text is for who looks at it by hand.
pub(super) fn refused(Refused { status, error }: &Refused) -> Response<Body> {
    match status.is_server_error() {
        true => tracing::error!(?error, "the event failed"),
        false => tracing::warn!(status = status.as_u16(), error = %error, "a call of a trigger is refused"),
    }
    let mut response = json_response(*status, describe(error));
    // What RFC 9110 wants beside these.
    match *status {
        StatusCode::UNAUTHORIZED => {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}

/// What a caller is told of an error: its kind and its text, without its sources.
pub(super) fn describe(error: &Error) -> String {
    json!({"errorType": error.kind().name(), "errorMessage": error.to_string()}).to_string()
}

/// Reads a call. Errors: `TooLarge`; `InvalidInput` where it breaks off.
pub(super) async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes> {
    let told = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(size) = told.filter(|size| *size > LARGEST) {
        return Err(Error::too_large("the call", size, LARGEST));
    }
    let most = usize::try_from(LARGEST).unwrap_or(usize::MAX);
    let read = Limited::new(body, most).collect().await;
    let read = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => Error::new(ErrorKind::TooLarge { limit: LARGEST }, format!("the call is larger than {LARGEST} bytes")),
        false => Error::invalid("the call broke off").with_source(error),
    });
    Ok(read?.to_bytes())
}
