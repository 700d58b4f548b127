//! Not built yet.

pub(crate) mod table;

use std::sync::Arc;

use isobar_abstraction::{Error, KeyValue, Location, Result};

use crate::State;
use crate::config::Placed;

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn KeyValue>> {
    match state.config.place(at)? {
        Placed::Table { account, table } => Ok(Arc::new(table::TableKeyValue::new(Arc::clone(state), account, table))),
        _ => Err(Error::unsupported("open", "azure", "this service is not built yet")),
    }
}
