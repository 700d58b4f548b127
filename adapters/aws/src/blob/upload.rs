//! Multipart writes, under a condition where one is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use isobar_abstraction::{Error, ErrorKind};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

use super::requests::S3Requests;

/// The most parts of an upload: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const MOST_PARTS: usize = 10_000;

/// Parts of one object that are copied at once.
const COPIED_AT_ONCE: usize = 8;

/// The largest part that is copied, where so many are enough for the object: a request for it is short.
const COPIED_PART: u64 = 128 << 20;

/// The size of the parts in which an object of this size is copied: whole mebibytes, at most 128 of them and at most
/// `largest`, but never so small that there are more parts than S3 takes.
pub(super) fn copied_part(size: u64, largest: u64) -> u64 {
    let least = size.div_ceil(MOST_PARTS as u64).next_multiple_of(1 << 20);
    largest.clamp(5 << 20, COPIED_PART).max(least)
}

/// An upload that has begun. If it is dropped before its end, it is aborted where a runtime still
/// runs; else its parts cost money until a lifecycle rule of the bucket takes them
/// (`AbortIncompleteMultipartUpload`).
#[derive(Debug)]
pub(super) struct S3Upload {
    requests: S3Requests,
    at: Path,
    id: String,
    mode: PutMode,
    parts: Arc<Mutex<BTreeMap<usize, PartId>>>,
    sent: usize,
    open: bool,
}

impl S3Upload {
    pub(super) fn new(requests: S3Requests, at: Path, id: String, mode: PutMode) -> Self {
        Self { requests, at, id, mode, parts: Arc::default(), sent: 0, open: true }
    }

    /// Makes all parts of another object, which must not change meanwhile. Errors: `Conflict` where it does.
    pub(super) async fn copy_all(&mut self, from: &Path, e_tag: &str, size: u64, part: u64) -> Result<()> {
        let (requests, at, id) = (&self.requests, &self.at, &self.id);
        let starts = (0..size).step_by(usize::try_from(part).unwrap_or(usize::MAX));
        let copies = starts.enumerate().map(|(place, start)| async move {
            let bytes = start..start.saturating_add(part).min(size);
            let copied = requests.copy_part(at, id, place + 1, (from, e_tag), bytes).await?;
            Ok::<_, Error>((place, copied))
        });
        let copied: BTreeMap<_, _> = stream::iter(copies).buffer_unordered(COPIED_AT_ONCE).try_collect().await?;
        self.sent = copied.len();
        *self.parts.lock() = copied;
        Ok(())
    }

    /// The parts in their order. S3 wants at least one.
    async fn parts(&self) -> Result<Vec<PartId>> {
        if self.sent == 0 {
            return Ok(vec![self.requests.put_part(&self.at, &self.id, 1, PutPayload::new()).await?]);
        }
        let parts: Vec<_> = self.parts.lock().values().cloned().collect();
        if parts.len() != self.sent {
            return Err(Error::invalid("a part of the upload was not sent to its end").into());
        }
        Ok(parts)
    }
}

#[async_trait]
impl MultipartUpload for S3Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let place = self.sent;
        self.sent += 1;
        if place == MOST_PARTS {
            let error = Error::too_large("the number of parts", place as u64 + 1, MOST_PARTS as u64);
            return Box::pin(async { Err(error.into()) });
        }
        let (requests, at, id) = (self.requests.clone(), self.at.clone(), self.id.clone());
        let parts = Arc::clone(&self.parts);
        Box::pin(async move {
            let part = requests.put_part(&at, &id, place + 1, data).await?;
            parts.lock().insert(place, part);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if !self.open {
            return Err(Error::new(ErrorKind::InvalidInput, "the upload has ended").into());
        }
        let parts = self.parts().await?;
        let result = self.requests.complete(&self.at, &self.id, &parts, &self.mode).await?;
        self.open = false;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.open = false;
        Ok(self.requests.abort(&self.at, &self.id).await?)
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.open {
            let (requests, at, id) = (self.requests.clone(), self.at.clone(), self.id.clone());
            // Nobody waits for its end, and what it leaves is never seen.
            runtime.spawn(async move { requests.abort(&at, &id).await });
        }
    }
}
