//! Google Cloud's services, as emulators that others wrote have them, and the service of an app in this process.
//!
//! What the services do is the emulators': Google's own for Firestore and Pub/Sub, fake-gcs-server for Cloud
//! Storage. **Doubles of ours** are what pushes messages (`delivery`), since time is the trial's; and,
//! for what no emulator checks, Cloud Storage itself (`storage`).

mod aging;
mod delivery;
pub mod deployed;
pub mod gaps;
mod letters;
mod notices;
mod project;
mod pushes;
pub mod service;
pub mod storage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::{
    Blob, Body, Clock, Cloud, Hosted, KeyValue, Location, ManualClock, Profile, Provider, PubSub, ResourceUrl, Result,
    TestResponse,
};
use isobar_gcp::{GcpConfig, GcpProvider};

use self::delivery::GcpApp;
use self::project::Project;
use crate::backends::held::HeldClock;
use crate::{Backend, BuildApp, Gap, RunningApp, World};

/// Where the services listen, each without a slash at its end.
#[derive(Debug, Clone)]
pub struct Services {
    /// Google's emulator of Firestore.
    pub firestore: String,
    /// Google's emulator of Pub/Sub.
    pub pub_sub: String,
    /// fake-gcs-server, whose notifications go to that emulator. Without it, the double of ours.
    pub storage: Option<String>,
}

/// Google Cloud's services in emulators.
#[derive(Debug, Clone)]
pub struct Gcp {
    /// The backend's name.
    pub name: &'static str,
    /// Where they listen.
    pub services: Services,
    /// What they get wrong.
    pub gaps: &'static [Gap],
}

static WORLDS: AtomicU64 = AtomicU64::new(1);

#[async_trait]
impl Backend for Gcp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn gaps(&self) -> &'static [Gap] {
        self.gaps
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        self.open_as(&format!("w{}", WORLDS.fetch_add(1, Ordering::Relaxed))).await
    }
}

impl Gcp {
    /// A world in a project of this id, whose resources have it before their names; nothing else may have it.
    pub async fn open_as(&self, id: &str) -> Result<Box<dyn World>> {
        let clock = HeldClock::default();
        let project = Arc::new(Project::open(&self.services, id, &clock.manual).await?);
        let config = GcpConfig::from_environment(&project.environment())?;
        Ok(Box::new(GcpWorld { project, clock, config }))
    }
}

#[derive(Debug)]
struct GcpWorld {
    project: Arc<Project>,
    clock: HeldClock,
    config: GcpConfig,
}

impl GcpWorld {
    fn provider(&self) -> Provisioned {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let gcp = GcpProvider::with_clock(self.config.clone(), clock);
        Provisioned { gcp, project: Arc::clone(&self.project) }
    }
}

#[async_trait]
impl World for GcpWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider()))
    }

    fn clock(&self) -> &ManualClock {
        &self.clock.manual
    }

    async fn start(&self, app: BuildApp) -> Result<Box<dyn RunningApp>> {
        let provider = self.provider();
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let mut app = app(&cloud);
        let manifest = Arc::new(app.start(&cloud)?);
        self.project.subscribe(&manifest).await?;
        let service = provider.gcp.service(Hosted { function: Arc::new(app), manifest: Arc::clone(&manifest) });
        let (project, clock) = (Arc::clone(&self.project), self.clock.clone());
        Ok(Box::new(GcpApp { service, manifest, project, clock }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> Result<TestResponse> {
        // The double's certificate is nobody's that this client trusts; plain HTTP is on the same port.
        let (mut parts, body) = request.into_parts();
        if let Some(plain) = parts.uri.to_string().strip_prefix("https://127.0.0.1:") {
            parts.uri = format!("http://127.0.0.1:{plain}").parse().map_err(|_| isobar::Error::invalid("not a URL"))?;
        }
        super::send(Request::from_parts(parts, Body::from(body))).await
    }

    async fn reopen(self: Box<Self>) -> Result<Option<Box<dyn World>>> {
        Ok(Some(self))
    }
}

/// The provider under test, whose resources exist.
#[derive(Debug, Clone)]
struct Provisioned {
    gcp: GcpProvider,
    project: Arc<Project>,
}

impl Provisioned {
    /// Opening is no `async fn`, and a trial's runtime has threads enough to wait on one of them.
    fn made(&self, at: &Location) -> Result<()> {
        if at.url().is_some() {
            return Ok(());
        }
        let make = self.project.make(at.kind(), at.name());
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(make))
    }
}

#[async_trait]
impl Provider for Provisioned {
    fn profile(&self) -> &'static Profile {
        self.gcp.profile()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.gcp.clock()
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        self.gcp.key_value(at)
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        let placed = match self.project.bucket_url(at.name()) {
            Some(url) if at.url().is_none() => at.clone().with_url(ResourceUrl::parse(&url)?),
            _ => at.clone(),
        };
        let opened = self.gcp.blob(&placed)?;
        self.made(at).map(|()| opened)
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        let opened = self.gcp.pub_sub(at)?;
        self.made(at).map(|()| opened)
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        self.gcp.host(app).await
    }
}
