//! Streamed responses of Function URLs, and the trailers of a response whose body fails.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use isobar_abstraction::driver::host::describe;
use isobar_abstraction::{Body, Error, Result};

use crate::event::ResponseFormat;

/// Separates the metadata of a response from its body.
const DELIMITER: [u8; 8] = [0; 8];

/// The trailers of a response whose body failed. Source: "Building a custom runtime for AWS Lambda",
/// response streaming.
pub(super) const TRAILERS: [&str; 2] = ["lambda-runtime-function-error-type", "lambda-runtime-function-error-body"];

/// The body of a streamed response to Lambda: metadata, delimiter and body, and trailers if the body fails,
/// so that the client detects an incomplete response.
pub(super) struct StreamedResponse {
    head: Option<Bytes>,
    body: Option<Body>,
}

impl StreamedResponse {
    /// Encodes the metadata. Errors: only those of `serde_json`.
    pub(super) fn new(response: Response<Body>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let prelude = ResponseFormat::SingleValueWithCookies.prelude(&parts)?;
        Ok(Self { head: Some([&prelude, &DELIMITER[..]].concat().into()), body: Some(body) })
    }
}

impl http_body::Body for StreamedResponse {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(task));
        let data = frame.map(|frame| frame.map(Frame::into_data));
        if let Some(Ok(Ok(data))) = data {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        // The end, or the app's trailers, which are the last frame.
        self.body = None;
        let Some(Err(error)) = data else { return Poll::Ready(None) };
        let error = Error::internal("the body of the response failed before its end").with_source(error);
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&error)))))
    }
}

fn trailers(error: &Error) -> HeaderMap {
    let body = BASE64_STANDARD.encode(describe(error));
    let values = [error.kind().name().to_owned(), body];
    let pairs = TRAILERS.into_iter().zip(values);
    pairs.filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::try_from(value).ok()?))).collect()
}
