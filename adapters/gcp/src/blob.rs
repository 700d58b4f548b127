//! Buckets in Cloud Storage.
//!
//! `object_store`'s trait, on requests of our own: its client for Cloud Storage speaks the XML API, whose
//! multipart writes take no condition, has a retry loop beside that of all other services, and no lists by
//! raw prefix. The JSON API has all of it; only the content itself comes through the XML API, which alone
//! tells an object's metadata together with it.

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
use crate::config::Placed;
use requests::GcsRequests;

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn Blob>> {
    match state.config.place(at)? {
        Placed::Storage { endpoint, bucket } => Ok(Arc::new(Store::new(GcsRequests::new(state, endpoint, bucket)))),
        _ => Err(Error::config(format!("{at} is no bucket"))),
    }
}
