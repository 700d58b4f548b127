//! Buckets in S3.
//!
//! Reading and writing go through `object_store`'s client for S3, on our own transport; what it does
//! not have, lists by raw prefix and conditional multipart writes, is asked of S3 here.

mod listing;
mod refusal;
mod requests;
mod store;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use isobar_abstraction::blob::{ListRequest, Listing, SignRequest, SignedAccess, SignedUrl};
use isobar_abstraction::{Blob, Error, Location, Result};
use isobar_rest::StoreConnector;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use crate::State;
use crate::config::Placed;
use refusal::S3Refusals;
use requests::S3Requests;
use store::S3Store;

/// An S3 bucket.
#[derive(Debug)]
pub(crate) struct S3Blob {
    store: Arc<S3Store>,
}

impl S3Blob {
    /// Connects to nothing. Errors: `Config`.
    pub(crate) fn new(state: Arc<State>, at: &Location) -> Result<Self> {
        let place = Place::of(&state, at)?;
        let refusals = S3Refusals::new(&place.bucket, &place.region);
        let connector = StoreConnector::new(state.client.clone(), Arc::clone(&state.clock), refusals.clone());
        let s3 = client(&state, &place, connector.clone())?;
        let requests = S3Requests::new(state, place.base, place.region, refusals);
        Ok(Self { store: Arc::new(S3Store::new(s3, connector, requests)) })
    }
}

/// Where a bucket is.
struct Place {
    bucket: String,
    region: String,
    /// What stands before the keys in URLs, without the slash.
    base: String,
}

impl Place {
    fn of(state: &State, at: &Location) -> Result<Self> {
        let config = &state.config;
        let Placed { name: bucket, region, endpoint, .. } = config.place(at)?;
        let region = region.map_or_else(|| config.region(), Ok)?;
        let configured = endpoint.is_some() || ["s3", ""].iter().any(|name| config.endpoints.contains_key(*name));
        let endpoint = endpoint.unwrap_or_else(|| config.endpoint("s3", &region));
        let base = match endpoint.strip_prefix("https://") {
            // A dot in the bucket's name is one more label of the host, which no certificate covers.
            Some(host) if !configured && !bucket.contains('.') => format!("https://{bucket}.{host}"),
            // Other stores of S3's kind have no host for each bucket.
            _ => format!("{endpoint}/{bucket}"),
        };
        Ok(Self { bucket, region, base })
    }
}

/// Reads no environment, and costs some microseconds.
fn client(state: &State, place: &Place, connector: StoreConnector) -> Result<AmazonS3> {
    let built = AmazonS3Builder::new()
        .with_bucket_name(&place.bucket)
        .with_region(&place.region)
        .with_endpoint(&place.base)
        // The endpoint is the bucket's own, whatever its style.
        .with_virtual_hosted_style_request(true)
        .with_credentials(Arc::new(state.credentials.clone()))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Header("if-none-match".to_owned(), "*".to_owned()))
        // One `DELETE` for each object: it has no XML, and an answer for each.
        .with_disable_bulk_delete(true)
        .with_retry(retry(state))
        .with_http_connector(connector)
        .build();
    built.map_err(|error| Error::config("the bucket cannot be opened").with_source(error))
}

fn retry(state: &State) -> RetryConfig {
    let client = &state.config.client;
    RetryConfig {
        backoff: BackoffConfig { init_backoff: client.min_backoff, max_backoff: client.max_backoff, base: 2.0 },
        max_retries: client.max_attempts.saturating_sub(1) as usize,
        // Attempts are signed alike, and a signature is good for 15 minutes.
        retry_timeout: Duration::from_secs(180),
    }
}

#[async_trait]
impl Blob for S3Blob {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.store.requests().list(request).await
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        let path = Path::parse(&request.stored).map_err(object_store::Error::from)?;
        let method = match request.access {
            SignedAccess::Get => Method::GET,
            SignedAccess::Put => Method::PUT,
        };
        // Only the host is signed, so that who holds the URL may send any content type.
        let url = self.store.s3().signed_url(method, &path, request.expires_in).await?;
        Ok(SignedUrl::new(url))
    }
}
