//! Buckets in Blob Storage.
//!
//! Implements `object_store`'s trait with isobar's requests: `object_store`'s client for Azure has its own retry loop,
//! no lists by raw prefix, no multipart writes with a precondition, and does not wait for copies.

mod headers;
mod listing;
mod requests;
mod service_error;
mod sign;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use isobar_abstraction::driver::Location;
use isobar_abstraction::driver::blob::Blob;
use isobar_abstraction::{Error, Result};
use isobar_rest::object::Store;

use crate::State;
use crate::config::Placed;
use requests::BlobRequests;
use store::Container;

/// Opens a bucket. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn Blob>> {
    match state.config.place(at)? {
        Placed::Blob { account, container } => {
            let requests = BlobRequests::new(Arc::clone(state), account, container);
            Ok(Arc::new(Store::new(Container::new(requests))))
        }
        _ => Err(Error::config(format!("{at} is not a container of blobs: use a URL az://"))),
    }
}
