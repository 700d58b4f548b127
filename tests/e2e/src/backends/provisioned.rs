//! A provider under test that makes each resource when it is opened: a trial does not declare resources before.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use isobar::driver::blob::Blob;
use isobar::driver::key_value::KeyValue;
use isobar::driver::pub_sub::{Backlog, PubSub};
use isobar::driver::secret::SecretStore;
use isobar::driver::{Clock, Hosted, Location, Prefix, Profile, Provider, ResourceKind, ResourceUrl};
use isobar::manifest::Manifest;
use isobar::{Error, EventQueue, Result};

/// The resources that exist. It is locked while one is made: a task that opens the same resource waits until it is.
pub(super) type Made = tokio::sync::Mutex<BTreeSet<String>>;

/// What a deployment makes in an account, on the emulators of a cloud.
#[async_trait]
pub(super) trait Deployment: Debug + Send + Sync + 'static {
    fn made(&self) -> &Made;

    /// The name of a resource on the cloud.
    fn physical(&self, name: &str) -> String;

    /// Makes a resource of this physical name.
    async fn create(&self, kind: ResourceKind, name: &str) -> Result<()>;

    /// Makes the queue of a trigger, and what its events go through. `source` is the physical name of the source.
    async fn route(&self, queue: &EventQueue, source: &str) -> Result<()>;

    /// A resource where the configuration of its app would place it.
    fn placed(&self, at: &Location) -> Result<Location> {
        Ok(at.clone())
    }

    /// The store of secrets in the configuration of an app; `None` for the provider's own.
    fn secrets(&self) -> Result<Option<ResourceUrl>> {
        Ok(None)
    }

    /// Makes a resource, if it does not exist.
    async fn make(&self, kind: ResourceKind, name: &str) -> Result<()> {
        let name = self.physical(name);
        let mut made = self.made().lock().await;
        let resource = format!("{kind} {name}");
        if !made.contains(&resource) {
            self.create(kind, &name).await?;
            made.insert(resource);
        }
        Ok(())
    }

    /// Makes the sources and the queues of an app's triggers.
    async fn subscribe(&self, manifest: &Manifest) -> Result<()> {
        for (queue, _) in manifest.queues() {
            self.make_queue(&queue).await?;
        }
        Ok(())
    }

    /// Makes the source and the queue of a trigger, if they do not exist.
    async fn make_queue(&self, queue: &EventQueue) -> Result<()> {
        self.make(queue.kind(), queue.source()).await?;
        let mut made = self.made().lock().await;
        let route = format!("route to {queue}");
        if !made.contains(&route) {
            self.route(queue, &self.physical(queue.source())).await?;
            made.insert(route);
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Provisioned<P, A> {
    pub(super) provider: P,
    pub(super) account: Arc<A>,
}

impl<P: Provider, A: Deployment> Provisioned<P, A> {
    /// Opening is not an `async fn`. The thread has a runtime of its own, because all threads of the trial's runtime may wait
    /// for the same resource.
    fn open<T>(&self, at: &Location, open: impl FnOnce(&P, &Location) -> Result<T>) -> Result<T> {
        let opened = open(&self.provider, &self.account.placed(at)?)?;
        if at.url().is_none() {
            in_thread(self.account.make(at.kind(), at.name()))?;
        }
        Ok(opened)
    }
}

fn in_thread<T: Send>(make: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let made = std::thread::scope(|scope| scope.spawn(|| run(make)).join());
    made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn run<T>(make: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::internal("no runtime can be made").with_source(error))?.block_on(make)
}

#[async_trait]
impl<P: Provider, A: Deployment> Provider for Provisioned<P, A> {
    fn profile(&self) -> &'static Profile {
        self.provider.profile()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.provider.clock()
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        self.open(at, P::key_value)
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        self.open(at, P::blob)
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        self.open(at, P::pub_sub)
    }

    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        let opened = self.provider.backlog(queue)?;
        in_thread(self.account.make_queue(queue))?;
        Ok(opened)
    }

    fn prefix(&self) -> Prefix {
        self.provider.prefix()
    }

    fn secrets(&self, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
        self.provider.secrets(url.or(self.account.secrets()?.as_ref()))
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        self.provider.host(app).await
    }
}
