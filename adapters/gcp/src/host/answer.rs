//! Answers to who calls triggers.

use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use isobar_abstraction::Body;
use isobar_abstraction::driver::host::describe;
use isobar_serve::json_response;

use crate::event::Refused;

/// An event is done with. 204 is what all of Pub/Sub, Eventarc, Cloud Scheduler and their emulators take for that.
pub(super) fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
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
