//! Who we are to Azure: the tokens of an identity.

use std::sync::Arc;

use isobar_abstraction::{Error, Result};

use crate::AzureConfig;
use crate::config::Sources;

/// Where tokens come from. Cheap to clone; clones share what was found.
#[derive(Debug, Clone)]
pub(crate) struct Credentials(Arc<Sources>);

/// Whom a token is shown to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    /// Blobs, queues and tables of a storage account.
    Storage,
    /// Cosmos DB.
    Cosmos,
    /// Service Bus.
    ServiceBus,
}

impl Audience {
    /// What Entra calls it.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Storage => "https://storage.azure.com",
            Self::Cosmos => "https://cosmos.azure.com",
            Self::ServiceBus => "https://servicebus.azure.net",
        }
    }
}

impl Credentials {
    pub(crate) fn new(config: &AzureConfig) -> Self {
        Self(Arc::new(config.sources.clone()))
    }

    /// A token that is good now. Errors: `Unauthenticated` where there is no source, with what was tried;
    /// `Config`; `Unavailable` and `Timeout` of the source.
    pub(crate) async fn token(&self, audience: Audience) -> Result<Arc<str>> {
        let _ = audience.resource();
        Err(Error::unsupported("authenticate", "azure", "identities are not built yet"))
    }

    /// Forgets a token that a service refused as expired.
    pub(crate) fn reject(&self, audience: Audience, token: &Arc<str>) {
        let _ = (audience, token);
    }
}
