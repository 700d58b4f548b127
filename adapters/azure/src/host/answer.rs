//! Answers to the Functions host.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use isobar_abstraction::{Body, Error, ErrorKind, Result};
use serde_json::json;

use crate::profile::PROFILE;

/// A call of more than this the platform does not send: 100 MB.
/// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits>
pub(super) const LARGEST: u64 = PROFILE.limits.request_bytes;

/// The whole of it, always: of an empty answer, or of `null`, the host waits until the function's timeout.
const DONE: &[u8] = br#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

/// A trigger is done with.
pub(super) fn done() -> Response<Body> {
    json_response(StatusCode::OK, Bytes::from_static(DONE))
}

pub(super) fn json_response(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A trigger is not done with. The host reads the status only; the text is for who looks at it by hand,
/// knows the secret, and is told no more than the log.
pub(super) fn refused(error: &Error) -> Response<Body> {
    tracing::error!(?error, "the invocation failed");
    json_response(status(error), describe(error))
}

pub(super) fn status(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
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
