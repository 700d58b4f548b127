//! An app as its user deploys it: built for Google Cloud, run as a process of its own, and called by Google's emulator
//! of Pub/Sub, which pushes to it what [`deployment`] makes subscriptions for.
//!
//! The app's clock is the machine's. Where a trial moves the clock, the expiry of what is stored is moved back
//! instead (`aging`). A trial's `tick` is the call that Cloud Scheduler would make.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use isobar::clock::{ManualClock, to_rfc3339};
use isobar::driver::{Clock, Hosted, ResourceKind};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{App, Body, Cloud, Error, ErrorKind, Result, TestResponse};
use isobar_gcp::{GcpConfig, GcpProvider, deployment};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::project::Project;
use super::pub_sub::ask;
use super::pushes::{Pushed, Pushes};
use super::{Services, WORLDS};
use crate::backends::aging::Aging;
use crate::backends::provisioned::Deployment;
use crate::backends::service::Service;
use crate::backends::{send, told_error};
use crate::built;
use crate::front::not_a_request;
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

/// Longest wait for messages to be handled, some of them after the emulator's own pauses of 1 to 3 s.
const PATIENCE: Duration = Duration::from_secs(45);

/// Emulators, and the binary of one app.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where the services listen.
    pub services: Services,
    /// The app, built with the feature `gcp`.
    pub executable: PathBuf,
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
    pub async fn open_world(&self) -> Result<DeployedWorld> {
        let clock = ManualClock::default();
        let id = format!("e{}", WORLDS.fetch_add(1, Ordering::Relaxed));
        let project = Arc::new(Project::open(&self.services, &id).await?);
        let config = GcpConfig::from_environment(&project.environment())?;
        Ok(DeployedWorld { deployed: self.clone(), project, config, clock })
    }
}

/// The data of one trial, and the binary that is run on them.
#[derive(Debug)]
pub struct DeployedWorld {
    deployed: Deployed,
    project: Arc<Project>,
    config: GcpConfig,
    clock: ManualClock,
}

#[async_trait]
impl World for DeployedWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(GcpProvider::new(self.config.clone())))
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock)
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        Ok(Box::new(self.run(app).await?))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(send(request.map(Body::from)).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

/// Who calls the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calling {
    /// The emulator, through a double that remembers what was answered.
    Watched,
    /// The emulator, with nothing in between.
    Straight,
}

impl DeployedWorld {
    /// Runs the binary; the app that is given must be the one that the binary is of.
    pub async fn run(&self, app: BuildApp) -> Result<DeployedApp> {
        self.run_called(app, Calling::Watched).await
    }

    /// The same, with nothing between the emulator and the service. Then nobody knows what is still to be handled.
    pub async fn run_straight(&self, app: BuildApp) -> Result<DeployedApp> {
        self.run_called(app, Calling::Straight).await
    }

    async fn run_called(&self, app: BuildApp, calling: Calling) -> Result<DeployedApp> {
        let manifest = built::manifest(&self.deployed.executable, app).await?;
        let environment = self.project.environment().with_var("ISOBAR_PROVIDER", "gcp");
        let own = environment.vars_with_prefix("").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = own.chain(self.deployed.environment.clone()).collect();
        let service = Service::start(self.deployed.executable.clone(), variables).await?;
        self.called(manifest, Serving::Process(Box::new(service)), calling).await
    }

    /// Serves an app on a port of this process, where it can be looked into. No binary is run.
    pub async fn serve(&self, app: impl FnOnce(&Cloud) -> App) -> Result<DeployedApp> {
        let provider = GcpProvider::new(self.config.clone());
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let mut app = app(&cloud);
        let manifest = app.start(&cloud)?;
        let hosted = Hosted::new(app, Arc::new(manifest.clone()));
        let unbound = |source| Error::internal("no port is free").with_source(source);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unbound)?;
        let url = format!("http://{}", listener.local_addr().map_err(unbound)?);
        let service = provider.service(hosted);
        let task = tokio::spawn(async move { service.serve(listener, std::future::pending()).await });
        self.called(manifest, Serving::Here { url, task }, Calling::Watched).await
    }

    async fn called(&self, manifest: Manifest, serving: Serving, calling: Calling) -> Result<DeployedApp> {
        let (pushes, url) = (Pushes::start().await?, serving.url());
        pushes.lead_to(url.clone());
        for bucket in manifest.buckets() {
            self.project.make(ResourceKind::Bucket, &bucket.name).await?;
        }
        self.deploy(&manifest, if calling == Calling::Straight { url } else { pushes.url() }).await?;
        let (aging, provider) = (Aging::new(&self.clock), GcpProvider::new(self.config.clone()));
        let (project, clock, published) = (Arc::clone(&self.project), self.clock.clone(), Default::default());
        Ok(DeployedApp { manifest, project, clock, serving, pushes, provider, aging, published })
    }

    /// Makes in the emulator of Pub/Sub what a user makes on Google Cloud, and a subscription to each topic that
    /// tells what was published. Cloud Scheduler and the administration of Firestore have no emulator.
    async fn deploy(&self, manifest: &Manifest, service: String) -> Result<()> {
        let account = "caller@isobar.iam.gserviceaccount.com";
        let emulated = |url: &str| match url.strip_prefix("https://storage.googleapis.com") {
            Some(path) => Some(format!("{}{path}", self.deployed.services.storage)),
            None => url.starts_with(&self.deployed.services.pub_sub).then(|| url.to_owned()),
        };
        for request in deployment(manifest, &self.config, &service, account, "europe-west1")? {
            if let Some(url) = emulated(&request.url) {
                let method = Method::from_bytes(request.method.as_bytes());
                let method = method.map_err(|error| Error::internal("not a method").with_source(error))?;
                ask(method, &url, &request.body).await?;
            }
        }
        for (topic, _) in self.project.subscriptions(manifest) {
            self.project.pub_sub.make_subscription(&tap_of(&topic), &topic).await?;
        }
        Ok(())
    }
}

