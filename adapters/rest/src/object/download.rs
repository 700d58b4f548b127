//! An object's content as it comes, from where it broke off if it does.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use http_body_util::BodyExt;
use isobar_abstraction::{Error, ErrorKind};
use object_store::{GetOptions, GetRange, ObjectMeta, Result};

use super::ObjectRequests;
use crate::StreamBody;

/// What is left of a download.
pub(super) struct Download<R> {
    requests: Arc<R>,
    meta: ObjectMeta,
    body: StreamBody,
    left: Range<u64>,
    /// Since the last byte that came.
    retries: u32,
}

impl<R: ObjectRequests> Download<R> {
    /// `range` is what the body holds.
    pub(super) fn new(requests: Arc<R>, meta: ObjectMeta, body: StreamBody, range: Range<u64>) -> Self {
        Self { requests, meta, body, left: range, retries: 0 }
    }

    /// The content, in pieces as they come.
    pub(super) fn stream(self) -> BoxStream<'static, Result<Bytes>> {
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
                None => unavailable(format!("{} ended the object before its end", R::SERVICE)),
                Some(Err(error)) => error,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if piece.len() as u64 > self.left.end - self.left.start => {
                        return Err(Error::internal(format!("{} sent more than the object's size", R::SERVICE)).into());
                    }
                    Ok(piece) if !piece.is_empty() => {
                        self.left.start += piece.len() as u64;
                        self.retries = 0;
                        return Ok(Some(piece));
                    }
                    _ => continue,
                },
            };
            let Some(rest) = rest(&self.meta, &self.left) else { return Err(broken.into()) };
            self.retries += 1;
            if !self.requests.client().pause(self.retries).await {
                return Err(broken.into());
            }
            self.resume(&rest).await?;
        }
    }

    async fn resume(&mut self, rest: &GetOptions) -> Result<()> {
        let (answer, body) = self.requests.open(&self.meta.location, rest).await?.into_parts();
        let found = self.requests.describe(&self.meta.location, &answer)?;
        let (was, is) = (&self.meta, &found.meta);
        if (&is.e_tag, &is.version, is.size) != (&was.e_tag, &was.version, was.size) {
            return Err(Error::conflict("the object was written anew while it was read: read it again").into());
        }
        if found.range != self.left {
            return Err(unavailable(format!("{} does not go on where the object broke off", R::SERVICE)).into());
        }
        self.body = body;
        Ok(())
    }
}

/// What to ask for, so that it is of the same version; `None` where nothing tells it.
fn rest(meta: &ObjectMeta, left: &Range<u64>) -> Option<GetOptions> {
    // A weak ETag does not tell of each byte, and never holds in `If-Match`.
    let if_match = meta.e_tag.clone().filter(|e_tag| !e_tag.starts_with("W/"));
    let (range, version) = (Some(GetRange::Bounded(left.clone())), meta.version.clone());
    (if_match.is_some() || version.is_some()).then(|| GetOptions { if_match, version, range, ..GetOptions::default() })
}

fn unavailable(message: String) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}
