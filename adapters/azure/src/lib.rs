//! The Azure provider of isobar.
//!
//! | trait | implemented by |
//! |---|---|
//! | function | a Functions custom handler: HTTP, queues, Service Bus, Event Grid, timers |
//! | key-value | Cosmos DB (`cosmos`), or Table Storage (`aztable`) |
//! | blob | Blob Storage (`az`) |
//! | pub/sub | Service Bus topics (`servicebus`), or Storage Queues (`azqueue`) |
//! | secrets, configuration | Key Vault (`keyvault`) |
//!
//! [`config`] describes the resources that must exist, and their names.

mod blob;
pub mod config;
mod credentials;
mod deployment;
mod event;
mod host;
mod key_value;
mod permissions;
pub mod profile;
mod pub_sub;
mod secret;
mod service;
mod state;

use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::driver::blob::Blob;
use isobar_abstraction::driver::key_value::KeyValue;
use isobar_abstraction::driver::pub_sub::{Backlog, PubSub};
use isobar_abstraction::driver::secret::SecretStore;
use isobar_abstraction::driver::{Adapter, Clock, Hosted, Location, Prefix, Profile, Provider, ResourceUrl};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{EventQueue, Result};
use isobar_rest::{Client, SystemClock};

pub use config::{AzureConfig, ISOBAR_TRIGGER_SECRET, ISOBAR_TRIGGER_SECRET_OLD};
pub use deployment::{FunctionApp, HttpMode, LEASES, function_app, functions, places};
pub use host::CustomHandler;
pub use permissions::{PERMISSION_ROWS, permissions};
pub use pub_sub::dead::dead_letter;

use credentials::Credentials;
use key_value::Sessions;
use state::State;

/// The row of this provider in the facade's table.
pub const ADAPTER: Adapter =
    Adapter::new("azure", &["cosmos", "aztable", "az", "servicebus", "azqueue", "keyvault"], |environment| {
        Ok(Arc::new(AzureProvider::new(AzureConfig::from_environment(environment)?)))
    })
    .with_marks(&["FUNCTIONS_CUSTOMHANDLER_PORT"]);

/// The Azure provider. Cheap to clone and to make; it connects at first use.
#[derive(Debug, Clone)]
pub struct AzureProvider {
    state: Arc<State>,
    /// Shared by all handles of one container, so that each handle reads the writes of the others.
    sessions: Arc<Sessions>,
}

impl AzureProvider {
    /// A provider on the machine's clock.
    pub fn new(config: AzureConfig) -> Self {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// A provider on another clock, for tests. Signatures and tokens always use the machine's time.
    pub fn with_clock(config: AzureConfig, clock: Arc<dyn Clock>) -> Self {
        let client = Client::new(config.client.clone(), Arc::clone(&clock));
        let credentials = Credentials::new(&config);
        Self { state: Arc::new(State { config, clock, client, credentials }), sessions: Arc::default() }
    }

    /// The handler of the Functions host's calls, without a server: for tests and for other servers.
    pub fn handler(&self, app: Hosted) -> CustomHandler {
        CustomHandler::new(Arc::clone(&self.state), app)
    }
}

#[async_trait]
impl Provider for AzureProvider {
    fn profile(&self) -> &'static Profile {
        &profile::PROFILE
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.state.clock)
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        key_value::open(&self.state, &self.sessions, at)
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        blob::open(&self.state, at)
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        pub_sub::open(&self.state, at)
    }

    fn prefix(&self) -> Prefix {
        self.state.config.prefix.clone()
    }

    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        pub_sub::backlog::open(&self.state, queue)
    }

    fn secrets(&self, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
        secret::open(&self.state, url)
    }

    fn check(&self, manifest: &Manifest) -> Result<()> {
        host::check_names(&self.state.config, manifest)
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        self.check(&app.manifest)?;
        host::run(self.handler(app)).await
    }
}
