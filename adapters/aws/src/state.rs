//! What the services of one provider have in common: configuration, clock, client and credentials.

use std::sync::{Arc, OnceLock};

use isobar_abstraction::driver::Clock;
use isobar_rest::Client;

use crate::config::AwsConfig;
use crate::credentials::Credentials;

/// What all services of one provider share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: AwsConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
    /// The account that the running function's ARN told, for the ARNs of topics. Set by the host.
    pub(crate) account: OnceLock<String>,
}
