//! An app as a person runs it: the binary, on a port and in a folder of its own, with no mark of any platform.
//!
//! The app's clock is the machine's. Where a trial moves the clock, the app is stopped, the expiry of what it stored
//! is moved back, and it is started again: one process at a time has the folder.

mod endpoints;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use isobar::clock::ManualClock;
use isobar::driver::ResourceKind;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Cloud, Error, Result, TestResponse};
use serde_json::Value;
use tempfile::TempDir;

use endpoints::Endpoints;

use super::aging::{Aging, age};
use super::local::{Inspector, LocalApp};
use super::send;
use super::service::Service;
use crate::built;
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

/// The binary of one app, built with the feature `local` and perhaps others.
#[derive(Debug, Clone)]
pub struct Laptop(pub PathBuf);

#[async_trait]
impl Harness for Laptop {
    fn name(&self) -> &'static str {
        "laptop"
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        let folder = TempDir::new().map_err(|error| Error::internal("no temporary folder").with_source(error))?;
        let (executable, folder) = (self.0.clone(), Arc::new(folder));
        Ok(Box::new(LaptopWorld { executable, folder, clock: ManualClock::default(), served: Arc::default() }))
    }
}

/// What the binary serves, once it runs.
type Served = Arc<OnceLock<Arc<LocalApp>>>;

struct LaptopWorld {
    executable: PathBuf,
    folder: Arc<TempDir>,
    clock: ManualClock,
    served: Served,
}

#[async_trait]
impl World for LaptopWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(Endpoints { clock: self.clock.clone(), served: Arc::clone(&self.served) }))
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock)
    }

    /// Runs the binary; the app that is given must be the one that the binary is of.
    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        let manifest = built::manifest(&self.executable, app).await?;
        let data = self.folder.path().display().to_string();
        let service = Service::start(self.executable.clone(), vec![("ISOBAR_DATA".to_owned(), data)]).await?;
        let inspector = Inspector::File(self.folder.path().join("inspector.json"));
        let served = Arc::new(LocalApp::at(&format!("127.0.0.1:{}", service.port()), inspector, manifest)?);
        // It says itself which host it took.
        let overview: Value = served.inspect(Method::GET, "", Bytes::new()).await?.json()?;
        if overview["provider"] != "local" {
            return Err(Error::internal(format!("not a laptop: {overview}")).into());
        }
        self.served.set(Arc::clone(&served)).map_err(|_| Error::config("this world runs an app already"))?;
        let (folder, clock) = (Arc::clone(&self.folder), self.clock.clone());
        Ok(Box::new(LaptopApp { service, served, folder, aging: Aging::new(&clock) }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(send(request.map(Body::from)).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

struct LaptopApp {
    service: Service,
    served: Arc<LocalApp>,
    folder: Arc<TempDir>,
    aging: Aging,
}

impl LaptopApp {
    async fn catch_up(&self) -> Result<()> {
        let Some(by) = self.aging.take() else { return Ok(()) };
        self.service.terminate().await?;
        let ended = self.service.ended().await?;
        if !ended.success() {
            return Err(Error::internal(format!("the app did not end well: {ended}")));
        }
        let provider = LocalProvider::new(LocalConfig::new(self.folder.path()));
        age(&provider, self.served.manifest(), by).await?;
        // With the last handle the folder is given up.
        drop(provider);
        self.service.start_again().await
    }
}

#[async_trait]
impl RunningApp for LaptopApp {
    fn manifest(&self) -> &Manifest {
        self.served.manifest()
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        self.catch_up().await?;
        self.served.http(request).await
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        self.served.invoke(function, payload).await
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        self.served.tick(schedule).await
    }

    async fn deliver(&self) -> HarnessResult<()> {
        self.served.deliver().await
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> HarnessResult<Vec<DeadLetter>> {
        self.served.dead_letters(kind, name).await
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> HarnessResult<usize> {
        self.served.redrive(kind, name).await
    }
}