fn tap_of(topic: &str) -> String {
    format!("{topic}-tap")
}

/// What answers.
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
    manifest: Manifest,
    project: Arc<Project>,
    clock: ManualClock,
    serving: Serving,
    pushes: Arc<Pushes>,
    provider: GcpProvider,
    aging: Aging,
    /// All messages that there were.
    published: parking_lot::Mutex<BTreeSet<Pushed>>,
}

impl DeployedApp {
    /// Its process. Errors: `Unsupported` where it is served in this one.
    pub fn process(&self) -> Result<&Service> {
        match &self.serving {
            Serving::Process(service) => Ok(service),
            Serving::Here { .. } => Err(Error::unsupported("process", "gcp-deployed", "the app is served in this one")),
        }
    }

    /// How many pushes there were of one message, at the most.
    pub fn most_pushes(&self) -> u32 {
        self.pushes.most()
    }

    /// Takes down what was published since. Returns whether there was anything.
    async fn take_down(&self) -> Result<bool> {
        let mut any = false;
        for (topic, _) in self.project.subscriptions(&self.manifest) {
            let tap = tap_of(&topic);
            let received = self.project.pub_sub.pull(&tap).await?;
            let ids: Vec<&str> = received.iter().filter_map(|received| received["ackId"].as_str()).collect();
            self.project.pub_sub.acknowledge(&tap, &ids).await?;
            any |= !received.is_empty();
            let ids = received.iter().filter_map(|received| received["message"]["messageId"].as_str());
            self.published.lock().extend(ids.map(|id| (topic.clone(), id.to_owned())));
        }
        Ok(any)
    }

    fn is_done(&self) -> bool {
        self.published.lock().iter().all(|pushed| self.pushes.is_done(pushed))
    }

    async fn ask(&self, mut request: Request<Body>) -> Result<TestResponse> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("{}{path}", self.serving.url()).parse::<http::Uri>();
        *request.uri_mut() = uri.map_err(|error| not_a_request(error.into()))?;
        send(request).await
    }

    async fn call(&self, path: &str, body: Bytes, headers: &[(&str, &str)]) -> Result<Bytes> {
        let request = headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
        let answer = self.ask(request.body(Body::from(body)).map_err(not_a_request)?).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(told_error(&answer.body)) }
    }
}

#[async_trait]
impl RunningApp for DeployedApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        self.aging.catch_up(&self.provider, &self.manifest).await?;
        Ok(self.ask(request).await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        let headers = [("content-type", "application/json")];
        Ok(self.call(&format!("/.isobar/functions/{function}"), payload, &headers).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let due = to_rfc3339(self.clock.now());
        let headers = [("x-cloudscheduler", "true"), ("x-cloudscheduler-scheduletime", due.as_str())];
        self.call(&format!("/.isobar/schedules/{schedule}"), Bytes::new(), &headers).await?;
        Ok(())
    }

    /// Waits until the service has said of all messages that were published that it is done with them. What it
    /// published itself is there before it says so.
    async fn deliver(&self) -> HarnessResult<()> {
        let began = Instant::now();
        loop {
            let (done, any) = (self.is_done(), self.take_down().await?);
            if done && !any {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::new(ErrorKind::Timeout, "the messages are not handled").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> HarnessResult<Vec<DeadLetter>> {
        Ok(self.project.dead_letters(kind, name).await?)
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> HarnessResult<usize> {
        Ok(self.project.redrive(kind, name).await?)
    }
}
