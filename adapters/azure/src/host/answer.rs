//! Responses to the Functions host.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::driver::host::describe;
use isobar_abstraction::{Body, Error};
use isobar_serve::{error_status, json_response};

/// The complete object is required: after an empty body, or `null`, the host waits until the function's timeout.
const DONE: &[u8] = br#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

/// The response that completes a trigger.
pub(super) fn done() -> Response<Body> {
    json_response(StatusCode::OK, Bytes::from_static(DONE))
}

/// The response of a failed trigger. The host reads only the status; the body is for a person that knows the secret, and
/// contains no more than the log.
pub(super) fn failed(error: &Error) -> Response<Body> {
    tracing::error!(?error, "the invocation failed");
    json_response(error_status(error), describe(error))
}
