//! An app as its user deploys it: built for Google Cloud, and run as a process. Google's emulator of Pub/Sub pushes to it
//! by the subscriptions that [`deployment`] makes.
//!
//! The app's clock is the machine's. Where a trial moves the clock, the expiry of the stored items is moved back instead
//! (`aging`). A trial's `tick` is the call that Cloud Scheduler would make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Environment, Provider, ResourceKind};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{App, Body, Cloud, Error, EventQueue, Result, TestResponse};
use isobar_gcp::{DeployedService, GcpConfig, GcpProvider, deployment};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::project::{Project, path_of};
use super::pub_sub;
use super::push_proxy::{MessageName, PushProxy};
use super::{Services, calls};
use crate::backends::aging::Aging;
use crate::backends::cloud::{CloudUnderTest, CloudWorld, declare, new_prefix};
use crate::backends::dead_letters;
use crate::backends::provisioned::Deployment;
use crate::backends::service::Service;
use crate::backends::stages::{Stages, variables_of};
use crate::backends::{body_of, send_to, variables, wait};
use crate::built;
use crate::server::listen;
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

/// Longest wait for messages to be handled, some of them after the emulator's own pauses of 1 to 3 s.
const DELIVERY_LIMIT: Duration = Duration::from_secs(45);

/// Emulators, and one app.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where the services listen.
    pub services: Services,
    /// The app, built with the feature `gcp`; `None` for apps that this process serves.
    pub executable: Option<PathBuf>,
    /// Further variables for the app.
    pub environment: BTreeMap<String, String>,
}

#[async_trait]
impl Harness for Deployed {
    fn name(&self) -> &'static str {
        "gcp-deployed"
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        Ok(Box::new(self.open_world().await?))
    }
}

impl Deployed {
    /// A world in which nothing is stored and nothing runs.
    pub async fn open_world(&self) -> Result<CloudWorld<DeployedTrial>> {
        let prefix = new_prefix();
        self.clone().open_as(prefix.trim_end_matches('-'), &prefix).await
    }

    async fn open_as(self, project: &str, prefix: &str) -> Result<CloudWorld<DeployedTrial>> {
        let project = Arc::new(Project::open(&self.services, project, prefix).await?);
        let config = GcpConfig::from_environment(&project.environment())?;
        Ok(CloudWorld(DeployedTrial { deployed: self, project, config, clock: ManualClock::default() }))
    }
}

#[async_trait]
impl Stages for Deployed {
    type Stage = DeployedTrial;

    async fn open_stages(&self, app: &str, stages: &[&str]) -> Result<Vec<CloudWorld<DeployedTrial>>> {
        let (prefix, mut worlds) = (new_prefix(), Vec::new());
        for stage in stages {
            let deployed = Self { environment: variables_of(stage), ..self.clone() };
            worlds.push(deployed.open_as(prefix.trim_end_matches('-'), &format!("{app}-{stage}-")).await?);
        }
        Ok(worlds)
    }
}

/// The resources of one trial, and the binary that runs on them.
#[derive(Debug)]
pub struct DeployedTrial {
    deployed: Deployed,
    project: Arc<Project>,
    config: GcpConfig,
    clock: ManualClock,
}

#[async_trait]
impl CloudUnderTest for DeployedTrial {
    type App = DeployedApp;

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(GcpProvider::new(self.config.clone()))
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn run(&self, app: BuildApp) -> Result<DeployedApp> {
        match &self.deployed.executable {
            Some(executable) => self.run_binary(executable, app, Caller::Proxy).await,
            None => self.serve(app).await,
        }
    }

    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        self.project.secrets.set(&self.project.id, key, value);
        Ok(())
    }
}

/// The caller of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The emulator, through the proxy that records the responses.
    Proxy,
    /// The emulator itself.
    Emulator,
}

