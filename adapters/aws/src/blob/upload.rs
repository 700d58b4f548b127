//! Multipart writes, under a condition where one is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::{Error, ErrorKind};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

use super::requests::S3Requests;

/// The most parts of an upload: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const MOST_PARTS: usize = 10_000;

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
