//! An app as a person runs it: the binary, on a free port and in a temporary folder, without the variables of any
//! platform.
//!
//! The app's clock is the machine's. Where a trial moves the clock, the app is stopped, the expiry of the stored items is
//! moved back, and the app is started again: one process at a time can open the folder.

mod endpoints;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use isobar::clock::ManualClock;
use isobar::driver::Provider;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Error, EventQueue, Result, TestResponse};
use serde_json::Value;
use tempfile::TempDir;

use endpoints::Endpoints;

use super::aging::{ClockSteps, age};
use super::cloud::{CloudUnderTest, CloudWorld};
use super::local::{Inspector, LocalApp, set_secret};
use super::service::Service;
use crate::backends::stages::Stages;
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
        Ok(Box::new(CloudWorld(LaptopTrial::new(self.0.clone(), Arc::new(folder), None))))
    }
}

#[async_trait]
impl Stages for Laptop {
    type Stage = LaptopTrial;

    async fn open_stages(&self, _app: &str, stages: &[&str]) -> Result<Vec<CloudWorld<LaptopTrial>>> {
        let folder = TempDir::new().map_err(|error| Error::internal("no temporary folder").with_source(error))?;
        let folder = Arc::new(folder);
        let of = |stage: &&str| LaptopTrial::new(self.0.clone(), Arc::clone(&folder), Some(stage));
        Ok(stages.iter().map(of).map(CloudWorld).collect())
    }

    async fn stored(
        _world: &CloudWorld<LaptopTrial>,
        app: &LaptopApp,
        table: &str,
        partition: &str,
    ) -> Result<Vec<Value>> {
        let path = format!("tables/{table}?partition={partition}");
        let page: Value = app.served.inspect(Method::GET, &path, Bytes::new()).await?.json()?;
        let items = page["items"].as_array().ok_or_else(|| Error::internal(format!("no `items` in {page}")))?;
        Ok(items.iter().map(|item| item["value"].clone()).collect())
    }
}

/// The app of the binary, once it runs.
type Served = Arc<OnceLock<Arc<LocalApp>>>;

/// The folder of one trial, and the binary that runs on it.
#[derive(Debug)]
pub struct LaptopTrial {
    executable: PathBuf,
    folder: Arc<TempDir>,
    /// The folder with the data, in `folder`.
    data: PathBuf,
    variables: Vec<(String, String)>,
    clock: ManualClock,
    served: Served,
}

impl LaptopTrial {
    fn new(executable: PathBuf, folder: Arc<TempDir>, stage: Option<&str>) -> Self {
        let root = folder.path();
        let data = stage.map_or(root.to_owned(), |stage| root.join("stages").join(stage));
        let stage = stage.map(|stage| ("ISOBAR_STAGE".to_owned(), stage.to_owned()));
        let variables = [("ISOBAR_DATA".to_owned(), root.display().to_string())].into_iter().chain(stage).collect();
        let (clock, served) = (ManualClock::default(), Arc::default());
        Self { executable, folder, data, variables, clock, served }
    }
}

#[async_trait]
impl CloudUnderTest for LaptopTrial {
    type App = LaptopApp;

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(Endpoints { clock: self.clock.clone(), served: Arc::clone(&self.served) })
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn run(&self, app: BuildApp) -> Result<LaptopApp> {
        let manifest = built::manifest(&self.executable, app).await?;
        let service = Service::start(self.executable.clone(), self.variables.clone()).await?;
        let inspector = Inspector::File(self.data.join("inspector.json"));
        let served = Arc::new(LocalApp::at(&format!("127.0.0.1:{}", service.port()), inspector, manifest));
        // The overview contains the host that the app selected.
        let overview: Value = served.inspect(Method::GET, "", Bytes::new()).await?.json()?;
        if overview["provider"] != "local" {
            return Err(Error::internal(format!("not a laptop: {overview}")));
        }
        self.served.set(Arc::clone(&served)).map_err(|_| Error::config("this world already runs an app"))?;
        let (data, steps) = (self.data.clone(), ClockSteps::new(&self.clock));
        Ok(LaptopApp { service, served, data, _folder: Arc::clone(&self.folder), steps })
    }

    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        Ok(set_secret(self.folder.path(), key, value)?)
    }
}

/// The process.
#[derive(Debug)]
pub struct LaptopApp {
    service: Service,
    served: Arc<LocalApp>,
    data: PathBuf,
    _folder: Arc<TempDir>,
    steps: ClockSteps,
}

impl LaptopApp {
    async fn catch_up(&self) -> Result<()> {
        let Some(by) = self.steps.take() else { return Ok(()) };
        self.service.terminate().await?;
        let ended = self.service.ended().await?;
        if !ended.success() {
            return Err(Error::internal(format!("the app ended with a failure: {ended}")));
        }
        let provider = LocalProvider::new(LocalConfig::new(&self.data));
        age(&provider, self.served.manifest(), by).await?;
        // The last handle releases the folder.
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
        Ok(self.served.http(request).await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(self.served.invoke(function, payload).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        Ok(self.served.tick(schedule).await?)
    }

    async fn deliver(&self) -> HarnessResult<()> {
        Ok(self.served.deliver().await?)
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        Ok(self.served.dead_letters(queue).await?)
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        Ok(self.served.redrive(queue).await?)
    }
}
