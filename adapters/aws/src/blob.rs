//! Buckets in S3.
//!
//! `object_store`'s trait, on requests of our own: its client for S3 has a retry loop beside that of
//! all other services, no conditional multipart writes, no lists by raw prefix, and links 0.7 MB of
//! checksum tables (`benches/README.md`).

mod headers;
mod listing;
mod refusal;
mod requests;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use isobar_abstraction::blob::{ListRequest, Listing, SignRequest, SignedAccess, SignedUrl};
use isobar_abstraction::{Blob, Error, Location, Result};
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use crate::State;
use crate::config::Placed;
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
        let requests = S3Requests::new(state, place.bucket, place.base, place.region);
        Ok(Self { store: Arc::new(S3Store::new(requests)) })
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
        let url = self.store.requests().presign(method, &path, request.expires_in).await?;
        let wrong = |error| Error::config("the endpoint of S3 is not a URL").with_source(error);
        Ok(SignedUrl::new(Url::parse(&url).map_err(wrong)?))
    }
}
