//! Not built yet.

use std::sync::Arc;

use isobar_abstraction::{Error, KeyValue, Location, Result};

use crate::State;

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(_state: &Arc<State>, _at: &Location) -> Result<Arc<dyn KeyValue>> {
    Err(Error::unsupported("open", "gcp", "its services are not built yet; run with the feature `local`"))
}
