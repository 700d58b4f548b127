//! Answers to the Functions host.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::driver::host::describe;
use isobar_abstraction::{Body, Error};
use isobar_serve::{json_response, status_of};

/// The whole of it, always: of an empty answer, or of `null`, the host waits until the function's timeout.
const DONE: &[u8] = br#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

/// A trigger is done with.
pub(super) fn done() -> Response<Body> {
    json_response(StatusCode::OK, Bytes::from_static(DONE))
}

/// A trigger is not done with. The host reads the status only; the text is for who looks at it by hand,
/// knows the secret, and is told no more than the log.
pub(super) fn refused(error: &Error) -> Response<Body> {
    tracing::error!(?error, "the invocation failed");
    json_response(status_of(error), describe(error))
}
