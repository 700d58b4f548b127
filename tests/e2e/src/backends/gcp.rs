//! Google Cloud's services, as emulators that others wrote have them, and the service of an app in this process.
//!
//! What the services do is the emulators': Google's own for Firestore and Pub/Sub, fake-gcs-server for Cloud
//! Storage, before which `copies` and `signed` check what it does not. A **double of ours** is what pushes messages
//! (`delivery`), since time is the trial's.

mod copies;
mod delivery;
pub mod deployed;
pub mod gaps;
mod letters;
mod notices;
mod project;
mod pub_sub;
mod pushes;
pub mod signed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request};
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Hosted};
use isobar::{Body, Cloud, Result, TestResponse};
use isobar_gcp::{GcpConfig, GcpProvider};

use self::delivery::GcpApp;
use self::project::Project;
use crate::backends::Double;
use crate::backends::held::HeldClock;
use crate::backends::provisioned::Provisioned;
use crate::emulators::{FakeGcs, GoogleEmulator, GoogleProgram};
use isobar_conformance::Absent;
use isobar_conformance::{BuildApp, Gap, Harness, HarnessResult, RunningApp, World};

/// What is ours here.
pub const DOUBLES: &[Double] = &[
    Double { name: "pushes of Pub/Sub, by the trial's clock", only: &["PS-2", "PS-3", "FN-6"] },
    Double {
        name: "the condition of a copy in Cloud Storage",
        only: &[
            "a_copy_that_must_create_refuses_to_overwrite",
            "a_copy_of_many_megabytes_that_must_create_refuses_to_overwrite",
            "a_rename_that_must_create_refuses_to_overwrite",
            "one_of_many_racing_copies_creates",
        ],
    },
    Double {
        name: "signatures of Cloud Storage, and their end",
        only: &[
            "a_signed_url_is_refused_once_it_has_expired",
            "a_signed_url_is_refused_with_another_signature_or_none",
            "the_signature_of_one_object_is_refused_for_another",
            "a_url_for_get_cannot_write_and_one_for_put_cannot_read",
        ],
    },
    Double {
        name: "Cloud Storage that breaks down, in the adapter's own tests",
        only: &[
            "a_write_whose_response_was_lost_recognizes_its_object",
            "a_copy_continues_until_done_and_respects_its_condition",
            "an_interrupted_upload_continues_from_the_stored_size",
            "a_lost_response_of_the_last_chunk_is_resolved_by_the_status",
        ],
    },
];

/// Where the services listen, each without a slash at its end.
#[derive(Debug, Clone)]
pub struct Services {
    /// Google's emulator of Firestore.
    pub firestore: String,
    /// Google's emulator of Pub/Sub.
    pub pub_sub: String,
    /// fake-gcs-server, whose notifications go to that emulator.
    pub storage: String,
}

impl Services {
    /// Starts all three. They end with what comes beside.
    pub fn start() -> std::result::Result<(Self, impl Sized + Send + use<>), Absent> {
        let firestore = GoogleEmulator::start(GoogleProgram::Firestore)?;
        let pub_sub = GoogleEmulator::start(GoogleProgram::PubSub)?;
        let storage = FakeGcs::start(&pub_sub.endpoint)?;
        let services = Self {
            firestore: firestore.endpoint.clone(),
            pub_sub: pub_sub.endpoint.clone(),
            storage: storage.endpoint.clone(),
        };
        Ok((services, (firestore, pub_sub, storage)))
    }
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
impl Harness for Gcp {
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
        let project = Arc::new(Project::open(&self.services, id).await?);
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
    fn provider(&self) -> Provisioned<GcpProvider, Project> {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let gcp = GcpProvider::with_clock(self.config.clone(), clock);
        Provisioned { provider: gcp, account: Arc::clone(&self.project) }
    }
}

#[async_trait]
impl World for GcpWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider()))
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock.manual)
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        let provider = self.provider();
        let gcp = provider.provider.clone();
        let cloud = Cloud::new(Arc::new(provider));
        let mut app = app(&cloud)?;
        let manifest = Arc::new(app.start(&cloud)?);
        self.project.subscribe(&manifest).await?;
        let service = gcp.service(Hosted::new(app, Arc::clone(&manifest)));
        let (project, clock) = (Arc::clone(&self.project), self.clock.clone());
        Ok(Box::new(GcpApp { service, manifest, project, clock }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        // Signatures are of the machine's time, which the trial's moves on.
        let moved = self.clock.now().duration_since(ManualClock::default().now()).unwrap_or_default();
        match signed::check(&request, self.project.storage_host(), SystemTime::now() + moved) {
            Ok(()) => Ok(super::send(request.map(Body::from)).await?),
            Err(status) => Ok(TestResponse::new(status, HeaderMap::new(), Bytes::new())),
        }
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}
