//! Buckets in Cloud Storage.
//!
//! `object_store`'s trait, on requests of our own: its client for Cloud Storage speaks the XML API, whose
//! multipart writes take no condition, has a retry loop beside that of all other services, and no lists by
//! raw prefix. The JSON API has all of it; only the content itself comes through the XML API, which alone
//! tells an object's metadata together with it.

mod condition;
mod encoded;
mod headers;
mod listing;
mod refusal;
mod requests;
mod resource;
mod session;
mod sign;
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
use crate::config::Placed;
use requests::GcsRequests;
use store::GcsStore;

/// A bucket of Cloud Storage.
#[derive(Debug)]
pub(crate) struct GcsBlob {
    store: Arc<GcsStore>,
}

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn Blob>> {
    Ok(Arc::new(GcsBlob::new(state, at)?))
}

impl GcsBlob {
    fn new(state: &Arc<State>, at: &Location) -> Result<Self> {
        match state.config.place(at)? {
            Placed::Storage { endpoint, bucket } => {
                let requests = GcsRequests::new(state, endpoint, bucket);
                Ok(Self { store: Arc::new(GcsStore::new(requests)) })
            }
            _ => Err(Error::config(format!("{at} is no bucket"))),
        }
    }
}

#[async_trait]
impl Blob for GcsBlob {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.store.requests().list(request).await
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        sign::sign(self.store.requests(), request).await
    }
}
