//! Google Cloud's services in emulators, and the service of an app in this process.
//!
//! The emulators are Google's own for Firestore and Pub/Sub, and fake-gcs-server for Cloud Storage; `copies` and `signed`
//! check before it what it does not check. A **double of isobar** pushes the messages (`delivery`), since time is the
//! trial's. Others report the writes of Firestore (`eventarc`) and keep secrets (`secret_manager`).

mod calls;
mod copies;
mod delivery;
pub mod deployed;
mod eventarc;
pub mod gaps;
mod notifications;
mod project;
mod pub_sub;
mod push_proxy;
pub mod secret_manager;
pub mod signed;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request};
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Provider};
use isobar::{Body, Result, TestResponse};
use isobar_gcp::{GcpConfig, GcpProvider};

use self::delivery::GcpApp;
use self::project::Project;
use crate::backends::cloud::{self, CloudUnderTest, Emulated, declare};
use crate::backends::pause::PauseClock;
use crate::backends::provisioned::{Deployment, Provisioned};
use crate::backends::{Double, send};
use crate::emulators::{FakeGcs, GoogleEmulator, GoogleProgram};
use isobar_conformance::{Absent, BuildApp, HarnessResult};

/// The doubles among these services.
pub const DOUBLES: &[Double] = &[
    Double { name: "pushes of Pub/Sub, by the trial's clock", only: &["PS-2", "PS-3", "PS-16", "FN-6"] },
    Double {
        name: "Secret Manager",
        only: &["secrets_of_python_are_ours", "a_secret_manager_that_rejects_or_hangs_is_an_error", "SE-1", "SE-2"],
    },
    Double { name: "Eventarc's trigger of Firestore: it finds writes by reading the table", only: &["KV-26"] },
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
        name: "signatures of Cloud Storage, and their expiry",
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
    /// Starts all three. They end when the second value is dropped.
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

/// Google Cloud's services in emulators, and apps as a service in this process.
pub type Gcp = Emulated<Services>;

#[async_trait]
impl cloud::Services for Services {
    type Trial = GcpTrial;

    /// The id of the project is the prefix too, without the hyphen at its end.
    async fn open(&self, prefix: &str) -> Result<GcpTrial> {
        let id = prefix.trim_end_matches('-');
        let project = Arc::new(Project::open(self, id, &format!("{id}-")).await?);
        let config = GcpConfig::from_environment(&project.environment())?;
        Ok(GcpTrial { project, clock: PauseClock::default(), config })
    }
}

/// The resources of one trial.
#[derive(Debug)]
pub struct GcpTrial {
    project: Arc<Project>,
    clock: PauseClock,
    config: GcpConfig,
}

#[async_trait]
impl CloudUnderTest for GcpTrial {
    type App = GcpApp;

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provisioned())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock.manual
    }

    async fn run(&self, app: BuildApp) -> Result<GcpApp> {
        let provisioned = self.provisioned();
        let provider = provisioned.provider.clone();
        let hosted = declare(provisioned, app)?;
        let manifest = Arc::clone(&hosted.manifest);
        self.project.subscribe(&manifest).await?;
        let (project, clock) = (Arc::clone(&self.project), self.clock.clone());
        Ok(GcpApp { service: provider.service(hosted), provider, manifest, project, clock })
    }

    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        self.project.secrets.set(&self.project.id, key, value);
        Ok(())
    }

    async fn fetch(&self, request: Request<Bytes>) -> Result<TestResponse> {
        // Signatures are of the machine's time, so it is moved by as much as the trial has moved its clock.
        let moved = self.clock.now().duration_since(ManualClock::default().now()).unwrap_or_default();
        match signed::check(&request, self.project.storage_host(), SystemTime::now() + moved) {
            Ok(()) => send(request.map(Body::from)).await,
            Err(status) => Ok(TestResponse::new(status, HeaderMap::new(), Bytes::new())),
        }
    }
}

impl GcpTrial {
    fn provisioned(&self) -> Provisioned<GcpProvider, Project> {
        let provider = GcpProvider::with_clock(self.config.clone(), Arc::new(self.clock.clone()));
        Provisioned { provider, account: Arc::clone(&self.project) }
    }
}
