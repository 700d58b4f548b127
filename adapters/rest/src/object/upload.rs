//! Multipart writes of services whose parts are sent in any order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::Error;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

/// The requests of one upload.
#[async_trait]
pub trait UploadParts: fmt::Debug + Send + Sync + 'static {
    /// The most that the service takes.
    const MAX_PARTS: usize;

    /// Sends a part, counted from 0, and answers the name under which the end of the upload has it.
    async fn send(&self, place: usize, content: PutPayload) -> isobar_abstraction::Result<String>;

    /// Makes the object of its parts.
    async fn complete(&self, parts: Vec<String>) -> isobar_abstraction::Result<PutResult>;

    /// Ends the upload without an object.
    async fn abort(&self) -> isobar_abstraction::Result<()>;
}

/// An upload that has begun.
#[derive(Debug)]
pub struct PartUpload<P> {
    requests: Arc<P>,
    sent: Arc<Mutex<BTreeMap<usize, String>>>,
    begun: usize,
    open: bool,
}

impl<P: UploadParts> PartUpload<P> {
    /// An upload without a part.
    pub fn new(requests: P) -> Self {
        Self { requests: Arc::new(requests), sent: Arc::default(), begun: 0, open: true }
    }
}

#[async_trait]
impl<P: UploadParts> MultipartUpload for PartUpload<P> {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let place = self.begun;
        self.begun += 1;
        if place == P::MAX_PARTS {
            let error = Error::too_large("the number of parts", place as u64 + 1, P::MAX_PARTS as u64);
            return Box::pin(async { Err(error.into()) });
        }
        let (requests, sent) = (Arc::clone(&self.requests), Arc::clone(&self.sent));
        Box::pin(async move {
            let part = requests.send(place, data).await?;
            sent.lock().insert(place, part);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if !self.open {
            return Err(Error::invalid_input("the upload has ended").into());
        }
        let parts: Vec<_> = self.sent.lock().values().cloned().collect();
        if parts.len() != self.begun {
            return Err(Error::invalid_input("a part of the upload was not sent to its end").into());
        }
        let result = self.requests.complete(parts).await?;
        self.open = false;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.open = false;
        Ok(self.requests.abort().await?)
    }
}
