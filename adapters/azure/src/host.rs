//! The host: a Functions custom handler.

use std::sync::Arc;

use isobar_abstraction::{Environment, Error, Hosted, Result};

use crate::State;

/// What the Functions host says to its custom handler.
#[derive(Debug, Clone)]
pub(crate) struct FunctionsHost {
    /// Where to listen.
    pub(crate) port: u16,
}

impl FunctionsHost {
    /// `None` where this is not Functions. Errors: `Config`.
    pub(crate) fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        let port = environment.parse("FUNCTIONS_CUSTOMHANDLER_PORT", "a port")?;
        Ok(port.map(|port| Self { port }))
    }
}

/// Runs until the platform says stop.
pub(crate) async fn run(state: Arc<State>, app: Hosted) -> Result<()> {
    let _ = (state.config.functions.as_ref().map(|host| host.port), app);
    Err(Error::unsupported("host", "azure", "it is not built yet"))
}
