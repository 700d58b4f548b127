//! The Google Cloud provider of isobar.
//!
//! | trait | service |
//! |---|---|
//! | function | a Cloud Run service: HTTP, CloudEvents of Eventarc, pushes of Pub/Sub, Cloud Scheduler |
//! | key-value | Firestore |
//! | blob | Cloud Storage |
//! | pub/sub | Pub/Sub |
//! | secrets, configuration | Secret Manager |
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

pub use config::{GcpConfig, ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_KEYS, ISOBAR_EVENT_SERVICE_ACCOUNT, Settings};
pub use deployment::{ApiRequest, DeployedService, deployment, deployment_script, places};
pub use host::CloudRunService;
pub use permissions::{PERMISSION_ROWS, permissions};
pub use pub_sub::dead_letters::dead_letter;

use credentials::Credentials;
use state::State;

/// The entry of this provider in the facade's table.
pub const ADAPTER: Adapter = Adapter::new("gcp", &["firestore", "gs", "pubsub", "gsm"], |environment| {
    Ok(Arc::new(GcpProvider::new(GcpConfig::from_environment(environment)?)))
})
.with_marks(&["K_SERVICE"]);

/// The Google Cloud provider. Cheap to clone and to create; it connects at first use.
#[derive(Debug, Clone)]
pub struct GcpProvider(Arc<State>);

impl GcpProvider {
    /// A provider with the machine's clock.
    pub fn new(config: GcpConfig) -> Self {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// A provider with another clock, for tests. Signatures and tokens always use the real time.
    pub fn with_clock(config: GcpConfig, clock: Arc<dyn Clock>) -> Self {
        let client = Client::new(config.client.clone(), Arc::clone(&clock));
        let credentials = Credentials::new(&config);
        Self(Arc::new(State { config, clock, client, credentials }))
    }

    /// The service of an app, without a listening port: for tests and for other servers.
    pub fn service(&self, app: Hosted) -> CloudRunService {
        CloudRunService::new(Arc::clone(&self.0), app)
    }
}

#[async_trait]
impl Provider for GcpProvider {
    fn profile(&self) -> &'static Profile {
        &profile::PROFILE
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        key_value::open(&self.0, at)
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        blob::open(&self.0, at)
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        pub_sub::open(&self.0, at)
    }

    fn prefix(&self) -> Prefix {
        self.0.config.prefix.clone()
    }

    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        pub_sub::backlog::open(&self.0, queue)
    }

    fn secrets(&self, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
        secret::open(&self.0, url)
    }

    fn check(&self, manifest: &Manifest) -> Result<()> {
        host::check_names(&self.0.config, manifest)
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        self.check(&app.manifest)?;
        host::run(&self.0, app).await
    }
}
