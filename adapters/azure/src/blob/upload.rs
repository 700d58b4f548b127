//! Multipart writes, under a condition where one is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::{Error, ErrorKind};
use object_store::path::Path;
use object_store::{Attributes, MultipartUpload, PutMode, PutPayload, PutResult, Result, TagSet, UploadPart};
use parking_lot::Mutex;

use super::requests::BlobRequests;

/// The most parts of an upload:
/// <https://learn.microsoft.com/azure/storage/blobs/scalability-targets>.
pub(super) const MOST_PARTS: usize = 50_000;

/// An upload that has begun. What was sent is never seen before its end, and Azure drops it after a
/// week, or with the next write of the object; there is nothing to abort.
#[derive(Debug)]
pub(super) struct BlobUpload {
    requests: BlobRequests,
    at: Path,
    /// What the ids of its parts begin with: two uploads of one object must not take each other's.
    id: u64,
    mode: PutMode,
    attributes: Attributes,
    tags: TagSet,
    parts: Arc<Mutex<BTreeMap<usize, String>>>,
    sent: usize,
    open: bool,
}

impl BlobUpload {
    pub(super) fn new(
        requests: BlobRequests,
        at: Path,
        mode: PutMode,
        attributes: Attributes,
        tags: TagSet,
    ) -> Result<Self> {
        let mut id = [0; 8];
        let no_chance = |_| Error::internal("the machine gives no random numbers");
        getrandom::fill(&mut id).map_err(no_chance)?;
        let id = u64::from_be_bytes(id);
        Ok(Self { requests, at, id, mode, attributes, tags, parts: Arc::default(), sent: 0, open: true })
    }
}

#[async_trait]
impl MultipartUpload for BlobUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let place = self.sent;
        self.sent += 1;
        if place == MOST_PARTS {
            let error = Error::too_large("the number of parts", place as u64 + 1, MOST_PARTS as u64);
            return Box::pin(async { Err(error.into()) });
        }
        let (requests, at, parts) = (self.requests.clone(), self.at.clone(), Arc::clone(&self.parts));
        // All ids of one object must be of one length: that of `object_store`'s.
        let id = format!("{:016x}{place:016x}", self.id);
        Box::pin(async move {
            requests.put_block(&at, &id, data).await?;
            parts.lock().insert(place, id);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if !self.open {
            return Err(Error::new(ErrorKind::InvalidInput, "the upload has ended").into());
        }
        let parts: Vec<_> = self.parts.lock().values().cloned().collect();
        if parts.len() != self.sent {
            return Err(Error::invalid("a part of the upload was not sent to its end").into());
        }
        let list = self.requests.put_block_list(&self.at, &parts, &self.attributes, &self.tags, &self.mode);
        let result = list.await?;
        self.open = false;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.open = false;
        Ok(())
    }
}
