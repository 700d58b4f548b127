//! A provider under test, whose resources are there when they are opened: a trial does not declare before.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use isobar::Result;
use isobar::driver::blob::Blob;
use isobar::driver::key_value::KeyValue;
use isobar::driver::pub_sub::PubSub;
use isobar::driver::{Clock, Hosted, Location, Profile, Provider, ResourceKind};

/// What makes resources, and knows where they are.
#[async_trait]
pub(super) trait Deployment: Debug + Send + Sync + 'static {
    /// Makes a resource, if it is not there yet.
    async fn make(&self, kind: ResourceKind, name: &str) -> Result<()>;

    /// A resource where the configuration of its app would place it.
    fn placed(&self, at: &Location) -> Result<Location> {
        Ok(at.clone())
    }
}

#[derive(Debug)]
pub(super) struct Provisioned<P, A> {
    pub(super) provider: P,
    pub(super) account: Arc<A>,
}

impl<P: Provider, A: Deployment> Provisioned<P, A> {
    /// Opening is no `async fn`, and a trial's runtime has threads enough to wait on one of them.
    fn made<T>(&self, at: &Location, open: impl FnOnce(&P, &Location) -> Result<T>) -> Result<T> {
        let opened = open(&self.provider, &self.account.placed(at)?)?;
        if at.url().is_none() {
            let make = self.account.make(at.kind(), at.name());
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(make))?;
        }
        Ok(opened)
    }
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
        self.made(at, P::key_value)
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        self.made(at, P::blob)
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        self.made(at, P::pub_sub)
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        self.provider.host(app).await
    }
}
