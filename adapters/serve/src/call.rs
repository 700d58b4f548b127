//! Trigger calls over HTTP: reading the request and building the response.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use isobar_abstraction::{Body, Error, ErrorKind, Result};

/// Reads the whole body of a call. Errors: `TooLarge` for more bytes than `limit`, before reading where the length is
/// known; `InvalidInput` for an interrupted body.
pub async fn read_body(body: Body, limit: u64) -> Result<Bytes> {
    let known = body.size_hint().lower();
    if known > limit {
        return Err(Error::too_large("the call", known, limit));
    }
    let read = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).collect().await;
    let read = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => Error::new(ErrorKind::TooLarge, format!("the call is larger than {limit} bytes")).with_limit(limit),
        false => Error::invalid_input("the body of the call was interrupted").with_source(error),
    });
    Ok(read?.to_bytes())
}

/// A response with a body of JSON.
pub fn json_response(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The status for a call that failed: 400, 404, 413 or 500.
pub fn error_status(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_is_too_large_is_rejected_with_or_without_a_length() {
        let unknown = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("abc"), Ok("de")]));
        for body in [Body::from("abcde"), unknown] {
            let error = read_body(body, 4).await.unwrap_err();
            assert_eq!((error.kind(), error_status(&error).as_u16()), (ErrorKind::TooLarge, 413));
        }
        assert_eq!(read_body(Body::from("abcd"), 4).await.unwrap(), "abcd");
    }
}
