//! An app as a person runs it: the binary, on a port and in a folder of its own, with no mark of any platform.
//!
//! The app's clock is the machine's. Where a trial moves the clock, the app is stopped, the expiry of what it stored
//! is moved back, and it is started again: one process at a time has the folder.

mod endpoints;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use isobar::clock::to_millis;
use isobar::key_value::{Item, Put, PutMode, ScanSegment};
use isobar::local::{LocalConfig, LocalProvider};
use isobar::pub_sub::DeadLetter;
use isobar::{
    Body, Clock, Cloud, Error, KeyValue, Location, Manifest, ManualClock, Provider, ResourceKind, Result, TestResponse,
};
use serde_json::Value;
use tempfile::TempDir;

use endpoints::Endpoints;

use super::gcp::service::Service;
use super::local::{Inspector, LocalApp};
use super::{deployed, send};
use crate::{Backend, BuildApp, RunningApp, World};

/// The binary of one app, built with the feature `local` and perhaps others.
#[derive(Debug, Clone)]
pub struct Laptop(pub PathBuf);

#[async_trait]
impl Backend for Laptop {
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

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Runs the binary; the app that is given must be the one that the binary is of.
    async fn start(&self, app: BuildApp) -> Result<Box<dyn RunningApp>> {
        let memory = Cloud::memory();
        let declared = app(&memory).start(&memory)?;
        let manifest = deployed::manifest(&self.executable).await?;
        if declared != manifest {
            return Err(Error::config(format!("the binary declares another app than `{}`", declared.app)));
        }
        let data = self.folder.path().display().to_string();
        let service = Service::start(self.executable.clone(), vec![("ISOBAR_DATA".to_owned(), data)]).await?;
        let inspector = Inspector::File(self.folder.path().join("inspector.json"));
        let served = Arc::new(LocalApp::at(&format!("127.0.0.1:{}", service.port()), inspector, manifest)?);
        // It says itself which host it took.
        let overview: Value = served.inspect(Method::GET, "", Bytes::new()).await?.json()?;
        if overview["provider"] != "local" {
            return Err(Error::internal(format!("not a laptop: {overview}")));
        }
        self.served.set(Arc::clone(&served)).map_err(|_| Error::config("this world runs an app already"))?;
        let (folder, clock) = (Arc::clone(&self.folder), self.clock.clone());
        let moved = AtomicU64::new(to_millis(clock.now()));
        Ok(Box::new(LaptopApp { service, served, folder, clock, moved }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> Result<TestResponse> {
        send(request.map(Body::from)).await
    }

    async fn reopen(self: Box<Self>) -> Result<Option<Box<dyn World>>> {
        Ok(Some(self))
    }
}

struct LaptopApp {
    service: Service,
    served: Arc<LocalApp>,
    folder: Arc<TempDir>,
    clock: ManualClock,
    /// Up to when, in milliseconds of the manual clock, expiry has been moved back.
    moved: AtomicU64,
}

impl LaptopApp {
    async fn catch_up(&self) -> Result<()> {
        let now = to_millis(self.clock.now());
        let by = now.saturating_sub(self.moved.swap(now, Ordering::Relaxed));
        if by == 0 {
            return Ok(());
        }
        self.service.terminate().await?;
        let ended = self.service.ended().await?;
        if !ended.success() {
            return Err(Error::internal(format!("the app did not end well: {ended}")));
        }
        let provider = LocalProvider::new(LocalConfig::new(self.folder.path()));
        for table in &self.served.manifest().tables {
            let table = provider.key_value(&Location::new(ResourceKind::Table, &*table.name))?;
            move_expiry_back(table.as_ref(), Duration::from_millis(by)).await?;
        }
        // With the last handle the folder is given up.
        drop(provider);
        self.service.start_again().await
    }
}

async fn move_expiry_back(table: &dyn KeyValue, by: Duration) -> Result<()> {
    let mut segment = ScanSegment { segment: 0, segments: 1, limit: 1000, after: None };
    loop {
        let page = table.scan(&segment).await?;
        for Item { key, value, expires_at, .. } in page.items {
            if let Some(time) = expires_at {
                let put = Put { key, value, mode: PutMode::Overwrite, expires_at: Some(time - by) };
                table.put(put).await?;
            }
        }
        match page.resume {
            Some(resume) => segment.after = Some(resume),
            None => return Ok(()),
        }
    }
}

#[async_trait]
impl RunningApp for LaptopApp {
    fn manifest(&self) -> &Manifest {
        self.served.manifest()
    }

    async fn http(&self, request: Request<Body>) -> Result<TestResponse> {
        self.catch_up().await?;
        self.served.http(request).await
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes> {
        self.served.invoke(function, payload).await
    }

    async fn tick(&self, schedule: &str) -> Result<()> {
        self.served.tick(schedule).await
    }

    async fn deliver(&self) -> Result<()> {
        self.served.deliver().await
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> Result<Vec<DeadLetter>> {
        self.served.dead_letters(kind, name).await
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> Result<usize> {
        self.served.redrive(kind, name).await
    }
}
