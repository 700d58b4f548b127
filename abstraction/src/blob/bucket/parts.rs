//! The parts of a write from a stream.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use object_store::{MultipartUpload, PutResult};

use crate::{BoxError, Error, ErrorKind, Origin, Result};

/// The size of the first parts of a multipart write. S3 wants at least 5 MiB for all but the last.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;

/// The most parts that S3 takes.
const MOST_PARTS: usize = 10_000;

/// The size of a part, counted from 0: it grows, so that 10,000 parts hold 430 GiB and not 78 GiB.
fn part_bytes(number: usize) -> usize {
    PART_BYTES * (1 + number.min(MOST_PARTS - 1) / 1_000)
}

/// The bytes of all parts: `part_bytes` of 0 to 9,999.
const LARGEST_STREAM: u64 = PART_BYTES as u64 * 1_000 * 55;

/// Cuts a stream into parts of [`part_bytes`], however its own pieces lie.
#[derive(Default)]
pub(super) struct Parts {
    rest: BytesMut,
    cut: usize,
}

impl Parts {
    /// The next part: of full size, or shorter at the end of the stream.
    pub(super) async fn next<B, E>(&mut self, content: &mut (impl Stream<Item = Result<B, E>> + Unpin)) -> Result<Bytes>
    where
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let size = part_bytes(self.cut);
        self.cut += 1;
        while self.rest.len() < size {
            match content.next().await {
                Some(Ok(piece)) => self.rest.extend_from_slice(&piece.into()),
                Some(Err(error)) => {
                    // What a client sends is a 400 then, and what a handler of messages reads is tried again.
                    let unread = "the content could not be read; nothing was written";
                    let error = Error::own(error, || Error::invalid_input(unread).with_origin(Origin::Data));
                    return Err(error.with_origin(Origin::App));
                }
                None => return Ok(self.rest.split().freeze()),
            }
        }
        Ok(self.rest.split_to(size).freeze())
    }
}

pub(super) async fn send_parts<B, E>(
    upload: &mut dyn MultipartUpload,
    first: Bytes,
    mut parts: Parts,
    mut content: impl Stream<Item = Result<B, E>> + Unpin,
) -> Result<PutResult>
where
    B: Into<Bytes>,
    E: Into<BoxError>,
{
    let mut part = first;
    while !part.is_empty() {
        if parts.cut > MOST_PARTS {
            let error = Error::new(ErrorKind::TooLarge, "the stream has more than 430 GiB").with_limit(LARGEST_STREAM);
            return Err(error.with_origin(Origin::Request));
        }
        upload.put_part(part.into()).await?;
        part = parts.next(&mut content).await?;
    }
    Ok(upload.complete().await?)
}

#[cfg(test)]
mod tests {
    use object_store::PutPayload;

    use super::*;

    #[test]
    fn ten_thousand_parts_hold_the_largest_stream() {
        assert_eq!((0..MOST_PARTS).map(|number| part_bytes(number) as u64).sum::<u64>(), LARGEST_STREAM);
        assert_eq!((part_bytes(0), part_bytes(usize::MAX)), (PART_BYTES, 10 * PART_BYTES));
    }

    #[tokio::test]
    async fn a_stream_of_more_parts_than_a_service_takes_is_too_large() {
        #[derive(Debug)]
        struct Sink;
        #[async_trait::async_trait]
        impl MultipartUpload for Sink {
            fn put_part(&mut self, _: PutPayload) -> object_store::UploadPart {
                Box::pin(async { Ok(()) })
            }
            async fn complete(&mut self) -> object_store::Result<PutResult> {
                Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
            }
            async fn abort(&mut self) -> object_store::Result<()> {
                Ok(())
            }
        }
        let content = || futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x"))]);
        let parts = |cut| Parts { cut, ..Parts::default() };
        let first = Bytes::from_static(b"first");
        send_parts(&mut Sink, first.clone(), parts(MOST_PARTS - 1), content()).await.unwrap();
        let error = send_parts(&mut Sink, first, parts(MOST_PARTS), content()).await.unwrap_err();
        assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(LARGEST_STREAM)));
    }
}
