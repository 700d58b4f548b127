//! What the backends of clouds share: the world of a trial, and the backend whose services are emulators.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::clock::ManualClock;
use isobar::driver::pub_sub::Backlog;
use isobar::driver::{Hosted, Provider};
use isobar::{App, Body, Cloud, EventQueue, Result, TestResponse};

use super::send;
use isobar_conformance::{BuildApp, Gap, Harness, HarnessResult, Lacks, RunningApp, World};

/// One trial's part of a cloud: its data, and how an app is run on them.
#[async_trait]
pub trait CloudUnderTest: Send + Sync + Sized + 'static {
    /// The app that runs.
    type App: RunningApp + 'static;

    /// A new provider over the data of the trial.
    fn provider(&self) -> Arc<dyn Provider>;

    /// The trial's clock.
    fn clock(&self) -> &ManualClock;

    /// Runs an app. Where the app is a binary, `app` must declare the same.
    async fn run(&self, app: BuildApp) -> Result<Self::App>;

    /// Sets a value in the store of secrets, by its key; `None` removes it.
    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        let _ = (key, value);
        Err(Lacks::Secrets.into())
    }

    /// The backlog of a queue, which it makes if it does not exist.
    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        self.provider().backlog(queue)
    }

    /// Sends a request whose URL has a host, such as a signed one.
    async fn fetch(&self, request: Request<Bytes>) -> Result<TestResponse> {
        send(request.map(Body::from)).await
    }
}

/// The world of a trial on a cloud. It keeps its data for as long as the emulators run.
#[derive(Debug)]
pub struct CloudWorld<C>(pub C);

impl<C: CloudUnderTest> CloudWorld<C> {
    /// As [`start`](World::start), with the app's own type.
    pub async fn run(&self, app: BuildApp) -> Result<C::App> {
        self.0.run(app).await
    }
}

#[async_trait]
impl<C: CloudUnderTest> World for CloudWorld<C> {
    fn cloud(&self) -> Cloud {
        Cloud::new(self.0.provider())
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(self.0.clock())
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        Ok(Box::new(self.run(app).await?))
    }

    async fn set_secret(&self, name: &str, value: Option<&str>) -> HarnessResult<()> {
        let key = format!("{}{name}", self.0.provider().prefix().get()?);
        self.0.set_secret(&key, value).await
    }

    async fn backlog(&self, queue: &EventQueue) -> HarnessResult<Arc<dyn Backlog>> {
        Ok(self.0.backlog(queue)?)
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(self.0.fetch(request).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

/// The services of a cloud in emulators, shared by all trials.
#[async_trait]
pub trait Services: Send + Sync + 'static {
    /// A trial's part of them.
    type Trial: CloudUnderTest;

    /// Opens the part whose resources have this prefix, which no other trial may have.
    async fn open(&self, prefix: &str) -> Result<Self::Trial>;
}

/// A backend whose services are emulators, and whose apps run in this process.
#[derive(Debug, Clone)]
pub struct Emulated<S> {
    /// The backend's name.
    pub name: &'static str,
    /// Where the services listen.
    pub services: S,
    /// What they get wrong.
    pub gaps: &'static [Gap],
}

impl<S: Services> Emulated<S> {
    /// A world whose resources have this prefix, which no other may have.
    pub async fn open_as(&self, prefix: &str) -> Result<Box<dyn World>> {
        Ok(Box::new(CloudWorld(self.services.open(prefix).await?)))
    }
}

#[async_trait]
impl<S: Services> Harness for Emulated<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn gaps(&self) -> &'static [Gap] {
        self.gaps
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        self.open_as(&new_prefix()).await
    }
}

/// A prefix that no other world of this process has.
pub(super) fn new_prefix() -> String {
    static WORLDS: AtomicU64 = AtomicU64::new(1);
    format!("w{}-", WORLDS.fetch_add(1, Ordering::Relaxed))
}

/// An app with its manifest, declared on a provider.
pub(super) fn declare(provider: impl Provider, app: impl FnOnce(&Cloud) -> Result<App>) -> Result<Hosted> {
    let cloud = Cloud::new(Arc::new(provider));
    let mut app = app(&cloud)?;
    let manifest = Arc::new(app.start(&cloud)?);
    Ok(Hosted::new(app, manifest))
}
