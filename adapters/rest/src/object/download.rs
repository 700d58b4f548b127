//! The content of an object as a stream, which resumes after an interruption.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use http_body_util::BodyExt;
use isobar_abstraction::{Error, ErrorKind};
use object_store::{GetOptions, GetRange, ObjectMeta, Result};

use super::ObjectRequests;
use crate::StreamBody;

/// A download in progress.
pub(super) struct Download<R> {
    requests: Arc<R>,
    meta: ObjectMeta,
    body: StreamBody,
    left: Range<u64>,
    /// Retries since the last byte received.
    retries: u32,
}

impl<R: ObjectRequests> Download<R> {
    /// A download of `range`, the bytes that the body contains.
    pub(super) fn new(requests: Arc<R>, meta: ObjectMeta, body: StreamBody, range: Range<u64>) -> Self {
        Self { requests, meta, body, left: range, retries: 0 }
    }

    /// The content as a stream of parts.
    pub(super) fn stream(self) -> BoxStream<'static, Result<Bytes>> {
        try_unfold(self, |mut download| async move {
            let part = download.next().await?;
            Ok(part.map(|part| (part, download)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let error_of_body = match self.body.frame().await {
                // The download is complete: an error after the last byte has no effect.
                None | Some(Err(_)) if self.left.is_empty() => return Ok(None),
                None => unavailable(format!("{} ended the response before the end of the object", R::SERVICE)),
                Some(Err(error)) => error,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(part) if part.len() as u64 > self.left.end - self.left.start => {
                        return Err(Error::internal(format!(
                            "{} sent more bytes than the size of the object",
                            R::SERVICE
                        ))
                        .into());
                    }
                    Ok(part) if !part.is_empty() => {
                        self.left.start += part.len() as u64;
                        self.retries = 0;
                        return Ok(Some(part));
                    }
                    _ => continue,
                },
            };
            let Some(rest) = rest(&self.meta, &self.left) else { return Err(error_of_body.into()) };
            self.retries += 1;
            if !self.requests.client().pause(self.retries).await {
                return Err(error_of_body.into());
            }
            self.resume(&rest).await?;
        }
    }

    async fn resume(&mut self, rest: &GetOptions) -> Result<()> {
        let (response, body) = self.requests.open(&self.meta.location, rest).await?.into_parts();
        let found = self.requests.describe(&self.meta.location, &response)?;
        let (was, is) = (&self.meta, &found.meta);
        if (&is.e_tag, &is.version, is.size) != (&was.e_tag, &was.version, was.size) {
            return Err(Error::conflict("the object was overwritten while it was read: read it again").into());
        }
        if found.range != self.left {
            return Err(unavailable(format!("{} resumed the object at another byte than requested", R::SERVICE)).into());
        }
        self.body = body;
        Ok(())
    }
}

/// The options to resume in the same version; `None` where neither an ETag nor a version identifies it.
fn rest(meta: &ObjectMeta, left: &Range<u64>) -> Option<GetOptions> {
    // A weak ETag does not identify each byte, and never matches in `If-Match`.
    let if_match = meta.e_tag.clone().filter(|e_tag| !e_tag.starts_with("W/"));
    let (range, version) = (Some(GetRange::Bounded(left.clone())), meta.version.clone());
    (if_match.is_some() || version.is_some()).then(|| GetOptions { if_match, version, range, ..GetOptions::default() })
}

fn unavailable(message: String) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}
