//! A body that the host is still sending: it ends at the deadline of its invocation, and is logged where
//! it breaks off.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http_body::{Body as _, Frame, SizeHint};
use tracing::Span;

use crate::outcome::chain;
use crate::{Body, BoxError, Context, Error, ErrorKind};

/// The body, ending in an error at the deadline, so that its connection is cut and no client takes it
/// for whole.
pub(super) fn until_deadline(body: Body, cx: Context, span: Span) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(Streamed { body, cx, span, late: None, began: false })
}

struct Streamed {
    body: Body,
    cx: Context,
    span: Span,
    began: bool,
    late: Option<BoxFuture<'static, ()>>,
}

impl Streamed {
    /// Most bodies are ready at once, and need no timer: the deadline is looked at from the second poll on.
    fn is_late(&mut self, task: &mut TaskContext<'_>) -> bool {
        if !std::mem::replace(&mut self.began, true) || self.body.is_end_stream() {
            return false;
        }
        let Some(left) = self.cx.remaining() else { return false };
        let late = self.late.get_or_insert_with(|| self.cx.sleep(left));
        late.poll_unpin(task).is_ready()
    }

    fn cut(&mut self, error: BoxError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        tracing::error!(error = chain(error.as_ref()), "the response was cut");
        // Its client sees that it is cut, and whatever polls it again that it has ended.
        self.body = Body::empty();
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
        // The deadline comes first: a body that always has more would never let it be asked.
        if this.is_late(task) {
            (this.began, this.late) = (false, None);
            return this.cut(Error::new(ErrorKind::Timeout, "the response did not end before its deadline").into());
        }
        match ready!(Pin::new(&mut this.body).poll_frame(task)) {
            Some(Err(error)) => this.cut(error.into_inner()),
            frame => Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