impl CloudWorld<DeployedTrial> {
    /// As `run`, without the proxy between the emulator and the service. Then `deliver` cannot know when the messages are
    /// handled.
    pub async fn run_without_proxy(&self, app: BuildApp) -> Result<DeployedApp> {
        let executable = self.0.deployed.executable.as_ref();
        let executable = executable.ok_or_else(|| Error::internal("the app is served in this process"))?;
        self.0.run_binary(executable, app, Caller::Emulator).await
    }

    /// Serves an app on a port of this process, where a trial can inspect it. No binary is run.
    pub async fn serve(&self, app: impl FnOnce(&Cloud) -> App) -> Result<DeployedApp> {
        self.0.serve(|cloud| Ok(app(cloud))).await
    }
}

impl DeployedTrial {
    /// The variables by which a command on this machine finds the data.
    pub fn environment(&self) -> Environment {
        self.project.environment()
    }

    async fn serve(&self, app: impl FnOnce(&Cloud) -> Result<App>) -> Result<DeployedApp> {
        let provider = GcpProvider::new(self.config.clone());
        let hosted = declare(provider.clone(), app)?;
        let manifest = Arc::clone(&hosted.manifest);
        let (listener, url) = listen().await?;
        let service = provider.service(hosted);
        let task = tokio::spawn(async move { service.serve(listener, std::future::pending()).await });
        self.deploy(manifest, Serving::Here { url, task }, Caller::Proxy).await
    }

    async fn run_binary(&self, executable: &Path, app: BuildApp, caller: Caller) -> Result<DeployedApp> {
        let environment = self.deployed.environment.clone();
        let manifest = built::manifest(executable, app).await?;
        let own = self.project.environment().with_var("ISOBAR_PROVIDER", "gcp");
        let service = Service::start(executable.to_owned(), variables(&own, environment)).await?;
        self.deploy(Arc::new(manifest), Serving::Process(Box::new(service)), caller).await
    }

    async fn deploy(&self, manifest: Arc<Manifest>, serving: Serving, caller: Caller) -> Result<DeployedApp> {
        let proxy = PushProxy::start(&serving.url()).await?;
        for bucket in manifest.buckets() {
            self.project.make(ResourceKind::Bucket, &bucket.name).await?;
        }
        let url = if caller == Caller::Emulator { serving.url() } else { proxy.url.clone() };
        self.make_subscriptions(&manifest, &url).await?;
        for trigger in manifest.writes() {
            self.project.documents.watch(&self.project.physical(&trigger.table)).await?;
        }
        let (aging, project) = (Aging::new(&self.clock, self.provider()), Arc::clone(&self.project));
        Ok(DeployedApp {
            provider: GcpProvider::new(self.config.clone()),
            manifest,
            project,
            clock: self.clock.clone(),
            serving,
            proxy,
            aging,
            published: Mutex::default(),
        })
    }

    /// Makes in the emulators what a user makes on Google Cloud, and next to each subscription that pushes one without pushes
    /// and with the same filter, from which `deliver` reads what was published. Cloud Scheduler, Eventarc and the
    /// administration of Firestore have no emulator.
    async fn make_subscriptions(&self, manifest: &Manifest, url: &str) -> Result<()> {
        let service = DeployedService::new("app", url, "caller@isobar.iam.gserviceaccount.com", "europe-west1");
        let emulated = |url: &str| match url.strip_prefix("https://storage.googleapis.com") {
            Some(path) => Some(format!("{}{path}", self.deployed.services.storage)),
            None => url.starts_with(&self.deployed.services.pub_sub).then(|| url.to_owned()),
        };
        for mut request in deployment(manifest, &self.config, &service)? {
            if let Some(url) = emulated(&request.url) {
                let method = Method::from_bytes(request.method.as_bytes());
                let method = method.map_err(|error| Error::internal("not a method").with_source(error))?;
                pub_sub::call(method.clone(), &url, &request.body).await?;
                if request.body["pushConfig"].take().is_object() {
                    request.body["deadLetterPolicy"].take();
                    pub_sub::call(method, &second_subscription(&url), &request.body).await?;
                }
            }
        }
        Ok(())
    }
}

