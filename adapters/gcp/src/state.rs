//! The state that the services of one provider share.

use std::sync::Arc;

use isobar_abstraction::driver::Clock;
use isobar_rest::Client;

use crate::config::GcpConfig;
use crate::credentials::Credentials;

/// The configuration, clock, client and credentials of one provider.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: GcpConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
}
