//! The state shared by the services of one provider: configuration, clock, client and credentials.

use std::sync::Arc;

use isobar_abstraction::driver::Clock;
use isobar_rest::Client;

use crate::config::AzureConfig;
use crate::credentials::Credentials;

/// The state shared by all services of one provider.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: AzureConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
}
