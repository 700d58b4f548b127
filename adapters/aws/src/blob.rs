//! Buckets in S3.
//!
//! Implements `object_store`'s trait on isobar's requests. The S3 client of `object_store` has a second
//! retry loop, no conditional multipart writes and no lists by raw prefix, and it links 0.7 MB of checksum
//! tables (`benches/README.md`).

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

/// Opens the bucket that configuration maps this location to. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn Blob>> {
    let config = &state.config;
    let Placed { name: bucket, region, endpoint, .. } = config.place(at)?;
    let region = region.map_or_else(|| config.region(), Ok)?;
    let configured = endpoint.is_some() || ["s3", ""].iter().any(|name| config.endpoints.contains_key(*name));
    let endpoint = endpoint.unwrap_or_else(|| config.endpoint("s3", &region));
    let base = match endpoint.strip_prefix("https://") {
        // A dot in the bucket's name makes one more label of the host, which no certificate covers.
        Some(host) if !configured && !bucket.contains('.') => format!("https://{bucket}.{host}"),
        // Other S3-compatible stores have no host for each bucket.
        _ => format!("{endpoint}/{bucket}"),
    };
    Ok(Arc::new(Store::new(S3Requests { state: Arc::clone(state), bucket, base, region })))
}
