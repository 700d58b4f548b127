//! Buckets in Blob Storage.
//!
//! `object_store`'s trait, on requests of our own: its client for Azure has a retry loop beside that of
//! all other services, no lists by raw prefix, no multipart writes under a condition, and does not
//! await copies.

mod encoded;
mod headers;
mod listing;
mod refusal;
mod requests;
mod sas;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::blob::{ListRequest, Listing, SignRequest, SignedUrl};
use isobar_abstraction::{Blob, Error, Location, Result};
use object_store::ObjectStore;

use crate::State;
use crate::config::{Placed, StorageAccount};
use requests::BlobRequests;
use sas::Sas;
use store::BlobStore;

/// A container of blobs.
#[derive(Debug)]
pub(crate) struct AzureBlob {
    store: Arc<BlobStore>,
    sas: Sas,
}

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn Blob>> {
    match state.config.place(at)? {
        Placed::Blob { account, container } => Ok(Arc::new(AzureBlob::new(state, account, container))),
        _ => Err(Error::config(format!("{at} is no container of blobs"))),
    }
}

impl AzureBlob {
    fn new(state: &Arc<State>, account: StorageAccount, container: String) -> Self {
        let requests = BlobRequests::new(Arc::clone(state), account, container);
        let sas = Sas::new(requests.clone());
        Self { store: Arc::new(BlobStore::new(requests)), sas }
    }
}

#[async_trait]
impl Blob for AzureBlob {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.store.requests().list(request).await
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        self.sas.sign(request).await
    }
}
