//! Buckets in Blob Storage.
//!
//! Reading and writing go through `object_store`'s client for Azure, on our own transport. What it
//! does not have, or not as isobar promises it, is asked of Azure here: lists by raw prefix, multipart
//! writes under a condition, deletes that are idempotent, copies that are awaited, and signatures of
//! names that a URL must encode.

mod access;
mod encoded;
mod headers;
mod listing;
mod refusal;
mod requests;
mod sas;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isobar_abstraction::blob::{ListRequest, Listing, SignRequest, SignedUrl};
use isobar_abstraction::{Blob, Error, Location, Result};
use isobar_rest::StoreConnector;
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use crate::State;
use crate::config::{Placed, StorageAccount};
use access::BlobAccess;
use refusal::BlobRefusals;
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
        Placed::Blob { account, container } => Ok(Arc::new(AzureBlob::new(state, account, container)?)),
        _ => Err(Error::config(format!("{at} is no container of blobs"))),
    }
}

impl AzureBlob {
    fn new(state: &Arc<State>, account: StorageAccount, container: String) -> Result<Self> {
        let refusals = BlobRefusals::new(&account, &container);
        let connector = StoreConnector::new(state.client.clone(), Arc::clone(&state.clock), refusals.clone());
        let access = Arc::new(BlobAccess::new(state.credentials.clone(), &account)?);
        let azure = client(state, &account, &container, Arc::clone(&access), connector.clone())?;
        let requests = BlobRequests::new(Arc::clone(state), account, container, refusals);
        let sas = Sas::new(requests.clone());
        Ok(Self { store: Arc::new(BlobStore::new(azure, connector, access, requests)), sas })
    }
}

/// Reads no environment, and costs some microseconds.
fn client(
    state: &State,
    account: &StorageAccount,
    container: &str,
    access: Arc<BlobAccess>,
    connector: StoreConnector,
) -> Result<MicrosoftAzure> {
    let built = MicrosoftAzureBuilder::new()
        .with_account(&account.name)
        .with_endpoint(account.blob.clone())
        .with_container_name(container)
        .with_credentials(access)
        .with_retry(retry(state))
        .with_http_connector(connector)
        .build();
    built.map_err(|error| Error::config("the container cannot be opened").with_source(error))
}

fn retry(state: &State) -> RetryConfig {
    let client = &state.config.client;
    // `object_store` panics where there is nothing to choose between.
    let init_backoff = client.min_backoff.max(Duration::from_millis(1));
    RetryConfig {
        backoff: BackoffConfig { init_backoff, max_backoff: client.max_backoff.max(init_backoff), base: 2.0 },
        max_retries: client.max_attempts.saturating_sub(1) as usize,
        // Attempts are signed alike, and a signature is good for 15 minutes.
        retry_timeout: Duration::from_secs(180),
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
