//! A body that ends at the deadline of its invocation. An error of a body that is already being sent is logged here,
//! because no response can report it.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http_body::{Body as _, Frame, SizeHint};
use tracing::Span;

use crate::ambient::Ambient;
use crate::app::caught;
use crate::outcome::chain;
use crate::{Body, BoxError, Context, Error, ErrorKind};

/// The body, which ends with an error at the deadline. So the host cuts the connection, and a client sees that the body is
/// incomplete.
pub(super) fn until_deadline(body: Body, cx: Context, span: Span) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(Streamed::new(body, cx, span, true))
}

/// The body for a host that reads it completely within the deadline and logs its errors.
pub(super) fn whole(body: Body, cx: Context) -> Body {
    Body::new(Streamed::new(body, cx, Span::none(), false))
}

struct Streamed {
    body: Body,
    cx: Context,
    span: Span,
    /// Does the host send each part when it is produced?
    streams: bool,
    began: bool,
    late: Option<BoxFuture<'static, ()>>,
    /// The remaining bytes of a body whose size is known.
    left: Option<u64>,
}

impl Streamed {
    fn new(body: Body, cx: Context, span: Span, streams: bool) -> Self {
        let left = body.size_hint().exact();
        Self { body, cx, span, streams, late: None, began: false, left }
    }

    /// Has the deadline passed? Creates the timer at the first call.
    fn is_late(&mut self, task: &mut TaskContext<'_>) -> bool {
        if !self.streams || self.body.is_end_stream() {
            return false;
        }
        let Some(left) = self.cx.remaining() else { return false };
        let late = self.late.get_or_insert_with(|| self.cx.sleep(left));
        late.poll_unpin(task).is_ready()
    }

    /// Counts a frame. Errors: `Internal` for a body whose size is not its stated length.
    fn count(&mut self, frame: Option<&Frame<Bytes>>) -> Result<(), Error> {
        let Some(left) = &mut self.left else { return Ok(()) };
        let size = frame.and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        match left.checked_sub(size) {
            Some(missing) if frame.is_none() && missing > 0 => {
                self.left = None;
                Err(Error::internal(format!("the response body ended {missing} bytes before its stated length")))
            }
            Some(rest) => {
                *left = rest;
                Ok(())
            }
            None => Err(Error::internal("the response body is longer than its stated length")),
        }
    }

    fn cut_late(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.late = None;
        self.cut(Error::new(ErrorKind::Timeout, "the response did not end before its deadline").into())
    }

    fn cut(&mut self, error: BoxError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.streams {
            tracing::error!(error = chain(error.as_ref()), "the response was cut");
        }
        // The error cuts the connection; a later poll finds the end of the body.
        (self.body, self.left) = (Body::empty(), None);
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let span = this.span.clone();
        let _within = span.enter();
        // The deadline is checked first: after a body that is always ready it would never be checked. Most bodies are
        // ready at their first poll and need no timer: that poll makes one only if the body is pending.
        let is_first = !std::mem::replace(&mut this.began, true);
        if !is_first && this.is_late(task) {
            return this.cut_late();
        }
        let (body, ambient) = (Pin::new(&mut this.body), Ambient::of(&this.cx));
        let polled = caught(ambient, || body.poll_frame(task));
        let polled =
            polled.unwrap_or_else(|panic| Poll::Ready(Some(Err(axum_core::Error::new(Error::internal(panic))))));
        let frame = match polled {
            Poll::Pending if is_first && this.is_late(task) => return this.cut_late(),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Err(error))) => return this.cut(error.into_inner()),
            Poll::Ready(Some(Ok(frame))) => Some(frame),
            Poll::Ready(None) => None,
        };
        match this.count(frame.as_ref()) {
            Ok(()) => Poll::Ready(frame.map(Ok)),
            Err(error) => this.cut(error.into()),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
