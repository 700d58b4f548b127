//! The body of a streamed response.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use isobar_abstraction::Error;
use tokio::time::{Instant, Sleep, sleep};

use crate::failure::{Limit, Target};

/// The body of a streamed response. Errors: `Timeout` where a part is not received in time, `Unavailable`
/// where the body ends early.
#[derive(Debug)]
pub struct StreamBody {
    body: Incoming,
    target: Target,
    part_timeout: Duration,
    end: Option<Instant>,
    waiting: Pin<Box<Sleep>>,
}

impl StreamBody {
    /// `part_timeout` is the longest wait for each part, `left` the time until the deadline of the invocation.
    pub(crate) fn new(body: Incoming, target: Target, part_timeout: Duration, left: Option<Duration>) -> Self {
        let end = left.and_then(|left| Instant::now().checked_add(left));
        let waiting = Box::pin(sleep(Limit::new(part_timeout, left).time));
        Self { body, target, part_timeout, end, waiting }
    }

    fn limit(&self) -> Limit {
        Limit::new(self.part_timeout, self.end.map(|end| end.saturating_duration_since(Instant::now())))
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let wait = Instant::now().checked_add(self.limit().time);
            if let Some(until) = wait {
                self.waiting.as_mut().reset(until);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| self.target.interrupted(error).error)));
        }
        if self.waiting.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(self.target.late(self.limit(), true).error)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
