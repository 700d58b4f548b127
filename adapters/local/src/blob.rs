//! Blobs: content in files with generated names, everything else in redb.
//!
//! A key never becomes a file name, so no key can reach outside the data folder or be invalid for a file
//! system. A file is written once, and is an object only while a record refers to it: the record changes
//! in one transaction, together with the event of the change.

mod files;
mod objects;
mod records;
mod sign;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::Result;
use isobar_abstraction::clock::{later, to_millis};
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::blob::flat::{FlatObjects, FlatStore};
use isobar_abstraction::driver::blob::{Blob, ListRequest, Listing, SignRequest, SignedUrl};
use object_store::ObjectStore;

use crate::pub_sub::Queue;
use crate::store::Store;
use objects::LocalObjects;
pub(crate) use objects::collect_orphans;
pub(crate) use records::each_record;
pub(crate) use sign::{Signer, access_name};

/// A bucket in the local store.
#[derive(Debug)]
pub(crate) struct LocalBlob {
    objects: Arc<LocalObjects>,
    signer: Arc<Signer>,
}

/// Names of all buckets, and their numbers of objects.
pub(crate) fn buckets(store: &Store) -> Result<Vec<(String, u64)>> {
    records::RECORDS.counts(store)
}

impl LocalBlob {
    /// The bucket of this name. Opens nothing.
    pub(crate) fn new(bucket: &str, store: Store, clock: Arc<dyn Clock>, queue: Queue, signer: Arc<Signer>) -> Self {
        Self { objects: Arc::new(LocalObjects::new(bucket, store, clock, queue)), signer }
    }

    pub(crate) fn objects(&self) -> Arc<impl FlatObjects + use<>> {
        Arc::clone(&self.objects)
    }
}

#[async_trait]
impl Blob for LocalBlob {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(FlatStore::new(Arc::clone(&self.objects)))
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.objects.list(request).await
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        let LocalObjects { bucket, clock, .. } = &*self.objects;
        let expires_ms = to_millis(later(clock.now(), request.expires_in));
        self.signer.sign(request.access, bucket, &request.stored, expires_ms).map(SignedUrl::new)
    }
}
