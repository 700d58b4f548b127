//! Azure's services in emulators, and the Functions handler in this process.
//!
//! The emulators are Azurite for blobs, queues and tables, and the one of Azure's own driver for Cosmos DB. **Doubles of
//! isobar** are Service Bus (`service_bus`), Key Vault (`key_vault`), Event Grid, which sends the events of a container to
//! queues (`event_grid`), the Cosmos DB trigger (`feed`), and what the Functions host does around a handler (`delivery`).
//! Time is the trial's: a queue hides a message for as long as it can, and shows it when the manual clock has passed its
//! visibility timeout (`queue_proxy`).

mod account;
mod cosmos;
mod delivery;
pub mod deployed;
mod event_grid;
mod feed;
pub mod gaps;
mod host;
pub mod key_vault;
mod queue_proxy;
pub mod service_bus;
mod storage;

use std::sync::Arc;

use async_trait::async_trait;
use isobar::clock::ManualClock;
use isobar::driver::pub_sub::Backlog;
use isobar::driver::{Clock, Provider};
use isobar::manifest::Manifest;
use isobar::{EventQueue, Result};
use isobar_azure::{AzureConfig, AzureProvider, HttpMode, function_app};

use self::account::Account;
pub(super) use self::account::table;
use self::delivery::AzureApp;
use self::host::Host;
use crate::backends::Double;
use crate::backends::cloud::{self, CloudUnderTest, Emulated, declare};
use crate::backends::pause::PauseClock;
use crate::backends::provisioned::{Deployment, Provisioned};
use crate::emulators::Azurite;
use crate::functions_host::Files;
use isobar_conformance::{BuildApp, HarnessResult};

/// The doubles among these services.
pub const DOUBLES: &[Double] = &[
    Double { name: "Service Bus", only: &["PS-7", "PS-15", "an_identity_publishes_to_the_double_of_service_bus"] },
    Double {
        name: "Key Vault",
        only: &["secrets_of_python_are_ours", "a_vault_that_rejects_or_hangs_is_an_error", "SE-1", "SE-2"],
    },
    Double { name: "Event Grid", only: &["BL-14", "BL-24"] },
    Double { name: "the Cosmos DB trigger of Functions, on the emulator's change feed", only: &["KV-26"] },
    Double {
        name: "the Functions host, in this process, by the trial's clock",
        only: &["PS-2", "PS-3", "PS-16", "FN-6"],
    },
    Double { name: "the visibility of Storage Queues, by the trial's clock", only: &["PS-3", "PS-16"] },
    Double {
        name: "the Functions host, as a process",
        only: &["a_handler_that_is_killed_loses_nothing", "no_client_can_fire_a_trigger"],
    },
    Double {
        name: "the endpoint of managed identities",
        only: &["an_identity_opens_the_storage_account", "an_identity_signs_urls_of_objects"],
    },
    Double {
        name: "Cosmos DB by HTTP, around the emulator in Azure's own driver",
        only: &["KV-13", "KV-15", "python_reads_our_items_in_cosmos_db", "throttled_requests_are_retried"],
    },
];

/// Where the services listen, each without a slash at its end.
#[derive(Debug, Clone)]
pub struct Services {
    /// Azurite's blobs.
    pub blob: String,
    /// Azurite's queues.
    pub queue: String,
    /// Azurite's tables.
    pub table: String,
    /// Cosmos DB. Without it, values are in Azurite's tables and messages in its queues.
    pub cosmos: Option<String>,
}

impl Services {
    /// A storage account alone: the cheap services.
    pub fn storage(azurite: &Azurite) -> Self {
        let (blob, queue, table) = (azurite.blob.clone(), azurite.queue.clone(), azurite.table.clone());
        Self { blob, queue, table, cosmos: None }
    }

    /// Cosmos DB and Service Bus, and blobs in a storage account.
    pub fn with_cosmos(self, endpoint: &str) -> Self {
        Self { cosmos: Some(endpoint.to_owned()), ..self }
    }

    /// Opens the accounts of one trial. Without `bus`, the clock of Service Bus is that of the trial.
    async fn open_by(&self, prefix: &str, bus: Option<Arc<dyn Clock>>) -> Result<AzureTrial> {
        let clock = PauseClock::default();
        let bus = bus.unwrap_or_else(|| Arc::new(clock.manual.clone()));
        let account = Account::open(self, prefix, &clock.manual, bus).await?;
        let config = AzureConfig::from_environment(&account.environment())?;
        Ok(AzureTrial { account: Arc::new(account), clock, config })
    }
}

/// Azure's services in emulators, and apps behind a double of the Functions host in this process.
pub type Azure = Emulated<Services>;

#[async_trait]
impl cloud::Services for Services {
    type Trial = AzureTrial;

    async fn open(&self, prefix: &str) -> Result<AzureTrial> {
        self.open_by(prefix, None).await
    }
}

/// The resources of one trial.
#[derive(Debug)]
pub struct AzureTrial {
    account: Arc<Account>,
    clock: PauseClock,
    config: AzureConfig,
}

impl AzureTrial {
    fn provisioned(&self, config: AzureConfig) -> Provisioned<AzureProvider, Account> {
        let provider = AzureProvider::with_clock(config, Arc::new(self.clock.clone()));
        Provisioned { provider, account: Arc::clone(&self.account) }
    }
}

#[async_trait]
impl CloudUnderTest for AzureTrial {
    type App = AzureApp;

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provisioned(self.config.clone()))
    }

    fn clock(&self) -> &ManualClock {
        &self.clock.manual
    }

    async fn run(&self, app: BuildApp) -> Result<AzureApp> {
        let provisioned = self.provisioned(self.config.clone());
        // Caches a token: one is requested by the machine's time, at which the deadlines of this clock are over.
        provisioned.secrets(None)?.get("none").await?;
        let hosted = declare(provisioned, app)?;
        let manifest = Arc::clone(&hosted.manifest);
        self.account.subscribe(&manifest).await?;
        // The host reads the sources of an app's events from configuration alone.
        let config = AzureConfig::from_environment(&self.account.environment_of(&manifest))?;
        let files = files(&manifest, &config, HttpMode::Proxying)?;
        let provider = self.provisioned(config).provider;
        let host = Host::Here { handler: provider.handler(hosted), files };
        let account = Arc::clone(&self.account);
        Ok(AzureApp { host, provider, manifest, account, clock: self.clock.clone(), aging: None })
    }

    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        let settings = self.account.environment_with([(queue.kind(), queue.source())]);
        self.provisioned(AzureConfig::from_environment(&settings)?).backlog(queue)
    }

    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        self.account.vault.set(key, value);
        Ok(())
    }
}

/// The files that a deployment puts next to the app.
fn files(manifest: &Manifest, config: &AzureConfig, http: HttpMode) -> Result<Files> {
    let isobar_azure::FunctionApp { host, functions } = function_app(manifest, config, "app", http)?;
    Ok(Files { host, functions })
}
