//! Buckets in Cloud Storage.
//!
//! Implements the trait of `object_store` without its client for Cloud Storage: that client uses the XML API, whose
//! multipart uploads accept no condition, has its own retry loop, and cannot list by a raw prefix. The JSON API
//! supports all of this. Only content is read through the XML API, which alone returns an object's metadata together
//! with its content.

mod condition;
mod headers;
mod listing;
mod requests;
mod resource;
mod service_error;
mod session;
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
use crate::config::Placement;
use requests::GcsRequests;

/// Opens the bucket at a location of the configuration, without connecting. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn Blob>> {
    match state.config.placement(at)? {
        Placement::Storage { endpoint, bucket } => Ok(Arc::new(Store::new(GcsRequests::new(state, endpoint, bucket)))),
        _ => Err(Error::config(format!("{at} is not a bucket"))),
    }
}
