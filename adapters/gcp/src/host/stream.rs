//! Responses that stream: they end at the deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::Response;
use http_body::{Frame, SizeHint};
use isobar_abstraction::{Body, BoxError, Clock, Context, Error, ErrorKind};

/// The response with a body that ends in an error at the deadline, so that its connection is cut and
/// no client takes it for whole.
pub(super) fn until_deadline(response: Response<Body>, cx: &Context, clock: &Arc<dyn Clock>) -> Response<Body> {
    if http_body::Body::size_hint(response.body()).exact().is_some() {
        return response;
    }
    let late = clock.sleep(cx.remaining().unwrap_or_default());
    response.map(|body| Body::new(Bounded { body, late }))
}

struct Bounded {
    body: Body,
    late: BoxFuture<'static, ()>,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // The deadline comes first: a body that always has more would never let it be asked.
        if self.late.poll_unpin(task).is_ready() {
            self.late = std::future::pending().boxed();
            let error = Error::new(ErrorKind::Timeout, "the response did not end before its deadline");
            return Poll::Ready(Some(Err(error.into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(task));
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
