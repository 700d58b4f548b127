//! The AWS provider of isobar.
//!
//! | trait | service |
//! |---|---|
//! | function | Lambda: one binary answers API Gateway, Function URLs, load balancers, queues, S3, EventBridge and direct calls |
//! | key-value | DynamoDB, with its streams |
//! | blob | S3 |
//! | pub/sub | SNS topics with SQS queues as their subscriptions |
//! | secrets, configurations | Parameter Store, or Secrets Manager |
//!
//! [`config`] lists the resources that must exist and their names.

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
mod service_error;
mod state;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use isobar_abstraction::driver::blob::Blob;
use isobar_abstraction::driver::key_value::KeyValue;
use isobar_abstraction::driver::pub_sub::{Backlog, PubSub};
use isobar_abstraction::driver::secret::SecretStore;
use isobar_abstraction::driver::{Adapter, Clock, Hosted, Location, Prefix, Profile, Provider, ResourceUrl};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{EventQueue, Result};
use isobar_rest::{Client, SystemClock};

pub use config::{AwsConfig, LambdaFunction};
pub use deployment::{places, schedule_expression};
pub use host::{Lambda, LambdaCall, LambdaReply};
pub use isobar_rest::Safety;
pub use permissions::{PERMISSION_ROWS, permissions};
pub use pub_sub::dead_letter::dead_letter;
pub use service::AwsService;

use credentials::Credentials;
use state::State;

/// The entry of this provider in the facade's table of adapters.
pub const ADAPTER: Adapter = Adapter::new("aws", &["dynamodb", "s3", "sns", "ssm", "secretsmanager"], |environment| {
    Ok(Arc::new(AwsProvider::new(AwsConfig::from_environment(environment)?)))
})
.with_marks(&["AWS_LAMBDA_RUNTIME_API"])
.with_single_thread();

/// The AWS provider. Cheap to create and to clone; it connects at the first use.
#[derive(Debug, Clone)]
pub struct AwsProvider(Arc<State>);

impl AwsProvider {
    /// A provider that uses the machine's clock.
    pub fn new(config: AwsConfig) -> Self {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// A provider that uses another clock, for tests. Signatures always carry the machine's time.
    pub fn with_clock(config: AwsConfig, clock: Arc<dyn Clock>) -> Self {
        let client = Client::new(config.client.clone(), Arc::clone(&clock));
        let credentials = Credentials::new(&config, client.clone());
        Self(Arc::new(State { config, clock, client, credentials, account: OnceLock::new() }))
    }

    /// An AWS service without a trait in isobar, called with signed requests.
    ///
    /// `name` is the first label of the service's host names: `comprehend`, `events`, `lambda`.
    /// Errors: `Config` without a region.
    pub fn service(&self, name: &'static str, region: Option<&str>) -> Result<AwsService> {
        AwsService::new(Arc::clone(&self.0), name, region)
    }

    /// The handler of Lambda's events, without the loop that fetches them: for tests and for other loops.
    pub fn lambda(&self, app: Hosted) -> Lambda {
        Lambda { state: Arc::clone(&self.0), app }
    }
}

#[async_trait]
impl Provider for AwsProvider {
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
        host::run(self.lambda(app)).await
    }
}
