//! Buckets in S3.
//!
//! `object_store`'s trait, on requests of our own: its client for S3 has a retry loop beside that of
//! all other services, no conditional multipart writes, no lists by raw prefix, and links 0.7 MB of
//! checksum tables (`benches/README.md`).

mod headers;
mod listing;
mod requests;
mod service_error;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use isobar_abstraction::Result;
use isobar_abstraction::driver::Location;
use isobar_abstraction::driver::blob::Blob;
use isobar_rest::object::Store;

use crate::State;
use crate::config::Placed;
use requests::S3Requests;

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn Blob>> {
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
    Ok(Arc::new(Store::new(S3Requests { state: Arc::clone(state), bucket, base, region })))
}
