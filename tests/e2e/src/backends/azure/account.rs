//! What a deployment makes on Azure: containers, tables, topics and queues. Here each is made when it is first opened,
//! since a trial does not declare resources before.

use std::sync::Arc;

use async_trait::async_trait;
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Derived, Environment, Location, POISON, ResourceKind, ResourceUrl};
use isobar::manifest::Manifest;
use isobar::{EventQueue, Result};

use super::event_grid::EventGrid;
use super::feed::Feeds;
use super::key_vault::KeyVault;
use super::queue_proxy::QueueProxy;
use super::service_bus::{ServiceBus, Sessions};
use super::storage::Storage;
use super::{Services, cosmos};
use crate::backends::provisioned::{Deployment, Made};
use crate::emulators::{ACCOUNT, ACCOUNT_KEY, COSMOS_KEY, Identity, Issued};

/// The part of the functions' names that is known to the host alone.
pub(super) const SECRET: &str = "0123456789abcdefghijklmnopqrstuv";

/// The emulated accounts, and the names of one trial in them.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) storage: Arc<Storage>,
    pub(super) bus: ServiceBus,
    pub(super) queues: Arc<QueueProxy>,
    pub(super) prefix: String,
    /// Only with Cosmos DB.
    pub(super) feeds: Option<Feeds>,
    pub(super) vault: KeyVault,
    services: Services,
    /// Of the app, for the vault alone.
    identity: Identity,
    event_grid: Arc<EventGrid>,
    made: Made,
}

impl Account {
    pub(super) async fn open(
        services: &Services,
        prefix: &str,
        clock: &ManualClock,
        bus: Arc<dyn Clock>,
    ) -> Result<Self> {
        let storage = Arc::new(Storage::new(services.clone())?);
        let queues = QueueProxy::start(&services.queue, Arc::clone(&storage), clock).await?;
        let event_grid = EventGrid::start(&services.blob, Arc::clone(&storage), clock).await?;
        let bus = ServiceBus::start(bus).await?;
        let feeds = services.cosmos.clone().map(Feeds::new);
        let (vault, identity) = (KeyVault::start().await?, Identity::start(Issued::default()).await?);
        let (prefix, services) = (prefix.to_owned(), services.clone());
        let made = Made::default();
        Ok(Self { storage, bus, queues, prefix, feeds, vault, services, identity, event_grid, made })
    }

    /// Whether values are in Cosmos DB and messages in Service Bus.
    pub(super) fn is_full(&self) -> bool {
        self.services.cosmos.is_some()
    }

    /// The app settings for these accounts.
    pub(super) fn environment(&self) -> Environment {
        let (blob, queue, table) = (self.event_grid.url(), self.queues.url(), &self.services.table);
        let storage = format!(
            "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={blob}/{ACCOUNT};\
             QueueEndpoint={queue}/{ACCOUNT};TableEndpoint={table}/{ACCOUNT}"
        );
        let mut environment = Environment::default()
            .with_var("AZURE_STORAGE_CONNECTION_STRING", storage)
            .with_var("ISOBAR_TRIGGER_SECRET", SECRET)
            .with_var("ISOBAR_SECRETS", self.vault.secrets())
            .with_var("ISOBAR_PREFIX", &*self.prefix);
        for (name, value) in self.identity.variables() {
            environment = environment.with_var(name, value);
        }
        if let Some(endpoint) = &self.services.cosmos {
            let cosmos = format!("AccountEndpoint={endpoint}/;AccountKey={COSMOS_KEY}");
            environment = environment
                .with_var("AZURE_COSMOS_CONNECTION_STRING", cosmos)
                .with_var("AZURE_SERVICEBUS_CONNECTION_STRING", self.bus.connection_string());
        }
        environment
    }

    /// The app settings of an app, with the URLs of its tables and topics that are not at the default place.
    pub(super) fn environment_of(&self, manifest: &Manifest) -> Environment {
        let tables = manifest.tables().map(|it| (ResourceKind::Table, &it.name));
        let topics = manifest.topics().map(|it| (ResourceKind::Topic, &it.name));
        let sources = manifest.messages().map(|it| (ResourceKind::Topic, &it.topic));
        self.environment_with(tables.chain(topics).chain(sources).map(|(kind, name)| (kind, name.as_str())))
    }

