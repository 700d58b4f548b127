//! State that the services of one provider share: configuration, clock, client and credentials.

use std::sync::{Arc, OnceLock};

use isobar_abstraction::driver::Clock;
use isobar_rest::Client;

use crate::config::AwsConfig;
use crate::credentials::Credentials;

/// The shared state of one provider.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: AwsConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
    /// The account, for the ARNs of topics: from the running function's ARN, set by the host, or from the
    /// first lookup.
    pub(crate) account: OnceLock<String>,
}
