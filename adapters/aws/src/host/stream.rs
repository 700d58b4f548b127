//! Responses that stream: what a Function URL takes, and what becomes of a body that breaks off.

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

use crate::event::Answer;

/// What stands between the metadata of a response and its body.
const DELIMITER: [u8; 8] = [0; 8];

/// The trailers of a response that broke off. Source: "Building a custom runtime for AWS Lambda",
/// response streaming.
pub(super) const TRAILERS: [&str; 2] = ["lambda-runtime-function-error-type", "lambda-runtime-function-error-body"];

/// A response on its way to Lambda: metadata, delimiter, body; and trailers if the body breaks off,
/// so that the client sees a broken answer and no short one.
pub(super) struct Wire {
    head: Option<Bytes>,
    body: Option<Body>,
}

impl Wire {
    /// Errors: none but a fault of `serde_json`.
    pub(super) fn new(response: Response<Body>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let prelude = Answer::OneAndCookies.prelude(&parts)?;
        Ok(Self { head: Some([&prelude, &DELIMITER[..]].concat().into()), body: Some(body) })
    }
}

impl http_body::Body for Wire {
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
        // The end, or trailers of the app's own, behind which nothing comes.
        self.body = None;
        let Some(Err(error)) = data else { return Poll::Ready(None) };
        let error = Error::internal("the response's body broke off").with_source(error);
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&error)))))
    }
}

fn trailers(error: &Error) -> HeaderMap {
    let body = BASE64_STANDARD.encode(describe(error));
    let values = [error.kind().name().to_owned(), body];
    let pairs = TRAILERS.into_iter().zip(values);
    pairs.filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::try_from(value).ok()?))).collect()
}
