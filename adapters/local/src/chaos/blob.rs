//! A bucket whose calls fail.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use isobar_abstraction::Result;
use isobar_abstraction::driver::blob::flat::{FlatObjects, FlatStore};
use isobar_abstraction::driver::blob::{Blob, ListRequest, Listing, SignRequest, SignedUrl};
use object_store::{Attributes, ObjectMeta, ObjectStore, PutMode, PutPayload, PutResult};

use super::Calls;

#[derive(Debug)]
pub(crate) struct FaultyBlob<B, O> {
    bucket: B,
    objects: Arc<FaultyObjects<O>>,
}

impl<B, O> FaultyBlob<B, O> {
    /// A bucket over these objects.
    pub(crate) fn new(bucket: B, objects: Arc<O>, calls: Calls) -> Self {
        Self { bucket, objects: Arc::new(FaultyObjects { objects, calls }) }
    }
}

#[async_trait]
impl<B: Blob, O: FlatObjects> Blob for FaultyBlob<B, O> {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(FlatStore::new(Arc::clone(&self.objects)))
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.objects.calls.read("list", self.bucket.list(request)).await
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        self.bucket.sign(request).await
    }
}

#[derive(Debug)]
struct FaultyObjects<O> {
    objects: Arc<O>,
    calls: Calls,
}

#[async_trait]
impl<O: FlatObjects> FlatObjects for FaultyObjects<O> {
    type Staged = O::Staged;
    type Content = O::Content;

    async fn stage(&self) -> Result<O::Staged> {
        self.objects.stage().await
    }

    async fn append(&self, staged: &mut O::Staged, part: PutPayload) -> Result<()> {
        self.objects.append(staged, part).await
    }

    async fn commit(&self, name: &str, staged: O::Staged, attributes: Attributes, mode: PutMode) -> Result<PutResult> {
        self.calls.write("put", self.objects.commit(name, staged, attributes, mode)).await
    }

    async fn open(&self, name: &str) -> Result<(ObjectMeta, Attributes, O::Content)> {
        self.calls.read("get", self.objects.open(name)).await
    }

    async fn head(&self, name: &str) -> Result<(ObjectMeta, Attributes)> {
        self.calls.read("head", self.objects.head(name)).await
    }

    fn read(&self, content: O::Content, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        self.objects.read(content, range)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.calls.write("delete", self.objects.remove(name)).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.calls.read("list", self.objects.list(request)).await
    }
}
