//! An object's content as it comes, from where it broke off if it does.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use http::header::{IF_MATCH, RANGE};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::StreamBody;
use object_store::ObjectMeta;

use super::headers;
use super::requests::S3Requests;

/// What is left of a download.
pub(super) struct Download {
    requests: S3Requests,
    meta: ObjectMeta,
    body: StreamBody,
    left: Range<u64>,
    /// Since the last byte that came.
    retries: u32,
}

impl Download {
    /// `range` is what the body holds.
    pub(super) fn new(requests: S3Requests, meta: ObjectMeta, body: StreamBody, range: Range<u64>) -> Self {
        Self { requests, meta, body, left: range, retries: 0 }
    }

    /// The content, in pieces as they come. Errors: `Unavailable` and `Timeout` once there is no use in
    /// another try; `Conflict` where the object has changed meanwhile.
    pub(super) fn stream(self) -> BoxStream<'static, object_store::Result<Bytes>> {
        try_unfold(self, |mut download| async move {
            let piece = download.next().await?;
            Ok(piece.map(|piece| (piece, download)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let broken = match self.body.frame().await {
                // All is there, whatever comes behind it.
                None | Some(Err(_)) if self.left.is_empty() => return Ok(None),
                None => Error::new(ErrorKind::Unavailable, "S3 ended the object before its end"),
                Some(Err(error)) => error,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if piece.len() as u64 > self.left.end - self.left.start => {
                        return Err(Error::internal("S3 sent more than the object's size"));
                    }
                    Ok(piece) if !piece.is_empty() => {
                        self.left.start += piece.len() as u64;
                        self.retries = 0;
                        return Ok(Some(piece));
                    }
                    _ => continue,
                },
            };
            self.retries += 1;
            if !self.requests.client().pause(self.retries).await {
                return Err(broken);
            }
            self.resume().await?;
        }
    }

    async fn resume(&mut self) -> Result<()> {
        let mut request = self.requests.request(Method::GET, &self.meta.location, self.meta.version.as_deref());
        if let Some(e_tag) = &self.meta.e_tag {
            request = request.header(IF_MATCH, e_tag);
        }
        let range = format!("bytes={}-{}", self.left.start, self.left.end.saturating_sub(1));
        let answer = self.requests.get(request.header(RANGE, range)).await?;
        let (_, range) = headers::object(&self.meta.location, &answer)?;
        if answer.status() != StatusCode::PARTIAL_CONTENT || range != self.left {
            return Err(Error::new(ErrorKind::Unavailable, "S3 does not go on where the object broke off"));
        }
        self.body = answer.into_body();
        Ok(())
    }
}
