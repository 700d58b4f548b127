//! Multipart uploads whose parts are sent in any order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::Error;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

/// The requests of one multipart upload.
#[async_trait]
pub trait UploadParts: fmt::Debug + Send + Sync + 'static {
    /// The most parts that the service accepts.
    const MAX_PARTS: usize;

    /// Sends the part with this index, counted from 0, and returns its identifier for the completion.
    async fn send(&self, index: usize, content: PutPayload) -> isobar_abstraction::Result<String>;

    /// Completes the upload: makes the object of its parts.
    async fn complete(&self, parts: Vec<String>) -> isobar_abstraction::Result<PutResult>;

    /// Ends the upload without an object.
    async fn abort(&self) -> isobar_abstraction::Result<()>;
}

/// A multipart upload in progress.
#[derive(Debug)]
pub struct PartUpload<P> {
    requests: Arc<P>,
    sent: Arc<Mutex<BTreeMap<usize, String>>>,
    parts: usize,
    open: bool,
}

impl<P: UploadParts> PartUpload<P> {
    /// A multipart upload without a part.
    pub fn new(requests: P) -> Self {
        Self { requests: Arc::new(requests), sent: Arc::default(), parts: 0, open: true }
    }
}

#[async_trait]
impl<P: UploadParts> MultipartUpload for PartUpload<P> {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let index = self.parts;
        self.parts += 1;
        if index == P::MAX_PARTS {
            let error = Error::too_large("the number of parts", index as u64 + 1, P::MAX_PARTS as u64);
            return Box::pin(async { Err(error.into()) });
        }
        let (requests, sent) = (Arc::clone(&self.requests), Arc::clone(&self.sent));
        Box::pin(async move {
            let part = requests.send(index, data).await?;
            sent.lock().insert(index, part);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if !self.open {
            return Err(Error::invalid_input("the upload has ended").into());
        }
        let sent: Vec<_> = self.sent.lock().values().cloned().collect();
        if sent.len() != self.parts {
            return Err(Error::invalid_input("a part of the upload was not sent completely").into());
        }
        let result = self.requests.complete(sent).await?;
        self.open = false;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.open = false;
        Ok(self.requests.abort().await?)
    }
}
