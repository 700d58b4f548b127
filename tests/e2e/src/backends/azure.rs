//! Azure's services, as emulators that others wrote have them, and the Functions handler in this process.
//!
//! What the services do is the emulators': Azurite's for blobs, queues and tables, that of Azure's own driver for
//! Cosmos DB. **Doubles of ours** are Service Bus (`service_bus`), Event Grid, which puts what happens in a container
//! into a queue (`grid`), and what the Functions host does around a handler (`delivery`). Time is the trial's: a
//! queue is asked to hide a message for long, and to show it when the manual clock says so (`tap`).

mod account;
mod cosmos;
mod delivery;
pub mod deployed;
pub mod gaps;
mod grid;
mod host;
mod letter;
mod letters;
pub mod service_bus;
mod storage;
mod tap;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Hosted};
use isobar::manifest::Manifest;
use isobar::{Body, Cloud, Result, TestResponse};
use isobar_azure::{AzureConfig, AzureProvider, HttpMode, function_app};

use self::account::Account;
use self::delivery::AzureApp;
use self::host::Host;
use crate::backends::Double;
use crate::backends::held::HeldClock;
use crate::backends::provisioned::Provisioned;
use crate::emulators::Azurite;
use crate::functions_host::Files;
use isobar_conformance::{BuildApp, Gap, Harness, HarnessResult, RunningApp, World};

/// What is ours here.
pub const DOUBLES: &[Double] = &[
    Double { name: "Service Bus", only: &["PS-7", "an_identity_publishes_to_the_double_of_service_bus"] },
    Double { name: "Event Grid", only: &["BL-14"] },
    Double { name: "the Functions host, in this process, by the trial's clock", only: &["PS-2", "PS-3", "FN-6"] },
    Double { name: "the visibility of Storage Queues, by the trial's clock", only: &["PS-3"] },
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
    /// What is in a storage account alone: the cheap ones.
    pub fn storage(azurite: &Azurite) -> Self {
        let (blob, queue, table) = (azurite.blob.clone(), azurite.queue.clone(), azurite.table.clone());
        Self { blob, queue, table, cosmos: None }
    }

    /// Cosmos DB and Service Bus, and blobs in a storage account.
    pub fn with_cosmos(self, endpoint: &str) -> Self {
        Self { cosmos: Some(endpoint.to_owned()), ..self }
    }
}

/// Azure's services in emulators.
#[derive(Debug, Clone)]
pub struct Azure {
    /// The backend's name.
    pub name: &'static str,
    /// Where they listen.
    pub services: Services,
    /// What they get wrong.
    pub gaps: &'static [Gap],
}

static WORLDS: AtomicU64 = AtomicU64::new(1);

#[async_trait]
impl Harness for Azure {
    fn name(&self) -> &'static str {
        self.name
    }

    fn gaps(&self) -> &'static [Gap] {
        self.gaps
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        self.open_as(&format!("w{}-", WORLDS.fetch_add(1, Ordering::Relaxed))).await
    }
}

impl Azure {
    /// A world whose resources have this before their names on Azure; nothing else may have it.
    pub async fn open_as(&self, prefix: &str) -> Result<Box<dyn World>> {
        Ok(Box::new(AzureWorld::open(&self.services, prefix).await?))
    }
}

#[derive(Debug)]
struct AzureWorld {
    account: Arc<Account>,
    clock: HeldClock,
    config: AzureConfig,
}

impl AzureWorld {
    async fn open(services: &Services, prefix: &str) -> Result<Self> {
        let clock = HeldClock::default();
        let account = Account::open(services, prefix, &clock.manual).await?;
        let config = AzureConfig::from_environment(&account.environment())?;
        Ok(Self { account: Arc::new(account), clock, config })
    }

    fn provider(&self, config: AzureConfig) -> Provisioned<AzureProvider, Account> {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Provisioned { provider: AzureProvider::with_clock(config, clock), account: Arc::clone(&self.account) }
    }
}

#[async_trait]
impl World for AzureWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider(self.config.clone())))
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock.manual)
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        let cloud = self.cloud();
        let mut app = app(&cloud)?;
        let manifest = Arc::new(app.start(&cloud)?);
        self.account.subscribe(&manifest).await?;
        // The host knows where the events of an app come from by configuration alone.
        let config = AzureConfig::from_environment(&self.account.environment_of(&manifest))?;
        let files = files(&manifest, &config, HttpMode::Proxying)?;
        let hosted = Hosted::new(app, Arc::clone(&manifest));
        let handler = self.provider(config).provider.handler(hosted);
        let (host, account) = (Host::Here { handler, files }, Arc::clone(&self.account));
        Ok(Box::new(AzureApp { host, manifest, account, clock: self.clock.clone(), aging: None }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(super::send(request.map(Body::from)).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

/// What a deployment puts beside the app.
fn files(manifest: &Manifest, config: &AzureConfig, http: HttpMode) -> Result<Files> {
    let isobar_azure::FunctionApp { host, functions } = function_app(manifest, config, "app", http)?;
    Ok(Files { host, functions })
}
