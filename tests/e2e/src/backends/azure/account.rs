//! What the deployment makes on Azure: containers, tables, topics, queues. Here it is made when it is
//! opened first, since a trial does not declare before.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use isobar::Result;
use isobar::clock::ManualClock;
use isobar::driver::{Derived, Environment, Location, POISON, ResourceKind, ResourceUrl};
use isobar::manifest::Manifest;
use parking_lot::Mutex;

use super::grid::Grid;
use super::letter::Letter;
use super::service_bus::{ServiceBus, Sessions};
use super::storage::Storage;
use super::tap::Tap;
use super::{Services, cosmos};
use crate::backends::provisioned::Deployment;
use crate::emulators::{ACCOUNT, ACCOUNT_KEY, COSMOS_KEY};

/// The part of the functions' names that only the host knows.
pub(super) const SECRET: &str = "0123456789abcdefghijklmnopqrstuv";

/// The emulated accounts, and the names of one trial in them.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) storage: Arc<Storage>,
    pub(super) bus: ServiceBus,
    pub(super) tap: Arc<Tap>,
    pub(super) prefix: String,
    /// Dead letters that were read, with the place that they were in: reading must not lose them.
    pub(super) dead: Mutex<Vec<(String, Letter)>>,
    services: Services,
    grid: Arc<Grid>,
    /// Locked while one is made: who opens it at the same time waits until it is there.
    made: tokio::sync::Mutex<BTreeSet<String>>,
}

impl Account {
    pub(super) async fn open(services: &Services, prefix: &str, clock: &ManualClock) -> Result<Self> {
        let storage = Arc::new(Storage::new(services.clone())?);
        let tap = Tap::start(&services.queue, Arc::clone(&storage), clock).await?;
        let grid = Grid::start(&services.blob, Arc::clone(&storage), clock).await?;
        let bus = ServiceBus::start(Arc::new(clock.clone())).await?;
        let (prefix, services) = (prefix.to_owned(), services.clone());
        let (dead, made) = Default::default();
        Ok(Self { storage, bus, tap, prefix, dead, services, grid, made })
    }

    /// Are values in Cosmos DB and messages in Service Bus?
    pub(super) fn is_full(&self) -> bool {
        self.services.cosmos.is_some()
    }

    /// What the app settings say of these accounts.
    pub(super) fn environment(&self) -> Environment {
        let (blob, queue, table) = (self.grid.url(), self.tap.url(), &self.services.table);
        let storage = format!(
            "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={blob}/{ACCOUNT};\
             QueueEndpoint={queue}/{ACCOUNT};TableEndpoint={table}/{ACCOUNT}"
        );
        let mut environment = Environment::default()
            .with_var("AZURE_STORAGE_CONNECTION_STRING", storage)
            .with_var("ISOBAR_TRIGGER_SECRET", SECRET)
            .with_var("ISOBAR_PREFIX", &*self.prefix);
        if let Some(endpoint) = &self.services.cosmos {
            let cosmos = format!("AccountEndpoint={endpoint}/;AccountKey={COSMOS_KEY}");
            environment = environment
                .with_var("AZURE_COSMOS_CONNECTION_STRING", cosmos)
                .with_var("AZURE_SERVICEBUS_CONNECTION_STRING", self.bus.connection_string());
        }
        environment
    }

    /// The same for an app, with the URLs of its tables and topics that are not where they are by default.
    pub(super) fn environment_of(&self, manifest: &Manifest) -> Environment {
        let tables = manifest.tables().map(|it| (ResourceKind::Table, &it.name));
        let topics = manifest.topics().map(|it| (ResourceKind::Topic, &it.name));
        let sources = manifest.messages().map(|it| (ResourceKind::Topic, &it.topic));
        let placed = tables.chain(topics).chain(sources).filter_map(|(kind, name)| {
            let variable = format!("ISOBAR_{kind}_{name}").to_ascii_uppercase().replace('-', "_");
            self.url(kind, name).map(|url| (variable, url))
        });
        placed.fold(self.environment(), |all, (name, url)| all.with_var(name, url))
    }

    /// The URL of a resource that is not where it is by default.
    fn url(&self, kind: ResourceKind, name: &str) -> Option<String> {
        match kind {
            _ if self.is_full() => None,
            ResourceKind::Table => Some(format!("aztable://{}", table(&self.physical(name)))),
            ResourceKind::Topic => Some(format!("azqueue://{}", self.physical(name))),
            _ => None,
        }
    }

    pub(super) fn physical(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn make_topic(&self, name: &str) {
        self.bus.create_subscription(name, name, Sessions::None);
        self.bus.create_subscription(&Derived::Ordered.of(name), name, Sessions::Required);
        self.bus.create_queue(&Derived::DeadLetters.of(name));
    }

    async fn make_queues(&self, name: &str) -> Result<()> {
        self.storage.make_queue(&format!("{name}{POISON}")).await?;
        self.storage.make_queue(name).await
    }

    /// Makes all that an app has.
    pub(super) async fn deploy(&self, manifest: &Manifest) -> Result<()> {
        let tables = manifest.tables().map(|it| (ResourceKind::Table, &it.name));
        let buckets = manifest.buckets().map(|it| (ResourceKind::Bucket, &it.name));
        let topics = manifest.topics().map(|it| (ResourceKind::Topic, &it.name));
        for (kind, name) in tables.chain(buckets).chain(topics) {
            self.make(kind, name).await?;
        }
        self.subscribe(manifest).await
    }

    /// Makes what an app's triggers come from, and leads the events of buckets to their queues.
    pub(super) async fn subscribe(&self, manifest: &Manifest) -> Result<()> {
        for trigger in manifest.messages() {
            self.make(ResourceKind::Topic, &trigger.topic).await?;
        }
        for trigger in manifest.objects() {
            self.make(ResourceKind::Bucket, &trigger.bucket).await?;
            let container = self.physical(&trigger.bucket);
            let queue = Derived::Events.without_double_hyphen(&container);
            if !self.grid.leads(&container) {
                self.make_queues(&queue).await?;
                self.grid.lead(container, queue);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Deployment for Account {
    async fn make(&self, kind: ResourceKind, name: &str) -> Result<()> {
        let name = self.physical(name);
        let mut made = self.made.lock().await;
        let resource = format!("{kind} {name}");
        if made.contains(&resource) {
            return Ok(());
        }
        match (kind, &self.services.cosmos) {
            (ResourceKind::Table, Some(endpoint)) => cosmos::make_container(endpoint, &name).await?,
            (ResourceKind::Table, None) => self.storage.make_table(&table(&name)).await?,
            (ResourceKind::Bucket, _) => self.storage.make_container(&name).await?,
            (ResourceKind::Topic, Some(_)) => self.make_topic(&name),
            (ResourceKind::Topic, None) => self.make_queues(&name).await?,
            _ => return Err(kind.not_opened("azure")),
        }
        made.insert(resource);
        Ok(())
    }

    fn placed(&self, at: &Location) -> Result<Location> {
        match self.url(at.kind(), at.name()) {
            Some(url) if at.url().is_none() => Ok(at.clone().with_url(ResourceUrl::parse(&url)?)),
            _ => Ok(at.clone()),
        }
    }
}

/// A table's name has letters and digits only: the one that stands for `-` is escaped.
fn table(name: &str) -> String {
    name.replace('q', "q0").replace('-', "q1")
}
