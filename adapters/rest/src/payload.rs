//! The body of an outgoing request.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::PutPayload;

/// The body of a request: parts that are sent in order, without a copy.
#[derive(Debug, Clone)]
pub(crate) struct RequestBody {
    payload: PutPayload,
    /// The index of the next part.
    next: usize,
    /// The bytes that are not sent yet.
    left: usize,
}

impl From<PutPayload> for RequestBody {
    fn from(payload: PutPayload) -> Self {
        let left = payload.content_length();
        Self { payload, next: 0, left }
    }
}

impl RequestBody {
    /// The size of the body, before it is sent.
    pub(crate) fn content_length(&self) -> usize {
        self.left
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = self.payload.as_ref().iter().enumerate().skip(self.next);
        // An empty part would end a chunked body.
        let Some((place, part)) = rest.into_iter().find(|(_, part)| !part.is_empty()) else {
            return Poll::Ready(None);
        };
        let part = part.clone();
        (self.next, self.left) = (place + 1, self.left - part.len());
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn all_parts_are_sent_in_order_except_empty_ones() {
        let parts = ["", "ab", "", "c", ""].map(Bytes::from);
        let mut body = RequestBody::from(parts.into_iter().collect::<PutPayload>());
        let mut sent = Vec::new();
        for left in [3, 1] {
            assert!(!body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some(left));
            sent.push(body.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(sent, ["ab", "c"]);
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }
}
