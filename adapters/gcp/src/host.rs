//! The service on Cloud Run. Not built yet.

use std::sync::Arc;

use isobar_abstraction::{Environment, Error, Hosted, Result};

use crate::State;

/// What Cloud Run and the functions framework say in the environment.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

impl Settings {
    /// Errors: `Config`, naming the variable.
    pub(crate) fn from_environment(_environment: &Environment) -> Result<Self> {
        Ok(Self::default())
    }
}

/// Serves until SIGTERM.
pub(crate) async fn run(_state: &Arc<State>, _app: Hosted) -> Result<()> {
    Err(Error::unsupported("host", "gcp", "its services are not built yet; run with the feature `local`"))
}
