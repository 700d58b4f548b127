//! Responses to calls of triggers.

use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use isobar_abstraction::Body;
use isobar_abstraction::driver::host::describe;
use isobar_serve::json_response;

use crate::event::Rejection;

/// The event is settled. Pub/Sub, Eventarc, Cloud Scheduler and their emulators all accept 204.
pub(super) fn settled() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The event is not settled. Google reads only the status; the text is for a user that calls by hand.
pub(super) fn rejected(Rejection { status, error }: &Rejection) -> Response<Body> {
    match status.is_server_error() {
        true => tracing::error!(?error, "the event failed"),
        false => tracing::warn!(status = status.as_u16(), error = %error, "a call of a trigger is rejected"),
    }
    let mut response = json_response(*status, describe(error));
    // Headers that RFC 9110 requires with these statuses.
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
