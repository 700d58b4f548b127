//! Not built yet.

pub(crate) mod settle;
pub(crate) mod wire;

use std::sync::Arc;

use isobar_abstraction::{Error, Location, PubSub, Result};

use crate::State;

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn PubSub>> {
    let _ = state.config.place(at)?;
    Err(Error::unsupported("open", "azure", "this service is not built yet"))
}