fn second_subscription(subscription: &str) -> String {
    format!("{subscription}-published")
}

/// The service of the app.
#[derive(Debug)]
enum Serving {
    Process(Box<Service>),
    Here { url: String, task: JoinHandle<()> },
}

impl Serving {
    fn url(&self) -> String {
        match self {
            Self::Process(service) => service.url(),
            Self::Here { url, .. } => url.clone(),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Self::Here { task, .. } = self {
            task.abort();
        }
    }
}

/// An app that runs as a service.
#[derive(Debug)]
pub struct DeployedApp {
    provider: GcpProvider,
    manifest: Arc<Manifest>,
    project: Arc<Project>,
    clock: ManualClock,
    serving: Serving,
    proxy: Arc<PushProxy>,
    aging: Aging,
    /// All messages so far.
    published: Mutex<BTreeSet<MessageName>>,
}

impl DeployedApp {
    /// Its process. Errors: `Unsupported` where it is served in this one.
    pub fn process(&self) -> Result<&Service> {
        match &self.serving {
            Serving::Process(service) => Ok(service),
            Serving::Here { .. } => Err(Error::unsupported("process", "gcp-deployed", "the app is served in this one")),
        }
    }

    /// The largest number of pushes of one message.
    pub fn most_pushes(&self) -> u32 {
        self.proxy.most()
    }

    /// Reads the messages that were published since the last call. Returns whether there were any.
    async fn read_published(&self) -> Result<bool> {
        let mut any = false;
        for (queue, _) in self.manifest.queues() {
            let subscription = self.project.names(&queue).subscription;
            let received = self.project.pub_sub.take(&second_subscription(&subscription)).await?;
            any |= !received.is_empty();
            let ids = received.iter().filter_map(|received| received["message"]["messageId"].as_str());
            self.published.lock().extend(ids.map(|id| (subscription.clone(), id.to_owned())));
        }
        Ok(any)
    }

    /// Sends the writes of tables that were not reported yet. Returns whether there were any.
    async fn report_writes(&self) -> Result<bool> {
        let mut any = false;
        for trigger in self.manifest.writes() {
            let (collection, url) = (self.project.physical(&trigger.table), self.serving.url());
            let send = |event| send_to(&url, event);
            let sent = self.project.documents.send(&collection, &path_of(&trigger.queue()), send).await?;
            any |= sent.acknowledged + sent.failed > 0;
        }
        Ok(any)
    }

    /// A message that the service publishes while it handles another exists before it acknowledges that one: so all are
    /// done where nothing was published since.
    async fn is_done(&self) -> Result<bool> {
        if self.report_writes().await? {
            return Ok(false);
        }
        let done = self.published.lock().iter().all(|message| self.proxy.is_done(message));
        Ok(!self.read_published().await? && done)
    }
}

#[async_trait]
impl RunningApp for DeployedApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        self.aging.catch_up(&self.manifest).await?;
        Ok(send_to(&self.serving.url(), request).await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        let response = send_to(&self.serving.url(), calls::invoke(function, payload)?).await?;
        Ok(body_of(response, StatusCode::OK)?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let response = send_to(&self.serving.url(), calls::tick(schedule, self.clock.now())?).await?;
        body_of(response, StatusCode::NO_CONTENT)?;
        Ok(())
    }

    /// Waits until the service has acknowledged all messages that were published.
    async fn deliver(&self) -> HarnessResult<()> {
        Ok(wait::until("all messages are handled", DELIVERY_LIMIT, || self.is_done()).await?)
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        Ok(dead_letters::list(&self.provider, queue).await?)
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        Ok(dead_letters::put_back(&self.provider, queue).await?)
    }
}