    /// The app settings of an app with these resources.
    pub(super) fn environment_with<'a>(
        &self,
        resources: impl IntoIterator<Item = (ResourceKind, &'a str)>,
    ) -> Environment {
        let urls = resources.into_iter().filter_map(|(kind, name)| Some((kind.variable(name), self.url(kind, name)?)));
        urls.fold(self.environment(), |all, (name, url)| all.with_var(name, url))
    }

    /// The URL of a resource that is not at the default place.
    fn url(&self, kind: ResourceKind, name: &str) -> Option<String> {
        match kind {
            _ if self.is_full() => None,
            ResourceKind::Table => Some(format!("aztable://{}", table(&self.physical(name)))),
            ResourceKind::Topic => Some(format!("azqueue://{}", self.physical(name))),
            _ => None,
        }
    }

    /// Makes a subscription of a topic and of its second topic, and the queue of its dead letters.
    fn create_subscription(&self, topic: &str, name: &str) {
        self.bus.create_subscription(topic, name, Sessions::None);
        self.bus.create_subscription(&Derived::Ordered.of(topic), name, Sessions::Required);
        self.bus.create_queue(&Derived::DeadLetters.of(name));
    }

    async fn create_queues(&self, name: &str) -> Result<()> {
        self.storage.create_queue(&format!("{name}{POISON}")).await?;
        self.storage.create_queue(name).await
    }

    /// Makes all resources of an app.
    pub(super) async fn deploy(&self, manifest: &Manifest) -> Result<()> {
        let tables = manifest.tables().map(|it| (ResourceKind::Table, &it.name));
        let buckets = manifest.buckets().map(|it| (ResourceKind::Bucket, &it.name));
        let topics = manifest.topics().map(|it| (ResourceKind::Topic, &it.name));
        for (kind, name) in tables.chain(buckets).chain(topics) {
            self.make(kind, name).await?;
        }
        self.subscribe(manifest).await
    }
}

#[async_trait]
impl Deployment for Account {
    fn made(&self) -> &Made {
        &self.made
    }

    fn physical(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn create(&self, kind: ResourceKind, name: &str) -> Result<()> {
        match (kind, &self.services.cosmos) {
            (ResourceKind::Table, Some(endpoint)) => cosmos::create_container(endpoint, name).await,
            (ResourceKind::Table, None) => self.storage.create_table(&table(name)).await,
            (ResourceKind::Bucket, _) => self.storage.create_container(name).await,
            (ResourceKind::Topic, Some(_)) => {
                self.create_subscription(name, name);
                Ok(())
            }
            (ResourceKind::Topic, None) => self.create_queues(name).await,
            _ => Err(kind.not_opened("azure")),
        }
    }

    async fn route(&self, queue: &EventQueue, source: &str) -> Result<()> {
        let place = storage_queue(queue, source);
        match (queue.kind(), &self.feeds) {
            (ResourceKind::Topic, Some(_)) => self.create_subscription(source, &queue.physical(source)),
            (ResourceKind::Bucket, _) => {
                self.create_queues(&place).await?;
                self.event_grid.route(source.to_owned(), place);
            }
            (ResourceKind::Table, Some(feeds)) => {
                self.create_queues(&place).await?;
                feeds.subscribe(source).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn secrets(&self) -> Result<Option<ResourceUrl>> {
        ResourceUrl::parse_store(&self.vault.secrets()).map(Some)
    }

    fn placed(&self, at: &Location) -> Result<Location> {
        match self.url(at.kind(), at.name()) {
            Some(url) if at.url().is_none() => Ok(at.clone().with_url(ResourceUrl::parse(&url)?)),
            _ => Ok(at.clone()),
        }
    }
}

/// The Storage Queue of a trigger, by the physical name of its source.
pub(super) fn storage_queue(queue: &EventQueue, source: &str) -> String {
    let name = queue.name();
    match queue.kind() {
        ResourceKind::Bucket if queue.is_default() => format!("0events-{source}"),
        ResourceKind::Bucket => format!("0events{}-{name}-{source}", name.len()),
        ResourceKind::Table => format!("0writes-{source}"),
        _ => source.to_owned(),
    }
}

/// The name of a table, which has letters and digits only: `q1` is `-`, so `q` is escaped.
pub(crate) fn table(name: &str) -> String {
    name.replace('q', "q0").replace('-', "q1")
}
