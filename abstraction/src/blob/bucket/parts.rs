//! The parts of a write from a stream.
//!
//! Parts grow with their number: S3 accepts at most 10,000 parts of at least 5 MiB
//! ([limits](https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)), and a small first part uses less memory.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use object_store::{MultipartUpload, PutResult};

use crate::{BoxError, Error, ErrorKind, Origin, Result};

/// The size of the first 1,000 parts. S3 requires at least 5 MiB for all but the last.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;

/// The largest number of parts of S3.
const MOST_PARTS: usize = 10_000;

/// The size of a part by its number, starting at 0. It grows, so that 10,000 parts have 430 GiB and not 78 GiB.
fn part_bytes(number: usize) -> usize {
    PART_BYTES * (1 + number.min(MOST_PARTS - 1) / 1_000)
}

/// The size of all parts together: the sum of `part_bytes` of 0 to 9,999.
const LARGEST_STREAM: u64 = PART_BYTES as u64 * 1_000 * 55;

/// Divides a stream into parts of [`part_bytes`], independent of its pieces.
#[derive(Default)]
pub(super) struct Parts {
    rest: BytesMut,
    cut: usize,
}

impl Parts {
    /// The next part: of full size, or shorter at the end of the stream, where it can be empty.
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
                    // `Data` makes a 400 of the body of a client, and another attempt in a handler of messages.
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
            let error = Error::new(ErrorKind::TooLarge, "the stream is larger than 430 GiB").with_limit(LARGEST_STREAM);
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
    fn ten_thousand_parts_have_the_size_of_the_largest_stream() {
        assert_eq!((0..MOST_PARTS).map(|number| part_bytes(number) as u64).sum::<u64>(), LARGEST_STREAM);
        assert_eq!((part_bytes(0), part_bytes(usize::MAX)), (PART_BYTES, 10 * PART_BYTES));
    }

    #[tokio::test]
    async fn a_stream_of_more_than_ten_thousand_parts_is_too_large() {
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
