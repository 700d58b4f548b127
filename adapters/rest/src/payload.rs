//! The body of a request as it goes out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::PutPayload;

/// The body of a request: pieces that are sent one after the other, and not copied.
#[derive(Debug, Clone)]
pub(crate) struct RequestBody {
    payload: PutPayload,
    /// The piece that comes next.
    next: usize,
    /// Bytes that are left.
    left: usize,
}

impl From<PutPayload> for RequestBody {
    fn from(payload: PutPayload) -> Self {
        let left = payload.content_length();
        Self { payload, next: 0, left }
    }
}

impl RequestBody {
    /// The bytes of the whole, as long as nothing was sent.
    pub(crate) fn content_length(&self) -> usize {
        self.left
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = self.payload.as_ref().iter().enumerate().skip(self.next);
        // An empty piece would end a body that is sent in chunks.
        let Some((place, piece)) = rest.into_iter().find(|(_, piece)| !piece.is_empty()) else {
            return Poll::Ready(None);
        };
        let piece = piece.clone();
        (self.next, self.left) = (place + 1, self.left - piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
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
    async fn all_pieces_are_sent_in_their_order_and_no_empty_one() {
        let pieces = ["", "ab", "", "c", ""].map(Bytes::from);
        let mut body = RequestBody::from(pieces.into_iter().collect::<PutPayload>());
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
